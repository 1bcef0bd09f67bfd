// Streams over a WebSocket, for places where a proxy holds gRPC-Web responses back. `GET /v1/subscribe`, subprotocol
// `ringpad.v1.json`: the pad sends the first message; then each message is one SubscribeResponse in proto3 JSON.

import { fromJson, toJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { SubscribeRequestSchema, SubscribeResponseSchema } from "../gen/ringpad/v1/pad_pb.ts";
import type { SubscribeRequest, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";
import type { StreamEnd, Transport } from "./transport.ts";

const PATH = "/v1/subscribe";
const SUBPROTOCOL = "ringpad.v1.json";

const ENDS: Record<number, StreamEnd> = {
  1000: "unavailable",
  1001: "unavailable",
  1013: "unavailable",
  4401: "unauthenticated",
  4403: "forbidden",
  4404: "no-store",
  4409: "replaced",
  4429: "unavailable",
};

/** What a close code means for the client. */
export function endOfWebSocket(code: number): StreamEnd {
  return ENDS[code] ?? "network";
}

/** The first message, for which the server waits: the request, and the token, which must not be in the address. */
export function encodeFirstMessage(request: SubscribeRequest, token: string): string {
  return JSON.stringify({ token, ...(toJson(SubscribeRequestSchema, request) as JsonObject) });
}

/** One message of the server. Throws if it is not a SubscribeResponse; unknown fields of a newer server are ignored. */
export function decodeResponse(text: string): SubscribeResponse {
  return fromJson(SubscribeResponseSchema, JSON.parse(text) as JsonValue, { ignoreUnknownFields: true });
}

/** `https://host/base` → `wss://host/base/v1/subscribe`. */
export function webSocketUrl(url: string): string {
  return url.replace(/^http/, "ws").replace(/\/$/, "") + PATH;
}

/** A transport to the push service at `url`. */
export function webSocket(url: string): Transport {
  return {
    name: "websocket",
    open(request, token, handlers) {
      const socket = new WebSocket(webSocketUrl(url), SUBPROTOCOL);
      let open = true;
      let received = 0;
      const end = (reason: StreamEnd) => {
        if (!open) return;
        open = false;
        socket.close();
        handlers.end(reason);
      };
      socket.onopen = () => socket.send(encodeFirstMessage(request, token));
      socket.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (!open) return;
        if (typeof data === "string") received += data.length;
        const response = tryDecode(data);
        if (response) handlers.message(response);
        else end("network");
      };
      socket.onclose = ({ code }) => end(endOfWebSocket(code));
      return {
        get received() {
          return received;
        },
        close() {
          open = false;
          socket.close();
        },
      };
    },
  };
}

function tryDecode(data: unknown): SubscribeResponse | undefined {
  if (typeof data !== "string") return undefined;
  try {
    return decodeResponse(data);
  } catch {
    // Not a valid message: the stream ends, and the next one begins at our position.
    return undefined;
  }
}
