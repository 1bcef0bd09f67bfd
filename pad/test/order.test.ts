// With every fault of the network: each position once, in order, none missing. A server with a log, and seeds that choose
// what goes wrong; a failure names its seed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig, settle, type FakeStream } from "./fakes.ts";

const SEEDS = 300;
const STEPS = 150;
/** Bytes after which a stream is replaced. */
const BYTE_LIMIT = 16 * 1024 * 1024;

/** mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A server that answers every stream from one log, as well as its luck allows. */
class Server {
  position = 5n;
  /** Streams that had their snapshot, and the last position each was sent. */
  readonly #sent = new Map<FakeStream, bigint>();
  readonly #rig: Rig;
  readonly #random: () => number;

  constructor(rig: Rig, random: () => number) {
    this.#rig = rig;
    this.#random = random;
  }

  answer(): void {
    for (const stream of this.#rig.open) {
      if (stream.closed || this.#sent.has(stream)) continue;
      const after = stream.request.afterPosition;
      const from = after ?? this.position;
      this.#sent.set(stream, from);
      if (this.#random() < 0.5) this.#takeOver(stream);
      stream.snapshot({ position: from, resumed: after !== undefined });
      this.#flow(stream);
    }
  }

  /** A new event for every stream; a lost one is not noticed by the server. */
  publish(): void {
    this.position += 1n;
    for (const stream of this.#rig.open) if (this.#sent.has(stream)) this.#flow(stream);
  }

  heartbeat(): void {
    for (const stream of this.#rig.open) {
      const sent = this.#sent.get(stream);
      if (sent !== undefined) stream.heartbeat(sent);
    }
  }

  /** On the same replica a session's next stream ends the older ones. */
  #takeOver(stream: FakeStream): void {
    for (const other of this.#rig.open) {
      if (other !== stream && other.request.session === stream.request.session) other.end("replaced");
    }
  }

  #flow(stream: FakeStream): void {
    for (let next = (this.#sent.get(stream) ?? 0n) + 1n; next <= this.position; next += 1n) {
      this.#sent.set(stream, next);
      if (this.#random() < 0.03) continue;
      stream.update(next);
      if (this.#random() < 0.05) stream.update(next);
    }
  }
}

async function injectFault(rig: Rig, random: () => number): Promise<void> {
  const streams = rig.open;
  const stream = streams[Math.floor(random() * streams.length)];
  const luck = random();
  if (luck < 0.3) stream?.end(random() < 0.5 ? "network" : "unavailable");
  else if (luck < 0.6) stream?.send({ case: "reconnect", value: { after: { seconds: 1n } } });
  else if (luck < 0.7) stream?.end("replaced");
  else if (luck < 0.75) rig.connection.checkNow();
  else if (luck < 0.85 && stream) stream.received = BYTE_LIMIT;
  else if (luck < 0.87) await rig.clock.advance(40 * 60_000);
  else await rig.clock.advance(random() * 15_000);
  rig.connection.retryNow();
}

async function run(seed: number): Promise<void> {
  const random = randomOf(seed);
  const rig = new Rig();
  rig.random = 0.5;
  const server = new Server(rig, random);
  await rig.start();
  server.answer();
  for (let step = 0; step < STEPS; step += 1) {
    const luck = random();
    if (luck < 0.45) server.publish();
    else if (luck < 0.7) server.answer();
    else if (luck < 0.85) server.heartbeat();
    else await injectFault(rig, random);
    await settle();
    assert.ok(rig.open.length <= 2, `seed ${seed}: ${rig.open.length} streams open`);
  }
  // Then the network is well again, and what is missing comes.
  for (let calm = 0; calm < 40 && rig.positions.at(-1) !== server.position; calm += 1) {
    rig.connection.retryNow();
    await rig.clock.advance(1_000);
    server.answer();
    server.heartbeat();
  }
  const expected = Array.from({ length: rig.positions.length }, (_, i) => 6n + BigInt(i));
  assert.deepEqual(rig.positions, expected, `seed ${seed}: not contiguous`);
  assert.equal(rig.positions.at(-1) ?? 5n, server.position, `seed ${seed}: not complete`);
  assert.deepEqual(rig.snapshots, [5n], `seed ${seed}: replaced`);
}

test(`each position is delivered once and in order over ${SEEDS} random networks`, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) await run(seed);
});
