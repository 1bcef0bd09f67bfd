// Which way to try next. gRPC-Web first; WebSocket where a proxy holds streams back or keeps cutting them (remembered
// for the browser session), and as a second way after repeated network errors (not remembered: the server may simply
// have been away). A shop that fell back tries gRPC-Web again now and then, beside its living WebSocket.

import type { Clock } from "./clock.ts";
import type { Transport, TransportName } from "./transport.ts";

const REMEMBERED = "ringpad.transport";
const ERRORS_BEFORE_OTHER = 2;
/** Streams in a row that were cut young: one is an accident. */
const CUTS_BEFORE_OTHER = 3;
/** Milliseconds; a stream that lived longer was not cut by a proxy's habit. */
const YOUNG = 120_000;
/** Milliseconds between attempts to come back from the fallback: no longer than a stream lives until it is worn. */
const PROBE_AFTER = 30 * 60_000;

/** The part of `sessionStorage` that is used. */
export type Memory = Pick<Storage, "getItem" | "setItem" | "removeItem">;

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
  readonly #clock: Clock;
  #home: TransportName;
  #next: TransportName;
  /** The way that is not home becomes it when it works. */
  #moving = false;
  #errors = 0;
  #cuts = 0;
  /** gRPC-Web is known to be held back. */
  #heldBack = false;
  /** When WebSocket became home, or gRPC-Web was last tried beside it. */
  #awaySince: number;

  constructor(transports: Record<TransportName, Transport>, memory: Memory | undefined, clock: Clock) {
    this.#transports = transports;
    this.#memory = memory;
    this.#clock = clock;
    this.#home = memory?.getItem(REMEMBERED) === "websocket" ? "websocket" : "grpc-web";
    this.#next = this.#home;
    this.#awaySince = clock.now();
  }

  next(): Transport {
    return this.#transports[this.#next];
  }

  /** gRPC-Web, if we fell back from it long enough ago to try it again; it is home if it works. */
  probe(): Transport | undefined {
    if (this.#home === "grpc-web" || this.#clock.now() - this.#awaySince < PROBE_AFTER) return undefined;
    this.#awaySince = this.#clock.now();
    this.#moving = true;
    return this.#transports["grpc-web"];
  }

  /** `name` brought its first message. */
  worked(name: TransportName): void {
    this.#errors = 0;
    if (name === "grpc-web") this.#heldBack = false;
    if (this.#moving && name !== this.#home) this.#moveTo(name);
    this.#moving = false;
    this.#next = this.#home;
  }

  /** `name` brought none. True: the other way is worth trying at once. */
  missed(name: TransportName, miss: Miss): boolean {
    if (miss === "buffered") {
      this.#heldBack ||= name === "grpc-web";
      this.#moving = name === "grpc-web";
      this.#switchFrom(name);
      return name === "grpc-web";
    }
    this.#errors += 1;
    if (this.#errors >= ERRORS_BEFORE_OTHER) this.#switchFrom(name);
    return false;
  }

  /** A stream that had worked is over at `age`; `cut`: by the network, not by the server or us. */
  over(name: TransportName, age: number, cut: boolean): void {
    if (age >= YOUNG) this.#cuts = 0;
    else if (cut && name === this.#home) this.#cuts += 1;
    if (this.#cuts < CUTS_BEFORE_OTHER) return;
    this.#cuts = 0;
    // A stream that is cut now and then is better than one that brings nothing.
    if (name === "websocket" && this.#heldBack) return;
    this.#moving = true;
    this.#switchFrom(name);
  }

  #switchFrom(name: TransportName): void {
    this.#errors = 0;
    this.#next = name === "grpc-web" ? "websocket" : "grpc-web";
  }

  #remember(name: TransportName): void {
    try {
      if (name === "websocket") this.#memory?.setItem(REMEMBERED, name);
      else this.#memory?.removeItem(REMEMBERED);
    } catch {
      // Refused or full: then it is found out again after a reload.
    }
  }

  #moveTo(name: TransportName): void {
    this.#home = name;
    this.#awaySince = this.#clock.now();
    this.#remember(name);
    // Whoever comes back is on probation: where streams are cut, one cut shows that nothing has changed.
    this.#cuts = name === "grpc-web" ? CUTS_BEFORE_OTHER - 1 : 0;
  }
}
