// While the next stream is opened, for any reason and with any result, the current stream is still used, and the state does
// not change.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NoToken } from "../src/client/tokens.ts";
import { fakeMemory, jwtFor, Rig, settle, type FakeStream } from "./fakes.ts";

const MINUTE = 60_000;
const SIZE = 16 * 1024 * 1024;
const OTHER = { id: "other", name: "서초 세차장" };

/** A connected pad, and how it comes to open its next stream. */
interface Reason {
  rig(): Rig;
  /** After it the next stream is on its way. */
  begin(rig: Rig, old: FakeStream): Promise<void> | void;
}

const reasons: Record<string, Reason> = {
  "the replica leaves, or the store has a new name": {
    rig: () => new Rig({ token: fresh() }),
    begin: (rig, old) => {
      old.send({ case: "reconnect", value: {} });
      return rig.clock.advance(0);
    },
  },
  "it is old": { rig: () => new Rig({ token: fresh() }), begin: (rig, old) => rig.live(old, 60 * MINUTE) },
  "it has brought much": {
    rig: () => new Rig({ token: fresh() }),
    begin: (rig, old) => {
      old.received = SIZE;
      return rig.live(old, 1);
    },
  },
  "its token is about to expire": {
    rig: () => new Rig({ token: soon() }),
    begin: (rig, old) => rig.live(old, 13 * MINUTE),
  },
  "there is another token": { rig: () => new Rig({ token: fresh() }), begin: (rig) => rig.connection.tokenChanged() },
  "gRPC-Web is tried again next to a WebSocket": {
    rig: () => {
      const memory = fakeMemory();
      memory.setItem("ringpad.transport", "websocket");
      return new Rig({ memory, token: fresh() });
    },
    begin: (rig, old) => rig.live(old, 60 * MINUTE),
  },
};

/** What becomes of a next stream. */
const failures: Record<string, (next: FakeStream, rig: Rig, old: FakeStream) => Promise<void> | void> = {
  "a balancer has nobody": (next) => next.end("unavailable"),
  "the network refuses it": (next) => next.end("network"),
  "it is forbidden": (next) => next.end("forbidden"),
  "there is no such store": (next) => next.end("no-store"),
  "its token is refused": (next) => next.end("unauthenticated"),
  "a late one of the same session takes its place": (next) => next.end("replaced"),
  "nothing comes": (_, rig, old) => rig.live(old, 5_000),
  "it resumes ahead of us": (next) => next.snapshot({ position: 70n, resumed: true }),
  "it resumes in another epoch": (next) => next.snapshot({ position: 7n, resumed: true, epoch: "e2" }),
  "it resumes another store": (next) => next.snapshot({ position: 7n, resumed: true, store: OTHER }),
  "it begins without a snapshot": (next) => next.update(8n),
};

for (const [why, reason] of Object.entries(reasons)) {
  for (const [what, fail] of Object.entries(failures)) {
    test(`${why}; ${what}: the old stream is used, and tries continue meanwhile`, async () => {
      const rig = reason.rig();
      const old = await rig.connected(7n);
      old.heartbeat(7n);
      await reason.begin(rig, old);
      await settle();
      const said = [...rig.states];
      let position = 7n;
      for (let round = 0; round < 4; round += 1) {
        const tries = rig.streams.length;
        const next = rig.last();
        assert.ok(next !== old && !next.closed, "the next one is on its way");
        await fail(next, rig, old);
        await settle();
        position += 1n;
        old.update(position);
        old.heartbeat(position);
        for (let step = 0; step < 400 && rig.streams.length === tries; step += 1) await alive(rig, old, 100, position);
        assert.ok(rig.streams.length > tries, "it is tried again");
        assert.ok(!old.closed, "the old stream lives");
        assert.ok(rig.open.length <= 2, "two streams at most");
      }
      assert.deepEqual(rig.states, said, "nobody is told");
      assert.deepEqual(rig.positions, [8n, 9n, 10n, 11n]);

      const next = rig.last();
      next.snapshot({ position, resumed: next.request.afterPosition !== undefined });
      assert.ok(old.closed, "the next one has its snapshot");
      assert.deepEqual(rig.states.slice(said.length), ["connected"]);
    });
  }
}

for (const [why, reason] of Object.entries(reasons)) {
  test(`${why}, and no next stream can be opened: only the end of the old one is an interruption, and the next try follows immediately`, async () => {
    const rig = reason.rig();
    const old = await rig.connected(7n);
    await reason.begin(rig, old);
    await settle();
    for (let round = 0; round < 6; round += 1) {
      const tries = rig.streams.length;
      rig.last().end("unavailable");
      for (let step = 0; step < 200 && rig.streams.length === tries; step += 1) await alive(rig, old, 100, 7n);
    }
    rig.last().end("unavailable");
    assert.notEqual(rig.state, "reconnecting");
    old.end("unavailable");
    assert.equal(rig.state, "reconnecting");
    const tries = rig.streams.length;
    await rig.clock.advance(500);
    assert.equal(rig.streams.length, tries + 1, "as after any stream that had brought something");
  });
}

test("a token source that fails, or has no token, does not end the current stream", async () => {
  for (const error of [new Error("502"), new NoToken("logged out")]) {
    let answer = () => Promise.resolve("token");
    const rig = new Rig({ token: () => answer() });
    const old = await rig.connected(7n);
    answer = () => Promise.reject(error);
    rig.connection.tokenChanged();
    await alive(rig, old, 20_000, 7n);
    old.update(8n);
    assert.deepEqual([rig.states, rig.positions], [["connecting", "connected"], [8n]]);
    old.end("unavailable");
    assert.equal(rig.state, "reconnecting");
  }
});

test("a reconnect that comes before the next planned try is made at its own time", async () => {
  const rig = new Rig();
  const old = await rig.connected(7n);
  old.received = SIZE;
  await rig.live(old, 1);
  rig.last().end("forbidden");
  assert.equal(rig.streams.length, 2);
  old.send({ case: "reconnect", value: { after: { nanos: 100_000_000 } } });
  await rig.clock.advance(99);
  assert.equal(rig.streams.length, 2);
  await rig.clock.advance(1);
  assert.equal(rig.streams.length, 3);
});

test("a replica that hangs is not mistaken for a proxy that holds streams back", async () => {
  const memory = fakeMemory();
  const rig = new Rig({ memory });
  const old = await rig.connected(7n);
  old.heartbeat(7n);
  old.send({ case: "reconnect", value: {} });
  await rig.clock.advance(0);
  await alive(rig, old, 5_000, 7n);
  await alive(rig, old, 500, 7n);
  assert.deepEqual(rig.open.map(({ transport }) => transport), ["grpc-web", "grpc-web"]);
  // Twice, and the other way is tried; it is not remembered.
  await alive(rig, old, 5_000, 7n);
  await alive(rig, old, 1_000, 7n);
  assert.equal(rig.last().transport, "websocket");
  rig.resume();
  assert.equal(memory.getItem("ringpad.transport"), null);
});

/** Lets time pass with a stream that beats. */
async function alive(rig: Rig, stream: FakeStream, milliseconds: number, position: bigint): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 1_000) {
    await rig.clock.advance(Math.min(left, 1_000));
    stream.heartbeat(position);
  }
}

/** Another token each time. */
function fresh(): () => Promise<string> {
  let asked = 0;
  return () => Promise.resolve(`token-${(asked += 1)}`);
}

/** A token for 15 min, and then ones for a day. */
function soon(): () => Promise<string> {
  let asked = 0;
  return () => Promise.resolve(jwtFor((asked += 1) === 1 ? 900 : 86_400 + asked));
}
