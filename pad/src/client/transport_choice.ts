// Chooses the transport of the next stream. gRPC-Web first; WebSocket if a proxy holds streams back or ends them again and
// again (remembered for the browser session), and also after repeated network errors (not remembered: the server may just
// have been unavailable). After a fallback, gRPC-Web is tried again now and then, while the WebSocket stays open.

import type { Clock } from "./clock.ts";
import type { Transport, TransportName } from "./transport.ts";

const STORAGE_KEY = "ringpad.transport";
const ERRORS_BEFORE_OTHER = 2;
/** Streams in a row that broke early; a single one may have many causes. */
const CUTS_BEFORE_OTHER = 3;
/** Milliseconds; a stream that lived longer was not ended by a proxy's time limit. */
const EARLY = 120_000;
/** Milliseconds between attempts to return from the fallback: at most the time after which a stream is replaced. */
const PROBE_AFTER = 30 * 60_000;

/** The part of `sessionStorage` that is used. */
export type Memory = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Why an attempt brought no stream. */
export type AttemptFailure =
  /** Open, but silent: a proxy holds the response back. */
  | "buffered"
  /** Refused or broken. */
  | "error";

/** Chooses the transport of each attempt. */
export class TransportChoice {
  readonly #transports: Record<TransportName, Transport>;
  readonly #memory: Memory | undefined;
  readonly #clock: Clock;
  #preferred: TransportName;
  #next: TransportName;
  /** The other transport becomes the preferred one when it works. */
  #switching = false;
  #errors = 0;
  #cuts = 0;
  /** A proxy is known to hold gRPC-Web back. */
  #heldBack = false;
  /** When WebSocket became the preferred transport, or gRPC-Web was last tried while it was. */
  #fallbackSince: number;

  constructor(transports: Record<TransportName, Transport>, memory: Memory | undefined, clock: Clock) {
    this.#transports = transports;
    this.#memory = memory;
    this.#clock = clock;
    this.#preferred = memory?.getItem(STORAGE_KEY) === "websocket" ? "websocket" : "grpc-web";
    this.#next = this.#preferred;
    this.#fallbackSince = clock.now();
  }

  next(): Transport {
    return this.#transports[this.#next];
  }

  /** gRPC-Web, if the fallback was long enough ago to try it again; it becomes the preferred transport if it works. */
  probe(): Transport | undefined {
    if (this.#preferred === "grpc-web" || this.#clock.now() - this.#fallbackSince < PROBE_AFTER) return undefined;
    this.#fallbackSince = this.#clock.now();
    this.#switching = true;
    return this.#transports["grpc-web"];
  }

  /** The first message came over `name`. */
  worked(name: TransportName): void {
    this.#errors = 0;
    if (name === "grpc-web") this.#heldBack = false;
    if (this.#switching && name !== this.#preferred) this.#prefer(name);
    this.#switching = false;
    this.#next = this.#preferred;
  }

  /** No message came over `name`. True: try the other transport immediately. */
  failed(name: TransportName, failure: AttemptFailure): boolean {
    if (failure === "buffered") {
      this.#heldBack ||= name === "grpc-web";
      this.#switching = name === "grpc-web";
      this.#switchFrom(name);
      return name === "grpc-web";
    }
    this.#errors += 1;
    if (this.#errors >= ERRORS_BEFORE_OTHER) this.#switchFrom(name);
    return false;
  }

  /** A stream that had worked ended at `age` (ms); `cut`: by the network, not by the server or by us. */
  ended(name: TransportName, age: number, cut: boolean): void {
    if (age >= EARLY) this.#cuts = 0;
    else if (cut && name === this.#preferred) this.#cuts += 1;
    if (this.#cuts < CUTS_BEFORE_OTHER) return;
    this.#cuts = 0;
    // A stream that breaks now and then is better than one over which nothing comes.
    if (name === "websocket" && this.#heldBack) return;
    this.#switching = true;
    this.#switchFrom(name);
  }

  #switchFrom(name: TransportName): void {
    this.#errors = 0;
    this.#next = name === "grpc-web" ? "websocket" : "grpc-web";
  }

  #remember(name: TransportName): void {
    try {
      if (name === "websocket") this.#memory?.setItem(STORAGE_KEY, name);
      else this.#memory?.removeItem(STORAGE_KEY);
    } catch {
      // Not allowed, or full: then the transport is chosen again after a reload.
    }
  }

  #prefer(name: TransportName): void {
    this.#preferred = name;
    this.#fallbackSince = this.#clock.now();
    this.#remember(name);
    // After the return to gRPC-Web a single broken stream is enough to fall back again.
    this.#cuts = name === "grpc-web" ? CUTS_BEFORE_OTHER - 1 : 0;
  }
}
