// What a stream of a store's events is to the client, whichever way the bytes come.

import type { SubscribeRequest, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";

/** The two ways to the server; both carry the same messages. */
export type TransportName = "grpc-web" | "websocket";

/** Why a stream ended. */
export type StreamEnd =
  /** The token is bad or has expired. */
  | "unauthenticated"
  /** The origin or the store is not allowed. */
  | "forbidden"
  /** There is no such store. */
  | "no-store"
  /** A newer stream of the same session took over. */
  | "replaced"
  /** The server took the stream and ended it: leaving, too slow, too many, the log out of reach. */
  | "unavailable"
  /** The connection was refused or cut. */
  | "network";

/** Gets what a stream brings. */
export interface StreamHandlers {
  message(response: SubscribeResponse): void;
  /** At most once, last, and not after `close`. */
  end(reason: StreamEnd): void;
}

/** An open stream. */
export interface Stream {
  /** Bytes that came so far, or near enough. */
  readonly received: number;
  /** No handler is called afterwards. */
  close(): void;
}

/** Opens streams. Handlers are called later, never from within `open`. */
export interface Transport {
  readonly name: TransportName;
  open(request: SubscribeRequest, token: string, handlers: StreamHandlers): Stream;
}
