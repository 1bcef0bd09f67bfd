// The life of a pad's connection: which stream is open, what its messages mean, and when the next one is opened.
//
//   open ──► first message ──► connected ──► end ──► back-off ──► open …
//                                  │ reconnect{after}, too old or too large, a new token
//                                  └─► open the next stream; the old one is closed at the next one's snapshot
//
// If the next stream cannot be opened, it is tried again with back-off, and the old one continues: the state stays
// "connected". Only when the old one ends first, the state changes. A next stream that only tries gRPC-Web again while a
// WebSocket is open has another session, because the server ends the older stream of a session as soon as it accepts the
// newer one, whose messages a proxy may hold back. It is kept if its messages arrive.
//
// Invariants: each position is delivered once and in order, over any number of streams; a gap ends the stream, and the
// next one begins at our position. At most two streams are open, and only the one whose snapshot came last is used.

import { create } from "@bufbuild/protobuf";
import { durationMs, timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { SubscribeRequestSchema } from "../gen/ringpad/v1/pad_pb.ts";
import type { Snapshot, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";
import { backoff, slowRetry } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { Cursor } from "./cursor.ts";
import { Link, type LinkEnd, type LinkOwner } from "./link.ts";
import { notify, type ConnectionListener, type ConnectionState } from "./listener.ts";
import { ServerTime } from "./server_time.ts";
import { Renewal } from "./renewal.ts";
import { NoToken, type Tokens } from "./tokens.ts";
import type { Transport, TransportName } from "./transport.ts";
import { TransportChoice } from "./transport_choice.ts";
import { newUuid } from "./uuid.ts";

/** What a connection is made of. */
export interface ConnectionParts {
  transports: TransportChoice;
  tokens: Tokens;
  session: string;
  clock: Clock;
  random: () => number;
  listener: ConnectionListener;
}

/** From this number on, the state is "replaced", and tries are slow. */
const ABORTS_IN_A_ROW = 2;
/** Milliseconds. A server replaces a stream within 10 s; one that lived longer than this is not part of the same conflict. */
const CONFLICT_WITHIN = 60_000;
/** Milliseconds until a stream is replaced, and up to as much again at random, so that pads do not do it at the same time. */
const REPLACE_AFTER = 30 * 60_000;
/** Refusals that last: shown until a try succeeds, and not hidden by each slow try. */
const REFUSALS: Partial<Record<LinkEnd, ConnectionState>> = {
  unauthenticated: { kind: "needs-token" },
  forbidden: { kind: "forbidden" },
  "no-store": { kind: "no-store" },
};

/** A connection that reconnects by itself. */
export class Connection {
  readonly #parts: ConnectionParts;
  readonly #tokens: Tokens;
  readonly #cursor = new Cursor();
  readonly #serverTime = new ServerTime();
  readonly #renewal: Renewal;
  #state: ConnectionState = { kind: "closed" };
  #session: string;
  /** The session of all probes: a proxy may keep a lost probe open at the server, and the next one replaces it there. */
  #spareSession = newUuid();
  /** The stream whose messages are used. */
  #current: Link | undefined;
  /** The stream that is being opened. */
  #next: Link | undefined;
  #retry: Timer | undefined;
  /** The time of the next try, by the monotonic clock. */
  #retryAt = 0;
  /** Counts tries, so that a token that arrives late is not used. */
  #try = 0;
  #asking = false;
  /** A listener may close the connection in any of its methods. */
  #closed = false;
  #failures = 0;
  #gaps = 0;
  #aborts = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#tokens = parts.tokens;
    this.#session = parts.session;
    const serverAtLeast = () => this.serverAtLeast();
    this.#renewal = new Renewal({ ...parts, serverAtLeast, onToken: () => this.#rotate() });
  }

  /** Opens the first stream. */
  start(): void {
    this.#setState({ kind: "connecting" });
    this.#open();
  }

  /** The estimated server's time, ms since 1970; undefined before the first message. For what is shown. */
  serverNow(): number | undefined {
    const { clock } = this.#parts;
    return this.#serverTime.at(clock.now(), clock.wall());
  }

  /** The earliest possible server's time, ms since 1970; undefined before the first message. For what is deleted. */
  serverAtLeast(): number | undefined {
    return this.#serverTime.atLeast(this.#parts.clock.now());
  }

  /** Checks now whether the streams are alive, and makes the next try now. */
  checkNow(): void {
    this.#current?.check();
    this.#next?.check();
    if (this.#retry) this.#open();
  }

  /** Tries again now, in any state: the cause may have been removed, e.g. there is another token. */
  retryNow(): void {
    if (this.#closed) return;
    this.#aborts = 0;
    if (this.#isRefused()) this.#tokens.forget();
    const replaced = this.#state.kind === "replaced";
    if (replaced) this.#setState({ kind: "reconnecting" });
    if (replaced || this.#retry) this.#open();
  }

  /** There is another token: asks the source for it, and replaces the current stream by one with that token. */
  tokenChanged(): void {
    this.#aborts = 0;
    this.#tokens.forget();
    this.#open();
  }

  /** Ends it for good. */
  close(): void {
    this.#cancelTry();
    this.#renewal.stop();
    this.#current?.close();
    this.#current = undefined;
    this.#setState({ kind: "closed" });
    this.#closed = true;
  }

  #open(probe?: Transport): void {
    if (this.#closed) return;
    this.#cancelTry();
    void this.#openWithToken(this.#try, probe);
  }

  /** Opens the next stream while the current one continues, unless that has begun already. */
  #rotate(): void {
    if (this.#isTrying()) return;
    this.#open(this.#current?.transport === "websocket" ? this.#parts.transports.probe() : undefined);
  }

  async #openWithToken(attempt: number, probe: Transport | undefined): Promise<void> {
    let token: string;
    this.#asking = true;
    try {
      token = await this.#tokens.next(this.serverAtLeast());
    } catch (error) {
      if (attempt !== this.#try) return;
      this.#asking = false;
      if (error instanceof NoToken) this.#refusedWith({ kind: "needs-token" });
      else this.#failed();
      return;
    }
    if (attempt !== this.#try) return;
    this.#asking = false;
    // The same token again: it is not sent immediately. The slow tries send it, since the server may accept it later.
    if (this.#tokens.stillRefused && !this.#isRefused()) return this.#refusedWith({ kind: "needs-token" });
    const transport = probe ?? this.#parts.transports.next();
    try {
      this.#next = this.#link(transport, token, probe !== undefined);
    } catch (error) {
      // No stream could be made, e.g. because the browser does not accept the address.
      reportError(error);
      this.#parts.transports.failed(transport.name, "error");
      this.#failed();
    }
  }

  #link(transport: Transport, token: string, probing: boolean): Link {
    const { clock, random } = this.#parts;
    const { resumption, epoch } = this.#cursor;
    const request = create(SubscribeRequestSchema, { epoch, session: probing ? this.#spareSession : this.#session });
    if (resumption !== undefined) request.afterPosition = resumption;
    const owner: LinkOwner = {
      message: (link, response) => this.#message(link, response),
      ended: (link, reason) => this.#ended(link, reason),
      replaceDue: (link) => {
        if (link === this.#current) this.#rotate();
      },
    };
    const replaceAfter = REPLACE_AFTER * (1 + random());
    return new Link({ transport, request, token, replaceAfter, clock, owner });
  }

  #message(link: Link, { event }: SubscribeResponse): void {
    if (event.case === "snapshot") return this.#snapshot(link, event.value);
    // Only a snapshot makes a stream the current one: a stream that begins in another way breaks the protocol.
    if (link !== this.#current) return link.end("gap");
    switch (event.case) {
      case "update":
        return this.#update(link, event.value.position, event.value.call, event.value.popUntil);
      case "early":
        return this.#deliver(event.value.call, event.value.popUntil, undefined);
      case "heartbeat":
        this.#sample(event.value.serverTime);
        if (this.#cursor.isBehind(event.value.position)) link.end("gap");
        return;
      case "reconnect":
        return this.#reconnectIn(link, event.value.after ? durationMs(event.value.after) : 0);
      case undefined:
        // An event of a newer server. If it has a position, the next update shows the gap.
        return;
    }
  }

  #snapshot(link: Link, snapshot: Snapshot): void {
    const verdict = this.#cursor.snapshot(snapshot);
    if (verdict === "gap") return link.end("gap");
    this.#sample(snapshot.serverTime);
    if (link === this.#next) {
      if (this.#current) this.#streamOver(this.#current, false);
      this.#current?.close();
      this.#current = link;
      this.#next = undefined;
      if (link.session !== this.#session) [this.#session, this.#spareSession] = [link.session, this.#session];
    }
    this.#failures = 0;
    this.#tokens.accepted();
    this.#parts.transports.worked(link.transport);
    this.#renewal.follow(link.token);
    if (verdict === "replace") notify(() => this.#parts.listener.onSnapshot(snapshot));
    this.#setState({ kind: "connected", store: snapshot.store, transport: link.transport });
  }

  #update(link: Link, position: bigint, call: Call | undefined, popUntil: Timestamp | undefined): void {
    const verdict = this.#cursor.update(position);
    if (verdict === "gap") return link.end("gap");
    if (verdict === "seen") return;
    this.#gaps = 0;
    this.#deliver(call, popUntil, position);
  }

  #deliver(call: Call | undefined, popUntil: Timestamp | undefined, position: bigint | undefined): void {
    if (!call) return;
    const event = { call, popUntil: popUntil && timestampMs(popUntil), position };
    notify(() => this.#parts.listener.onCall(event));
  }

  /** The replica drains: opens the next stream after `delay`, also if a try was planned for later. */
  #reconnectIn(link: Link, delay: number): void {
    const at = this.#parts.clock.now() + delay;
    if (this.#next || this.#asking || (this.#retry && this.#retryAt <= at)) return;
    this.#retry?.cancel();
    this.#retryAt = at;
    this.#retry = this.#parts.clock.after(delay, () => {
      if (link === this.#current) this.#open();
    });
  }

  #ended(link: Link, reason: LinkEnd): void {
    const opened = link === this.#current;
    if (opened) {
      this.#streamOver(link, reason === "network");
      this.#current = undefined;
      // It worked until its end: failures of the streams that were to replace it do not delay the next try.
      this.#failures = 0;
    }
    if (link === this.#next) this.#next = undefined;
    // The server ends the older stream of a session just before it sends the newer one's snapshot: that is no interruption.
    if (opened && reason === "replaced" && this.#next?.session === link.session) return;
    // The current stream has ended, and the next one is being opened.
    if (opened && (this.#next || this.#asking)) return this.#setState({ kind: "reconnecting" });
    if (reason === "replaced") return this.#replaced(link);
    if (reason === "unauthenticated") return this.#unauthenticated(link);
    if (reason === "no-store") this.#cursor.storeIsGone();
    const refusal = REFUSALS[reason];
    if (refusal) return this.#refusedWith(refusal);
    if (reason === "gap") this.#failures = this.#gaps++;
    this.#judgeTransport(link, reason);
  }

  /** The current stream has ended, or was replaced. */
  #streamOver(link: Link, cut: boolean): void {
    this.#renewal.stop();
    this.#parts.transports.ended(link.transport, link.age(), cut);
  }

  /** The server did not refuse the stream: the network path may be bad, or the server unavailable. */
  #judgeTransport(link: Link, reason: LinkEnd): void {
    const quiet = reason === "no-first-message" || (reason === "silent" && !link.flows);
    // Messages arrive over the same transport, so no proxy holds them back: the replica hangs.
    const hangs = quiet && this.#flows(link.transport);
    if (quiet && !hangs && this.#parts.transports.failed(link.transport, "buffered")) {
      if (!this.#current && this.#state.kind === "connected") this.#setState({ kind: "reconnecting" });
      return this.#open();
    }
    if ((hangs || reason === "network") && link.messages === 0) this.#parts.transports.failed(link.transport, "error");
    this.#failed();
  }

  /** Whether messages arrive over this transport now. */
  #flows(transport: TransportName): boolean {
    return this.#current?.transport === transport && this.#current.flows;
  }

  #failed(): void {
    if (!this.#current && !this.#isRefused()) this.#setState({ kind: "reconnecting" });
    this.#openAfter(backoff(this.#failures++, this.#parts.random));
  }

  /** Once is normal: the token has expired. Twice in a row a person must help. */
  #unauthenticated(link: Link): void {
    if (!this.#tokens.refused(link.token) || this.#isRefused()) return this.#refusedWith({ kind: "needs-token" });
    if (!this.#current) this.#setState({ kind: "reconnecting" });
    this.#open();
  }

  /** An old request of ours that overtook a newer one looks like another client: so try once more. */
  #replaced(link: Link): void {
    if (link.age() > CONFLICT_WITHIN) this.#aborts = 0;
    this.#aborts += 1;
    if (this.#aborts < ABORTS_IN_A_ROW) return this.#failed();
    this.#refusedWith({ kind: "replaced" });
  }

  #refusedWith(state: ConnectionState): void {
    if (!this.#current) this.#setState(state);
    this.#openAfter(slowRetry(this.#parts.random));
  }

  #openAfter(delay: number): void {
    if (this.#closed) return;
    this.#cancelTry();
    this.#retryAt = this.#parts.clock.now() + delay;
    this.#retry = this.#parts.clock.after(delay, () => this.#open());
  }

  #cancelTry(): void {
    this.#try += 1;
    this.#asking = false;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#next?.close();
    this.#next = undefined;
  }

  #isTrying(): boolean {
    return this.#retry !== undefined || this.#next !== undefined || this.#asking;
  }

  #isRefused(): boolean {
    return Object.values(REFUSALS).some(({ kind }) => kind === this.#state.kind);
  }

  #sample(serverTime: Timestamp | undefined): void {
    if (!serverTime) return;
    const { clock, listener } = this.#parts;
    const estimated = this.serverNow();
    this.#serverTime.sample(timestampMs(serverTime), clock.now(), clock.wall());
    const now = this.serverNow();
    if (now !== undefined && estimated !== undefined) notify(() => listener.onServerTime?.(now - estimated));
  }

  #setState(state: ConnectionState): void {
    if (this.#closed) return;
    const same = state.kind === this.#state.kind && state.kind !== "connected";
    this.#state = state;
    if (!same) notify(() => this.#parts.listener.onState(state));
  }
}
