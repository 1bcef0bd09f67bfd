// The machine's own clock is set, or stands still: nothing is deleted because of an estimate of the server's time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { NoToken } from "../src/client/tokens.ts";
import { CallSchema, CallState, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { Board } from "../src/page/board.ts";
import { jwtFor, Rig, SERVER_EPOCH } from "./fakes.ts";

const HOURS = 3_600_000;
const RING = 30_000;

test("a clock that is set forward during a ring hides the ring only until the next heartbeat", async () => {
  for (const forward of [11_000, HOURS, 48 * HOURS]) {
    const rig = new Rig();
    const stream = await rig.connected(0n);
    stream.ring(1n, RING);
    rig.clock.slept = forward;
    // The page looks again: by its clock the machine slept.
    stream.ring(2n, RING);
    await rig.clock.advance(2_000);
    stream.heartbeat(2n);
    assert.equal(rig.ringing.at(-1), "call-1 call-2", `${forward} ms`);
    for (let beat = 0; beat < 4; beat += 1) {
      await rig.clock.advance(6_000);
      stream.heartbeat(2n);
    }
    await rig.clock.advance(RING - 26_001);
    assert.equal(rig.ringing.at(-1), "call-1 call-2", "as long as it rings");
    await rig.clock.advance(1);
    assert.equal(rig.ringing.at(-1), "");
    stream.heartbeat(2n);
    assert.equal(rig.ringing.at(-1), "", "its time is over");
    assert.equal(rig.state, "connected");
  }
});

test("a clock that is set back hides no ring, and makes none longer", async () => {
  const rig = new Rig();
  const stream = await rig.connected(0n);
  stream.ring(1n, RING);
  rig.clock.slept = -5 * HOURS;
  stream.ring(2n, RING);
  await rig.clock.advance(5_000);
  stream.heartbeat(2n);
  assert.deepEqual(rig.ringing, ["call-1", "call-1 call-2"]);
  for (let beat = 0; beat < 5; beat += 1) {
    await rig.clock.advance(5_000);
    stream.heartbeat(2n);
  }
  assert.equal(rig.ringing.at(-1), "");
});

test("a clock that is set forward and back again hides a ring only in between", async () => {
  const rig = new Rig();
  const stream = await rig.connected(0n);
  stream.ring(1n, RING);
  rig.clock.slept = 5 * HOURS;
  stream.ring(2n, RING);
  assert.equal(rig.ringing.at(-1), "");
  rig.clock.slept = 0;
  stream.ring(3n, RING);
  assert.equal(rig.ringing.at(-1), "call-1 call-2 call-3");
});

test("after a sleep no ring from before it is shown again", async () => {
  const rig = new Rig();
  const stream = await rig.connected(0n);
  stream.ring(1n, RING);
  // The monotonic clock stood still.
  rig.clock.slept = 3 * HOURS;
  rig.serverSlept = 3 * HOURS;
  stream.heartbeat(1n);
  assert.deepEqual(rig.ringing, ["call-1", ""]);
  stream.ring(2n, RING);
  assert.equal(rig.ringing.at(-1), "call-2");
});

test("calls whose end is not reported are kept up to a limit", async () => {
  const rig = new Rig();
  const stream = await rig.connected(0n);
  for (let position = 1n; position <= 300n; position += 1n) stream.ring(position, RING);
  assert.equal(rig.ringing.at(-1)?.split(" ").length, 200);
  assert.match(rig.ringing.at(-1) ?? "", /^call-101 /);
});

test("a token that works is kept when the clock is set, and is renewed in time", async () => {
  const tokens = [jwtFor(600)];
  const rig = new Rig({ token: () => (tokens[0] ? Promise.resolve(tokens[0]) : Promise.reject(new NoToken("there is none"))) });
  const stream = await rig.connected(0n);
  assert.equal(rig.asked.length, 1);
  rig.clock.slept = 5 * HOURS;
  tokens.pop();
  stream.end("network");
  await rig.clock.advance(1_000);
  assert.equal(rig.asked.length, 1, "the source is not asked");
  assert.equal(rig.last().token, jwtFor(600));
  const next = rig.resume();
  assert.equal(rig.state, "connected");
  tokens.push(jwtFor(1_200));
  await rig.live(next, 550_000);
  assert.equal(rig.last().token, jwtFor(1_200), "renewed before it expires");
});

test("a clock that is set does not change the transport", async () => {
  const rig = new Rig();
  const stream = await rig.connected(0n);
  rig.clock.slept = HOURS;
  rig.connection.checkNow();
  assert.ok(stream.closed);
  await rig.clock.advance(1_000);
  assert.equal(rig.last().transport, "grpc-web", "no fall-back to WebSocket");
});

const T = SERVER_EPOCH;

function ringing(id: string, revision: bigint, more: MessageInitShape<typeof CallSchema> = {}): Call {
  const usual = { id, revision, state: CallState.RINGING, startedAt: timestampFromMs(T) };
  return create(CallSchema, { ...usual, ...more } as MessageInitShape<typeof CallSchema>);
}

const shown = (board: Board, now: number, atLeast: number) => board.popups(now, atLeast).map(({ call, phase }) => `${call.id} ${phase}`);

test("a popup whose time seems to be over is hidden, and shown again after the correction", () => {
  const board = new Board();
  board.apply(ringing("a", 1n), T + RING, T);
  assert.deepEqual(shown(board, T + 5 * HOURS, T + 1_000), []);
  board.corrected(-5 * HOURS);
  assert.deepEqual(shown(board, T + 2_000, T + 2_000), ["a ringing"]);
  assert.deepEqual(shown(board, T + 6 * 60_000, T + 6 * 60_000), []);
  // Now it is over for good.
  board.apply(ringing("a", 2n, { state: CallState.MISSED }), undefined, T + 7 * 60_000);
  assert.deepEqual(shown(board, T + 7 * 60_000, T + 7 * 60_000), []);
});

test("a ring that comes while the clock is wrong pops up after the correction", () => {
  const board = new Board();
  board.apply(ringing("a", 1n), T + RING, T + 5 * HOURS);
  board.apply(ringing("late", 2n), T - 1, T + 5 * HOURS);
  assert.deepEqual(shown(board, T + 5 * HOURS, T), []);
  board.corrected(-5 * HOURS);
  assert.deepEqual(shown(board, T + 3_000, T + 3_000), ["a ringing"]);
  assert.equal(board.popups(T + 3_000)[0]?.ringingSince, T);
  board.dismiss("a");
  assert.deepEqual(shown(board, T + 4_000, T + 4_000), [], "a popup comes once");
});

test("a popup stays as long as usual, also if the clock was wrong when its call ended", () => {
  for (const wrong of [-5 * HOURS, 5 * HOURS]) {
    const board = new Board();
    board.apply(ringing("a", 1n), T + RING, T);
    board.apply(ringing("a", 2n, { state: CallState.COMPLETED }), undefined, T + wrong);
    board.corrected(-wrong);
    assert.deepEqual(shown(board, T + 11_000, T + 11_000), ["a ended"], `${wrong} ms`);
    assert.deepEqual(shown(board, T + 12_000, T + 12_000), []);
  }
});
