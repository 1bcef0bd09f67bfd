// One stream and its deadlines: the first message within 5 s, and then never more than 2.5 heartbeat intervals of
// silence. A stream that is old or has brought much is worn: it goes on, but another should take its place. Tells its
// owner of messages, wear and the end; decides nothing else.

import { durationMs } from "@bufbuild/protobuf/wkt";
import type { SubscribeRequest, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Stream, StreamEnd, Transport, TransportName } from "./transport.ts";

const FIRST_MESSAGE_WITHIN = 5_000;
const SILENT_INTERVALS = 2.5;
const DEFAULT_HEARTBEAT = 5_000;
/** Bytes: what browsers and proxies keep of a response grows with it. */
const WORN_SIZE = 16 * 1024 * 1024;

/**
 * Why a link ended: its stream did, or a deadline passed, or its messages were not in order. `slept`: by the machine's own
 * clock a deadline passed, which says nothing of the way that messages take.
 */
export type LinkEnd = StreamEnd | "no-first-message" | "silent" | "slept" | "gap";

/** Who owns a link. */
export interface LinkOwner {
  message(link: Link, response: SubscribeResponse): void;
  /** At most once; the link is closed by then. */
  ended(link: Link, reason: LinkEnd): void;
  /** At most once: it is time for the next stream. This one goes on. */
  worn(link: Link): void;
}

/** What a link is made of. */
export interface LinkParts {
  transport: Transport;
  request: SubscribeRequest;
  token: string;
  /** Milliseconds until it is worn by age. */
  wornAfter: number;
  clock: Clock;
  owner: LinkOwner;
}

/** An open stream with its deadlines. */
export class Link {
  readonly transport: TransportName;
  readonly token: string;
  /** The session that it was opened for. */
  readonly session: string;
  readonly #clock: Clock;
  readonly #owner: LinkOwner;
  readonly #stream: Stream;
  readonly #opened: number;
  #heard: { now: number; wall: number };
  #messages = 0;
  #allowedSilence = FIRST_MESSAGE_WITHIN;
  #deadline: Timer;
  readonly #aging: Timer;
  #worn = false;
  #open = true;

  constructor({ transport, request, token, wornAfter, clock, owner }: LinkParts) {
    this.transport = transport.name;
    this.token = token;
    this.session = request.session;
    this.#clock = clock;
    this.#owner = owner;
    this.#opened = clock.now();
    this.#heard = { now: this.#opened, wall: clock.wall() };
    // First, for it may throw: no timer of ours must be left then.
    this.#stream = transport.open(request, token, {
      message: (response) => this.#message(response),
      end: (reason) => this.end(reason),
    });
    this.#deadline = clock.after(FIRST_MESSAGE_WITHIN, () => this.#watch());
    this.#aging = clock.after(wornAfter, () => this.#wear());
  }

  /** Messages so far. */
  get messages(): number {
    return this.#messages;
  }

  /** Whether it is more than its greeting, snapshot and heartbeat: a third message shows that nothing holds it back. */
  get flows(): boolean {
    return this.#messages > 2;
  }

  /** Milliseconds since it was opened. */
  age(): number {
    return this.#clock.now() - this.#opened;
  }

  /** Ends the link now if it has been silent too long, the time the machine slept included. */
  check(): void {
    if (this.#clock.now() - this.#heard.now >= this.#allowedSilence) this.#endSilent();
    else if (this.#clock.wall() - this.#heard.wall >= this.#allowedSilence) this.end("slept");
  }

  /** Closes the stream and tells the owner why. */
  end(reason: LinkEnd): void {
    if (!this.#open) return;
    this.close();
    this.#owner.ended(this, reason);
  }

  /** Closes the stream; the owner hears nothing more of it. */
  close(): void {
    this.#open = false;
    this.#deadline.cancel();
    this.#aging.cancel();
    this.#stream.close();
  }

  #message(response: SubscribeResponse): void {
    if (!this.#open) return;
    this.#heard = { now: this.#clock.now(), wall: this.#clock.wall() };
    this.#messages += 1;
    if (response.event.case === "snapshot") {
      const interval = response.event.value.heartbeatInterval;
      this.#allowedSilence = SILENT_INTERVALS * ((interval && durationMs(interval)) || DEFAULT_HEARTBEAT);
      this.#deadline.cancel();
      this.#deadline = this.#clock.after(this.#allowedSilence, () => this.#watch());
    }
    this.#owner.message(this, response);
    if (this.#open && this.#stream.received >= WORN_SIZE) this.#wear();
  }

  #wear(): void {
    if (this.#worn) return;
    this.#worn = true;
    this.#owner.worn(this);
  }

  /** One timer that looks again, instead of a new one for each message. */
  #watch(): void {
    const left = this.#heard.now + this.#allowedSilence - this.#clock.now();
    if (left > 0) this.#deadline = this.#clock.after(left, () => this.#watch());
    else this.#endSilent();
  }

  #endSilent(): void {
    this.end(this.#messages === 0 ? "no-first-message" : "silent");
  }
}
