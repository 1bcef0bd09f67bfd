// The wire: golden fixtures that the Rust tests read too, the WebSocket's codec, and what the ends of streams mean.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { create, equals, fromBinary, fromJson, toBinary, toJson, type JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { endOfGrpc } from "../src/client/grpc_web.ts";
import { decodeResponse, encodeFirstMessage, endOfWebSocket, webSocketUrl } from "../src/client/websocket.ts";
import { SubscribeRequestSchema, SubscribeResponseSchema } from "../src/gen/ringpad/v1/pad_pb.ts";
import { fixtureFiles, samples } from "./wire_samples.ts";

const DIRECTORY = "../tests/fixtures/wire";
const read = (name: string) => readFileSync(`${DIRECTORY}/${name}`, "utf8");

test("the fixtures are what `npm run fixtures` writes", () => {
  const files = fixtureFiles();
  assert.deepEqual(readdirSync(DIRECTORY).sort(), [...files.keys()].sort());
  for (const [name, content] of files) assert.equal(read(name), content, name);
});

for (const [name, message] of Object.entries(samples)) {
  test(`fixture ${name}: JSON and bytes are the same message, in both directions`, () => {
    const json = JSON.parse(read(`${name}.json`)) as JsonValue;
    const bytes = Buffer.from(read(`${name}.b64`), "base64");
    assert.ok(equals(SubscribeResponseSchema, decodeResponse(read(`${name}.json`)), message));
    assert.ok(equals(SubscribeResponseSchema, fromBinary(SubscribeResponseSchema, bytes), message));
    assert.deepEqual(toJson(SubscribeResponseSchema, fromBinary(SubscribeResponseSchema, bytes)), json);
    assert.deepEqual(Buffer.from(toBinary(SubscribeResponseSchema, fromJson(SubscribeResponseSchema, json))), bytes);
  });
}

test("times in another form are read as well", () => {
  const response = decodeResponse('{"heartbeat":{"serverTime":"2025-11-23T14:31:15.007+09:00","position":42}}');
  assert.ok(samples["heartbeat"] && equals(SubscribeResponseSchema, response, samples["heartbeat"]));
});

test("unknown fields of a newer server are ignored, and invalid messages are refused", () => {
  assert.equal(decodeResponse('{"heartbeat":{"position":"1","mood":"calm"}}').event.case, "heartbeat");
  assert.equal(decodeResponse('{"fanfare":{}}').event.case, undefined);
  assert.throws(() => decodeResponse("hello"));
  assert.throws(() => decodeResponse('{"heartbeat":7}'));
});

test("the first message carries the token and the request, a position of 0 included", () => {
  const request = create(SubscribeRequestSchema, { afterPosition: 0n, epoch: "e1", session: "s1" });
  assert.deepEqual(JSON.parse(encodeFirstMessage(request, "t")), {
    token: "t",
    afterPosition: "0",
    epoch: "e1",
    session: "s1",
  });
  const first = create(SubscribeRequestSchema, { session: "s1" });
  assert.deepEqual(JSON.parse(encodeFirstMessage(first, "t")), { token: "t", session: "s1" });
});

test("the WebSocket's address follows the page's", () => {
  assert.equal(webSocketUrl("http://127.0.0.1:8081"), "ws://127.0.0.1:8081/v1/subscribe");
  assert.equal(webSocketUrl("https://pads.example.com/"), "wss://pads.example.com/v1/subscribe");
});

test("stream ends mean the same on both transports", () => {
  const pairs = [
    [Code.Unauthenticated, 4401, "unauthenticated"],
    [Code.PermissionDenied, 4403, "forbidden"],
    [Code.NotFound, 4404, "no-store"],
    [Code.Aborted, 4409, "replaced"],
    [Code.ResourceExhausted, 4429, "unavailable"],
    [Code.Unavailable, 1013, "unavailable"],
    [Code.Unavailable, 1001, "unavailable"],
    [Code.Unknown, 1006, "network"],
  ] as const;
  for (const [grpc, webSocket, end] of pairs) {
    assert.equal(endOfGrpc(new ConnectError("x", grpc)), end);
    assert.equal(endOfWebSocket(webSocket), end);
  }
  assert.equal(endOfGrpc(new TypeError("Failed to fetch")), "network");
  assert.equal(endOfWebSocket(4408), "network");
});
