// A stream of a store's events, for both transports.

import type { SubscribeRequest, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";

/** The two transports; both carry the same messages. */
export type TransportName = "grpc-web" | "websocket";

/** Why a stream ended. */
export type StreamEnd =
  /** The token is not valid, or has expired. */
  | "unauthenticated"
  /** The origin or the store is not allowed. */
  | "forbidden"
  /** There is no such store. */
  | "no-store"
  /** A newer stream of the same session has replaced this one. */
  | "replaced"
  /** The server accepted the stream and ended it: it drains, the pad is too slow, too many streams, the log cannot be reached. */
  | "unavailable"
  /** The connection was refused or broke. */
  | "network";

/** Gets the messages and the end of a stream. */
export interface StreamHandlers {
  message(response: SubscribeResponse): void;
  /** Called at most once, as the last one, and not after `close`. */
  end(reason: StreamEnd): void;
}

/** An open stream. */
export interface Stream {
  /** Bytes received so far, approximately. */
  readonly received: number;
  /** No handler is called afterwards. */
  close(): void;
}

/** Opens streams. Handlers are called later, never during `open`. */
export interface Transport {
  readonly name: TransportName;
  open(request: SubscribeRequest, token: string, handlers: StreamHandlers): Stream;
}
