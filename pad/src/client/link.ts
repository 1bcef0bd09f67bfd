// One stream and its deadlines: the first message within 5 s, and then never more than 2.5 heartbeat intervals of
// silence. A stream that is too old or has received too much continues, but should be replaced. The owner gets the
// messages, the request for a replacement and the end; the link decides nothing else.

import { durationMs } from "@bufbuild/protobuf/wkt";
import type { SubscribeRequest, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";
import type { Clock, Timer } from "./clock.ts";
import type { Stream, StreamEnd, Transport, TransportName } from "./transport.ts";

const FIRST_MESSAGE_WITHIN = 5_000;
const SILENT_INTERVALS = 2.5;
const DEFAULT_HEARTBEAT = 5_000;
/** Bytes of a response after which it is replaced: browsers and proxies may keep all of it in memory. */
const REPLACE_SIZE = 16 * 1024 * 1024;

/**
 * Why a link ended: its stream ended, or a deadline passed, or its messages were not in order. `slept`: a deadline passed
 * by the machine's own clock only, which says nothing about the network path.
 */
export type LinkEnd = StreamEnd | "no-first-message" | "silent" | "slept" | "gap";

/** Gets the events of a link. */
export interface LinkOwner {
  message(link: Link, response: SubscribeResponse): void;
  /** Called at most once, after the link is closed. */
  ended(link: Link, reason: LinkEnd): void;
  /** Called at most once: the stream is too old or too large, and should be replaced. It continues. */
  replaceDue(link: Link): void;
}

/** What a link is made of. */
export interface LinkParts {
  transport: Transport;
  request: SubscribeRequest;
  token: string;
  /** Milliseconds until the stream is too old. */
  replaceAfter: number;
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
  #lastReceived: { now: number; wall: number };
  #messages = 0;
  #allowedSilence = FIRST_MESSAGE_WITHIN;
  #deadline: Timer;
  readonly #aging: Timer;
  #replacementAsked = false;
  #open = true;

  constructor({ transport, request, token, replaceAfter, clock, owner }: LinkParts) {
    this.transport = transport.name;
    this.token = token;
    this.session = request.session;
    this.#clock = clock;
    this.#owner = owner;
    this.#opened = clock.now();
    this.#lastReceived = { now: this.#opened, wall: clock.wall() };
    // Before the timers: it may throw, and then no timer must be left.
    this.#stream = transport.open(request, token, {
      message: (response) => this.#message(response),
      end: (reason) => this.end(reason),
    });
    this.#deadline = clock.after(FIRST_MESSAGE_WITHIN, () => this.#watch());
    this.#aging = clock.after(replaceAfter, () => this.#askForReplacement());
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
    if (this.#clock.now() - this.#lastReceived.now >= this.#allowedSilence) this.#endSilent();
    else if (this.#clock.wall() - this.#lastReceived.wall >= this.#allowedSilence) this.end("slept");
  }

  /** Closes the stream, and reports the reason to the owner. */
  end(reason: LinkEnd): void {
    if (!this.#open) return;
    this.close();
    this.#owner.ended(this, reason);
  }

  /** Closes the stream without a report to the owner. */
  close(): void {
    this.#open = false;
    this.#deadline.cancel();
    this.#aging.cancel();
    this.#stream.close();
  }

  #message(response: SubscribeResponse): void {
    if (!this.#open) return;
    this.#lastReceived = { now: this.#clock.now(), wall: this.#clock.wall() };
    this.#messages += 1;
    if (response.event.case === "snapshot") {
      const interval = response.event.value.heartbeatInterval;
      this.#allowedSilence = SILENT_INTERVALS * ((interval && durationMs(interval)) || DEFAULT_HEARTBEAT);
      this.#deadline.cancel();
      this.#deadline = this.#clock.after(this.#allowedSilence, () => this.#watch());
    }
    this.#owner.message(this, response);
    if (this.#open && this.#stream.received >= REPLACE_SIZE) this.#askForReplacement();
  }

  #askForReplacement(): void {
    if (this.#replacementAsked) return;
    this.#replacementAsked = true;
    this.#owner.replaceDue(this);
  }

  /** One timer that is set again, instead of a new one for each message. */
  #watch(): void {
    const left = this.#lastReceived.now + this.#allowedSilence - this.#clock.now();
    if (left > 0) this.#deadline = this.#clock.after(left, () => this.#watch());
    else this.#endSilent();
  }

  #endSilent(): void {
    this.end(this.#messages === 0 ? "no-first-message" : "silent");
  }
}
