// Which way to try next. gRPC-Web first; WebSocket where a proxy buffers streams (remembered for the browser session),
// and as a second way after repeated network errors (not remembered: the server may simply have been away).

import type { Transport, TransportName } from "./transport.ts";

const REMEMBERED = "ringpad.transport";
const ERRORS_BEFORE_OTHER = 2;

/** The part of `sessionStorage` that is used. */
export type Memory = Pick<Storage, "getItem" | "setItem">;

/** What became of an attempt that brought no stream. */
export type Miss =
  /** Open, but silent: held back on the way. */
  | "buffered"
  /** Refused or cut. */
  | "error";

/** Picks the transport of each attempt. */
export class TransportChoice {
  readonly #transports: Record<TransportName, Transport>;
  readonly #memory: Memory | undefined;
  #home: TransportName;
  #next: TransportName;
  #errors = 0;
  #becauseBuffered = false;

  constructor(transports: Record<TransportName, Transport>, memory: Memory | undefined) {
    this.#transports = transports;
    this.#memory = memory;
    this.#home = memory?.getItem(REMEMBERED) === "websocket" ? "websocket" : "grpc-web";
    this.#next = this.#home;
  }

  next(): Transport {
    return this.#transports[this.#next];
  }

  /** `name` brought its first message. */
  worked(name: TransportName): void {
    this.#errors = 0;
    if (name === "websocket" && this.#becauseBuffered) {
      this.#home = "websocket";
      this.#memory?.setItem(REMEMBERED, "websocket");
    }
    this.#becauseBuffered = false;
    this.#next = this.#home;
  }

  /** `name` brought none. True: the other way is worth trying at once. */
  missed(name: TransportName, miss: Miss): boolean {
    if (miss === "buffered") {
      this.#becauseBuffered = name === "grpc-web";
      this.#switchFrom(name);
      return name === "grpc-web";
    }
    this.#errors += 1;
    if (this.#errors >= ERRORS_BEFORE_OTHER) this.#switchFrom(name);
    return false;
  }

  #switchFrom(name: TransportName): void {
    this.#errors = 0;
    this.#next = name === "grpc-web" ? "websocket" : "grpc-web";
  }
}
