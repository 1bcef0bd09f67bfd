// The return from WebSocket to gRPC-Web, and the change away from a transport whose streams break.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeMemory, jwtFor, Rig, settle, type FakeStream } from "./fakes.ts";

const MINUTE = 60_000;
const SIZE = 16 * 1024 * 1024;
const REMEMBERED = "ringpad.transport";

/** A pad that fell back to WebSocket in an earlier page load. */
async function onWebSocket(parts: ConstructorParameters<typeof Rig>[0] = {}) {
  const memory = fakeMemory();
  memory.setItem(REMEMBERED, "websocket");
  const rig = new Rig({ memory, ...parts });
  rig.random = 0;
  const first = await rig.connected(7n);
  assert.equal(first.transport, "websocket");
  return { rig, memory, first };
}

/** The network cuts the last stream after `age`, and the next one comes. */
async function cut(rig: Rig, age = 60_000): Promise<FakeStream> {
  await rig.live(rig.last(), age);
  rig.last().end("network");
  await rig.clock.advance(1_000);
  return rig.resume();
}

test("when a WebSocket should be replaced, gRPC-Web is tried, and preferred again if it works", async () => {
  const { rig, memory, first } = await onWebSocket();
  await rig.live(first, 30 * MINUTE);
  const probe = rig.last();
  assert.equal(probe.transport, "grpc-web");
  assert.notEqual(probe.request.session, "session-1", "the server would end our living stream");
  assert.match(probe.request.session, /^[0-9a-f-]{36}$/);
  assert.ok(!first.closed);
  rig.resume();
  assert.ok(first.closed);
  assert.equal(memory.getItem(REMEMBERED), null);
  await rig.live(probe, 30 * MINUTE);
  assert.deepEqual([rig.last().transport, rig.last().request.session], ["grpc-web", probe.request.session]);
  assert.deepEqual(rig.states, ["connecting", "connected", "connected"]);
});

test("if gRPC-Web is still held back, the WebSocket continues, and another WebSocket replaces it", async () => {
  const { rig, memory, first } = await onWebSocket();
  const probes: FakeStream[] = [];
  for (let current = first; probes.length < 3; ) {
    await rig.live(current, 30 * MINUTE);
    const probe = rig.last();
    probes.push(probe);
    assert.equal(probe.transport, "grpc-web");
    await rig.live(current, 5_000);
    assert.ok(probe.closed);
    assert.ok(!current.closed);
    assert.equal(rig.open.length, 2);
    assert.deepEqual([rig.last().transport, rig.last().request.session], ["websocket", "session-1"]);
    current = rig.resume();
    assert.equal(rig.open.length, 1);
  }
  assert.equal(memory.getItem(REMEMBERED), "websocket");
  assert.ok(!rig.states.includes("reconnecting"));
  const sessions = new Set(probes.map(({ request }) => request.session));
  assert.equal(sessions.size, 1, "probes that a proxy keeps open would take up all of the pad's places");
});

test("if gRPC-Web fails, the WebSocket is replaced by another one", async () => {
  for (const reason of ["network", "unavailable"] as const) {
    const { rig, memory, first } = await onWebSocket();
    await rig.live(first, 30 * MINUTE);
    rig.last().end(reason);
    await rig.live(first, 500);
    assert.deepEqual([rig.last().transport, rig.last().request.session], ["websocket", "session-1"]);
    rig.resume();
    assert.equal(memory.getItem(REMEMBERED), "websocket");
    assert.ok(!rig.states.includes("reconnecting"));
  }
});

test("gRPC-Web is not tried after `reconnect`, without a current stream, or soon after the fallback", async () => {
  const { rig, first } = await onWebSocket();
  rig.random = 1;
  first.received = SIZE;
  await rig.live(first, 1);
  assert.equal(rig.last().transport, "websocket");
  const second = rig.resume();
  await rig.live(second, 40 * MINUTE);
  second.send({ case: "reconnect", value: {} });
  await rig.live(second, 1);
  assert.equal(rig.last().transport, "websocket");
  const third = rig.resume();
  third.end("network");
  await rig.clock.advance(500);
  assert.equal(rig.last().transport, "websocket");
});

test("gRPC-Web is not tried again soon after a try", async () => {
  const { rig, first } = await onWebSocket();
  await rig.live(first, 30 * MINUTE);
  rig.last().end("network");
  await rig.live(first, 500);
  const second = rig.resume();
  second.received = SIZE;
  await rig.live(second, 1);
  assert.equal(rig.last().transport, "websocket");
});

test("gRPC-Web is not tried again soon after the fallback, also on a page that has been open for long", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  await rig.live(rig.last(), 50 * MINUTE);
  for (let i = 0; i < 3; i += 1) await cut(rig);
  const first = await cut(rig);
  assert.equal(first.transport, "websocket");
  first.received = SIZE;
  await rig.live(first, 1);
  assert.equal(rig.last().transport, "websocket");
});

test("if tokens are renewed more often than streams are replaced, gRPC-Web is tried at a renewal", async () => {
  let tokens = 0;
  const { rig } = await onWebSocket({ token: () => Promise.resolve(jwtFor(900 * (tokens += 1))) });
  const transports: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    await rig.live(rig.last(), i === 0 ? 14 * MINUTE : 15 * MINUTE);
    transports.push(rig.last().transport);
    rig.resume();
  }
  assert.deepEqual(transports, ["websocket", "websocket", "grpc-web"]);
});

test("after three streams in a row that broke early, WebSocket is used, and remembered if it works", async () => {
  const memory = fakeMemory();
  const rig = new Rig({ memory });
  await rig.connected(7n);
  await cut(rig);
  await cut(rig);
  assert.equal(rig.last().transport, "grpc-web");
  rig.last().end("network");
  await rig.clock.advance(500);
  assert.equal(rig.last().transport, "websocket");
  assert.equal(memory.getItem(REMEMBERED), null);
  rig.resume();
  assert.equal(memory.getItem(REMEMBERED), "websocket");
  rig.last().end("unavailable");
  await rig.clock.advance(500);
  assert.equal(rig.last().transport, "websocket");
});

test("a stream that lives for two minutes shows that its transport works, however it ends", async () => {
  for (const ends of ["network", "unavailable", "rotation"] as const) {
    const rig = new Rig();
    await rig.connected(7n);
    await cut(rig);
    await cut(rig);
    const good = rig.last();
    if (ends === "rotation") good.received = SIZE - 1;
    await rig.live(good, 2 * MINUTE);
    if (ends === "rotation") {
      good.received = SIZE;
      await rig.live(good, 1);
    } else {
      good.end(ends);
      await rig.clock.advance(500);
    }
    rig.resume();
    await cut(rig);
    assert.equal((await cut(rig)).transport, "grpc-web", ends);
    assert.equal((await cut(rig)).transport, "websocket", ends);
  }
});

test("only broken streams of the preferred transport count", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  await cut(rig);
  await cut(rig);
  rig.last().end("unavailable");
  // The other way for once, after errors.
  for (const wait of [500, 1_000, 2_000]) {
    await rig.clock.advance(wait);
    if (rig.last().transport === "grpc-web") rig.last().end("network");
  }
  assert.equal(rig.resume().transport, "websocket");
  assert.equal((await cut(rig)).transport, "grpc-web");
  assert.equal((await cut(rig)).transport, "websocket");
});

test("streams that the server ends do not count as broken", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  for (let i = 0; i < 6; i += 1) {
    rig.last().end("unavailable");
    await rig.clock.advance(1_000);
    assert.equal(rig.resume().transport, "grpc-web");
  }
});

test("if streams break and WebSocket fails too, gRPC-Web is used again", async () => {
  const memory = fakeMemory();
  const rig = new Rig({ memory });
  await rig.connected(7n);
  await cut(rig);
  await cut(rig);
  rig.last().end("network");
  await rig.clock.advance(500);
  for (const wait of [1_000, 2_000]) {
    assert.equal(rig.last().transport, "websocket");
    rig.last().end("network");
    await rig.clock.advance(wait);
  }
  assert.equal(rig.resume().transport, "grpc-web");
  await cut(rig);
  assert.equal(rig.last().transport, "grpc-web");
  assert.equal(memory.getItem(REMEMBERED), null);
});

test("after the return to gRPC-Web one broken stream is enough for the fallback, unless a stream has lived long since", async () => {
  for (const [age, transport] of [
    [60_000, "websocket"],
    [2 * MINUTE, "grpc-web"],
  ] as const) {
    const { rig, first } = await onWebSocket();
    await rig.live(first, 30 * MINUTE);
    assert.equal(rig.resume().transport, "grpc-web");
    assert.equal((await cut(rig, age)).transport, transport);
  }
});

test("if WebSockets break, gRPC-Web is used, unless it is held back", async () => {
  const { rig, memory } = await onWebSocket();
  await cut(rig);
  await cut(rig);
  assert.equal((await cut(rig)).transport, "grpc-web");
  assert.equal(memory.getItem(REMEMBERED), null);
  // Now it greets, and then brings nothing.
  await rig.clock.advance(12_500);
  await settle();
  rig.resume();
  for (let i = 0; i < 5; i += 1) assert.equal((await cut(rig)).transport, "websocket");
});

test("gRPC-Web counts as held back only until it has worked", async () => {
  const { rig, first } = await onWebSocket();
  await rig.live(first, 30 * MINUTE);
  await rig.live(first, 5_000);
  await rig.live(rig.resume(), 30 * MINUTE);
  assert.equal(rig.resume().transport, "grpc-web");
  assert.equal((await cut(rig)).transport, "websocket");
  await cut(rig);
  await cut(rig);
  assert.equal((await cut(rig)).transport, "grpc-web");
});

test("a browser without session storage can fall back as well", async () => {
  const refuse = () => {
    throw new Error("storage is refused");
  };
  const rig = new Rig({ memory: { getItem: () => null, setItem: refuse, removeItem: refuse } });
  await rig.start();
  await rig.clock.advance(5_000);
  const stream = rig.last();
  assert.equal(stream.transport, "websocket");
  stream.snapshot({ position: 7n });
  assert.deepEqual([rig.snapshots, rig.state], [[7n], "connected"]);
});
