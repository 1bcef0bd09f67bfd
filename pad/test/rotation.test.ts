// A stream is replaced now and then without an interruption.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { countingFetch } from "../src/client/grpc_web.ts";
import { Link } from "../src/client/link.ts";
import type { StreamHandlers, Transport } from "../src/client/transport.ts";
import { webSocket } from "../src/client/websocket.ts";
import { SubscribeRequestSchema, SubscribeResponseSchema } from "../src/gen/ringpad/v1/pad_pb.ts";
import { FakeClock, Rig } from "./fakes.ts";

const MINUTE = 60_000;
const SIZE = 16 * 1024 * 1024;

test("after 30 to 60 min the next stream is opened, and the old one is closed at its snapshot", async () => {
  for (const [random, minutes] of [
    [0, 30],
    [0.5, 45],
    [1, 60],
  ] as const) {
    const rig = new Rig();
    rig.random = random;
    const first = await rig.connected(7n);
    await rig.live(first, minutes * MINUTE - 1);
    assert.equal(rig.streams.length, 1);
    await rig.live(first, 1);
    assert.equal(rig.streams.length, 2);
    assert.equal(rig.last().request.afterPosition, 7n);
    assert.equal(rig.last().request.session, "session-1");
    first.update(8n);
    assert.ok(!first.closed);
    rig.resume();
    assert.ok(first.closed);
    rig.last().update(8n);
    rig.last().update(9n);
    assert.deepEqual(rig.positions, [8n, 9n]);
    assert.deepEqual(rig.states, ["connecting", "connected", "connected"]);
  }
});

test("each stream is replaced after its own time", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  for (let streams = 2; streams < 5; streams += 1) {
    await rig.live(rig.last(), 60 * MINUTE);
    assert.equal(rig.streams.length, streams);
    rig.resume();
    assert.equal(rig.open.length, 1);
  }
});

test("16 MiB wear a stream out as well, once", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.received = SIZE - 1;
  await rig.live(first, 1);
  assert.equal(rig.streams.length, 1);
  first.received = SIZE;
  await rig.live(first, 1);
  assert.equal(rig.streams.length, 2);
  await rig.live(first, 1);
  assert.equal(rig.streams.length, 2);
  assert.ok(!first.closed);
  rig.resume();
  assert.deepEqual([first.closed, rig.state], [true, "connected"]);
});

test("a link asks its owner once for a replacement", async () => {
  const clock = new FakeClock();
  const stream = { received: 0, close() {} };
  let message: StreamHandlers["message"] = () => {};
  const transport: Transport = {
    name: "websocket",
    open: (_request, _token, handlers) => ((message = handlers.message), stream),
  };
  let asked = 0;
  const owner = { message() {}, ended() {}, replaceDue: () => void (asked += 1) };
  const request = create(SubscribeRequestSchema);
  const link = new Link({ transport, request, token: "token", replaceAfter: 2_000, clock, owner });
  const [wait, beat] = [() => clock.advance(1_000), () => message(create(SubscribeResponseSchema))];
  beat();
  assert.equal(asked, 0);
  stream.received = SIZE;
  for (const step of [beat, beat, wait, wait, beat]) {
    await step();
    assert.equal(asked, 1);
  }
  link.close();
});

test("while no next stream can be opened the old one continues and the state does not change", async () => {
  for (const reason of ["network", "unavailable", "forbidden"] as const) {
    const rig = new Rig();
    const first = await rig.connected(7n);
    first.received = SIZE;
    await rig.live(first, 1);
    const waits: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const tries = rig.streams.length;
      rig.last().end(reason);
      const failed = rig.clock.now();
      for (let step = 0; step < 4_000 && rig.streams.length === tries; step += 1) await rig.live(first, 10);
      waits.push(rig.clock.now() - failed);
    }
    assert.deepEqual(waits, reason === "forbidden" ? [30_000, 30_000, 30_000] : [500, 1_000, 2_000]);
    first.update(8n);
    assert.deepEqual(rig.positions, [8n]);
    assert.equal(rig.open.length, 2);
    assert.deepEqual(rig.states, ["connecting", "connected"]);
  }
});

test("a stream that is sent away and reaches its byte limit immediately is replaced once", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.send({ case: "reconnect", value: { after: { seconds: 3n } } });
  first.received = SIZE;
  await rig.live(first, 2_999);
  assert.equal(rig.streams.length, 1);
  await rig.live(first, 1);
  first.send({ case: "reconnect", value: {} });
  await rig.live(first, 4_000);
  assert.equal(rig.streams.length, 2);
});

test("the server gives the place to the next stream before its snapshot: no cut", async () => {
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.received = SIZE;
  await rig.live(first, 1);
  first.end("replaced");
  assert.equal(rig.state, "connected");
  rig.resume();
  rig.last().update(8n);
  assert.deepEqual(rig.states, ["connecting", "connected", "connected"]);
  assert.deepEqual(rig.positions, [8n]);
});

test("the server gives the place to the next stream, and that one does not come: a cut", async () => {
  for (const reason of ["network", "unavailable", "replaced", "unauthenticated"] as const) {
    const rig = new Rig();
    const first = await rig.connected(7n);
    first.received = SIZE;
    await rig.live(first, 1);
    first.end("replaced");
    rig.last().end(reason);
    assert.equal(rig.state, "reconnecting", reason);
  }
  const rig = new Rig();
  const first = await rig.connected(7n);
  first.received = SIZE;
  await rig.live(first, 1);
  first.end("replaced");
  await rig.clock.advance(5_000);
  assert.deepEqual([rig.state, rig.last().transport], ["reconnecting", "websocket"]);
});

test("any other end of the old stream is a cut, although the next is on its way", async () => {
  for (const reason of ["network", "unavailable", "unauthenticated"] as const) {
    const rig = new Rig();
    const first = await rig.connected(7n);
    first.received = SIZE;
    await rig.live(first, 1);
    first.end(reason);
    assert.equal(rig.state, "reconnecting", reason);
    rig.resume();
    assert.equal(rig.state, "connected");
    assert.equal(rig.streams.length, 2);
  }
});

test("a stream that greets and then stays silent is a cut", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  await rig.clock.advance(12_500);
  assert.equal(rig.state, "reconnecting");
});

test("a closed stream is not replaced", async () => {
  const rig = new Rig();
  await rig.connected(7n);
  rig.connection.close();
  assert.equal(rig.clock.nextIn, undefined);
});

test("the bytes of an answer are counted as they come, and the answer is the same", async () => {
  const original = globalThis.fetch;
  let counted = 0;
  const counting = countingFetch((bytes) => (counted += bytes));
  try {
    let send: (text: string) => void = () => {};
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void (send = (text) => controller.enqueue(new TextEncoder().encode(text))),
    });
    globalThis.fetch = () => Promise.resolve(new Response(body, { status: 202, headers: { "x-a": "b" } }));
    const response = await counting("http://pads");
    assert.deepEqual([response.status, response.headers.get("x-a"), counted], [202, "b", 0]);
    const reader = response.body?.getReader();
    for (const [text, total] of [["세차", 6], ["ab", 8]] as const) {
      send(text);
      assert.equal(new TextDecoder().decode((await reader?.read())?.value), text);
      assert.equal(counted, total);
    }
    globalThis.fetch = () => Promise.resolve(new Response(null, { status: 204 }));
    assert.equal((await counting("http://pads")).status, 204);
  } finally {
    globalThis.fetch = original;
  }
});

test("the messages of a WebSocket are counted", () => {
  const sockets: FakeSocket[] = [];
  class FakeSocket {
    onmessage?: (event: { data: unknown }) => void;
    constructor() {
      sockets.push(this);
    }
    close() {}
  }
  const original = globalThis.WebSocket;
  globalThis.WebSocket = FakeSocket as unknown as typeof WebSocket;
  try {
    const handlers = { message() {}, end() {} };
    const stream = webSocket("http://pads").open(create(SubscribeRequestSchema), "token", handlers);
    assert.equal(stream.received, 0);
    for (const data of ['{"heartbeat":{}}', "{}"]) sockets[0]?.onmessage?.({ data });
    assert.equal(stream.received, 18);
  } finally {
    globalThis.WebSocket = original;
  }
});
