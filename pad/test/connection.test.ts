import assert from "node:assert/strict";
import { test } from "node:test";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { fakeMemory, Rig, SERVER_EPOCH, settle } from "./fakes.ts";

test("the first stream is requested without a position, and its calls replace all", async () => {
  const rig = new Rig();
  const stream = await rig.start();
  assert.equal(stream.transport, "grpc-web");
  assert.equal(stream.request.afterPosition, undefined);
  assert.equal(stream.request.session, "session-1");
  assert.equal(stream.token, "token");
  assert.equal(rig.state, "connecting");
  stream.snapshot({ position: 7n });
  assert.deepEqual(rig.snapshots, [7n]);
  assert.equal(rig.state, "connected");
});

test("position 0 is valid", async () => {
  const rig = new Rig();
  (await rig.connected(0n)).end("network");
  await rig.clock.advance(500);
  assert.equal(rig.last().request.afterPosition, 0n);
});

test("a reconnect continues after the last position, and nothing is delivered twice", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.update(8n);
  first.update(9n);
  first.end("network");
  assert.equal(rig.state, "reconnecting");
  await rig.clock.advance(500);
  const second = rig.last();
  assert.equal(second.request.afterPosition, 9n);
  assert.equal(second.request.epoch, "e1");
  second.snapshot({ position: 9n, resumed: true });
  second.update(9n);
  second.update(10n);
  assert.deepEqual(rig.positions, [8n, 9n, 10n]);
  assert.deepEqual(rig.snapshots, [7n]);
});

test("a gap is never skipped: the next stream begins at our position", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.update(8n);
  first.update(10n);
  assert.ok(first.closed);
  await rig.clock.advance(500);
  assert.equal(rig.last().request.afterPosition, 8n);
  rig.last().snapshot({ position: 8n, resumed: true });
  for (const position of [9n, 10n, 11n]) rig.last().update(position);
  assert.deepEqual(rig.positions, [8n, 9n, 10n, 11n]);
});

test("a heartbeat ahead of us is a gap", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.heartbeat(8n);
  assert.ok(first.closed);
  await rig.clock.advance(500);
  assert.equal(rig.last().request.afterPosition, 7n);
});

test("a gap that repeats is requested with back-off", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  const waits: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    rig.last().heartbeat(8n);
    waits.push(rig.clock.nextIn ?? -1);
    await rig.clock.advance(rig.clock.nextIn ?? 0);
    rig.last().snapshot({ position: 7n, resumed: true });
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 10_000]);
});

test("a snapshot that resumes ahead of us, or in another epoch, is a gap", async () => {
  for (const snapshot of [
    { position: 8n, resumed: true },
    { position: 7n, resumed: true, epoch: "e2" },
  ]) {
    const rig = new Rig();
    (await rig.connected(7n)).end("network");
    await rig.clock.advance(500);
    const second = rig.last();
    second.snapshot(snapshot);
    assert.ok(second.closed);
    assert.notEqual(rig.state, "connected");
  }
});

test("a snapshot that does not resume replaces all, and its epoch and position are used from then on", async () => {
  const rig = new Rig();
  (await rig.connected(700n)).end("network");
  await rig.clock.advance(500);
  rig.last().snapshot({ position: 3n, epoch: "e2" });
  rig.last().update(4n);
  rig.last().end("network");
  await rig.clock.advance(500);
  assert.deepEqual(rig.snapshots, [700n, 3n]);
  assert.deepEqual(rig.positions, [4n]);
  assert.deepEqual([rig.last().request.epoch, rig.last().request.afterPosition], ["e2", 4n]);
});

test("an early ring is delivered immediately, and again in order", async () => {
  const rig = new Rig();
  const stream = await rig.connected(7n);
  const call = { id: "a", revision: 9n, state: CallState.RINGING };
  stream.send({ case: "early", value: { call } });
  stream.update(8n);
  stream.send({ case: "update", value: { position: 9n, call } });
  assert.deepEqual(
    rig.events.map(({ position, call: { id } }) => [position, id]),
    [
      [undefined, "a"],
      [8n, "call-8"],
      [9n, "a"],
    ],
  );
});

test("a stream ends after 2.5 heartbeat intervals of silence, not earlier", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  await rig.clock.advance(12_499);
  assert.ok(!first.closed);
  first.heartbeat(7n);
  await rig.clock.advance(12_499);
  assert.ok(!first.closed);
  await rig.clock.advance(1);
  assert.ok(first.closed);
});

test("after a sleep checkNow() finds the dead stream", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  rig.connection.checkNow();
  assert.ok(!first.closed);
  rig.clock.slept = 60_000;
  rig.connection.checkNow();
  assert.ok(first.closed);
});

test("checkNow() does not wait for the next try", async () => {
  const rig = new Rig();
  (await rig.connected(7n)).end("network");
  assert.equal(rig.streams.length, 1);
  rig.connection.checkNow();
  await settle();
  assert.equal(rig.streams.length, 2);
  await rig.clock.advance(4_000);
  assert.equal(rig.open.length, 1);
});

test("after `reconnect` the next stream is opened, and the old one is closed at the next one's snapshot", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.send({ case: "reconnect", value: { after: { seconds: 3n } } });
  await rig.clock.advance(2_999);
  assert.equal(rig.streams.length, 1);
  await rig.clock.advance(1);
  const second = rig.last();
  assert.notEqual(second, first);
  first.update(8n);
  assert.ok(!first.closed);
  second.snapshot({ position: 7n, resumed: true });
  assert.ok(first.closed);
  second.update(8n);
  second.update(9n);
  assert.deepEqual(rig.positions, [8n, 9n]);
  assert.deepEqual(rig.states, ["connecting", "connected", "connected"]);
});

test("after `reconnect`, while the next stream cannot be opened, the old one is still used", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.send({ case: "reconnect", value: {} });
  await rig.clock.advance(0);
  rig.last().end("unavailable");
  first.update(8n);
  await rig.clock.advance(500);
  assert.equal(rig.streams.length, 3);
  assert.equal(rig.last().request.afterPosition, 8n);
  assert.ok(!rig.states.includes("reconnecting"));
});

test("after `reconnect` the server may end the old stream as replaced", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.send({ case: "reconnect", value: {} });
  await rig.clock.advance(0);
  first.end("replaced");
  rig.last().snapshot({ position: 7n, resumed: true });
  assert.equal(rig.state, "connected");
  assert.equal(rig.open.length, 1);
});

test("after `replaced` there is one more try; then the state is shown, with slow tries", async () => {
  const rig = new Rig();
  (await rig.connected(7n)).end("replaced");
  await rig.clock.advance(500);
  rig.last().snapshot({ position: 7n, resumed: true });
  rig.last().end("replaced");
  assert.equal(rig.state, "replaced");
  await rig.clock.advance(29_000);
  assert.equal(rig.streams.length, 2);
  await rig.clock.advance(1_000);
  assert.equal(rig.streams.length, 3);
  rig.last().end("replaced");
  assert.equal(rig.state, "replaced");
  rig.connection.retryNow();
  await settle();
  assert.equal(rig.streams.length, 4);
  rig.resume();
  assert.equal(rig.state, "connected");
});

test("a token for another store begins with a fresh snapshot, without the old position", async () => {
  const rig = new Rig();
  (await rig.connected(7n)).end("network");
  await rig.clock.advance(500);
  rig.last().snapshot({ position: 7n, resumed: true, store: { id: "other", name: "서초 세차장" } });
  await rig.clock.advance(500);
  assert.equal(rig.last().request.afterPosition, undefined);
  rig.last().snapshot({ position: 3n, store: { id: "other", name: "서초 세차장" } });
  rig.last().update(4n);
  assert.deepEqual([rig.snapshots, rig.positions], [[7n, 3n], [4n]]);
});

test("back-off grows while no message comes, and is reset by a message", async () => {
  const rig = new Rig();
  await rig.start();
  const waits: number[] = [];
  for (let i = 0; i < 7; i += 1) {
    rig.last().end("unavailable");
    waits.push(rig.clock.nextIn ?? -1);
    await rig.clock.advance(rig.clock.nextIn ?? 0);
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  rig.last().snapshot({ position: 7n });
  rig.last().end("unavailable");
  assert.equal(rig.clock.nextIn, 500);
});

test("without a first message within 5 s, WebSocket is used immediately, and remembered", async () => {
  const memory = fakeMemory();
  const rig = new Rig({ memory });
  await rig.start();
  await rig.clock.advance(4_999);
  assert.equal(rig.streams.length, 1);
  await rig.clock.advance(1);
  assert.deepEqual(
    rig.open.map(({ transport }) => transport),
    ["websocket"],
  );
  assert.equal(rig.state, "connecting");
  rig.last().snapshot({ position: 7n });
  rig.last().end("network");
  await rig.clock.advance(500);
  assert.equal(rig.last().transport, "websocket");

  const reloaded = new Rig({ memory });
  assert.equal((await reloaded.start()).transport, "websocket");
});

test("a stream that is silent after its snapshot is held back too", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  await rig.clock.advance(12_500);
  assert.equal(rig.last().transport, "websocket");
});

test("after two network errors the other transport is used, but not remembered", async () => {
  const memory = fakeMemory();
  const rig = new Rig({ memory });
  await rig.start();
  rig.last().end("network");
  await rig.clock.advance(500);
  assert.equal(rig.last().transport, "grpc-web");
  rig.last().end("network");
  await rig.clock.advance(1_000);
  assert.equal(rig.last().transport, "websocket");
  rig.last().snapshot({ position: 7n });
  rig.last().end("network");
  await rig.clock.advance(500);
  assert.equal(rig.last().transport, "grpc-web");
  assert.equal(memory.getItem("ringpad.transport"), null);
});

test("a server that is unavailable does not count against the transport", async () => {
  const rig = new Rig();
  await rig.start();
  for (let i = 0; i < 5; i += 1) {
    rig.last().end("unavailable");
    await rig.clock.advance(rig.clock.nextIn ?? 0);
  }
  assert.equal(rig.last().transport, "grpc-web");
});

test("time comes from the server", async () => {
  const rig = new Rig();
  assert.equal(rig.connection.serverNow(), undefined);
  await rig.connected(7n);
  await rig.clock.advance(1_500);
  assert.equal(rig.connection.serverNow(), SERVER_EPOCH + 1_500);
});

test("an exception in a listener changes neither the stream nor the order", async () => {
  const reported: unknown[] = [];
  globalThis.reportError = (error: unknown) => void reported.push(error);
  const rig = new Rig();
  const stream = await rig.connected(7n);
  const push = rig.events.push.bind(rig.events);
  rig.events.push = () => {
    throw new Error("a mistake");
  };
  stream.update(8n);
  rig.events.push = push;
  stream.update(9n);
  assert.equal(reported.length, 1);
  assert.deepEqual(rig.positions, [9n]);
  assert.ok(!stream.closed);
});

test("nothing happens after close", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  rig.connection.close();
  await rig.clock.advance(60_000);
  rig.connection.checkNow();
  rig.connection.retryNow();
  await settle();
  assert.equal(rig.open.length, 0);
  assert.equal(rig.streams.length, 1);
  assert.equal(rig.state, "closed");
});
