// The life of a pad's connection: which stream is open, what its messages mean, and when the next one is opened.
//
//   open ──► first message ──► connected ──► end ──► back-off ──► open …
//                                  │ reconnect{after}, worn by age or size, a fresh token
//                                  └─► open the next beside it; the old one is closed at the next one's snapshot
//
// While the next cannot be opened it is tried again, with back-off; the old one goes on, and nobody is told. Once the old
// one ends, and not before, it is a cut. A next stream that only tries gRPC-Web again beside a WebSocket has a session of its own: the server ends a session's older stream as soon as it lets the next
// one in, and this one's messages may be held back on the way. It is kept if they come.
//
// What holds: each position is handed on once and in order, over any number of streams; a gap ends the stream and the
// next begins at our position. At most two streams are open, and only the one whose snapshot came last is listened to.

import { create } from "@bufbuild/protobuf";
import { durationMs, timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { SubscribeRequestSchema } from "../gen/ringpad/v1/pad_pb.ts";
import type { Snapshot, StoreRef, SubscribeResponse } from "../gen/ringpad/v1/pad_pb.ts";
import { backoff, slowRetry } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { Cursor } from "./cursor.ts";
import { Link, type LinkEnd, type LinkOwner } from "./link.ts";
import { ServerTime } from "./server_time.ts";
import { Renewal } from "./renewal.ts";
import { NoToken, type Tokens } from "./tokens.ts";
import type { Transport, TransportName } from "./transport.ts";
import { TransportChoice } from "./transport_choice.ts";
import { newUuid } from "./uuid.ts";

/** How the connection stands. */
export type ConnectionState =
  | { kind: "connecting" }
  | { kind: "connected"; store: StoreRef | undefined; transport: TransportName }
  | { kind: "reconnecting" }
  /** No token, or one the server does not take. Asked for again now and then. */
  | { kind: "needs-token" }
  | { kind: "forbidden" }
  | { kind: "no-store" }
  /** Another stream of this session took over, and over again. Tried again now and then. */
  | { kind: "replaced" }
  | { kind: "closed" };

/** A call as the server now knows it. */
export interface CallEvent {
  call: Call;
  /** Until when (server time, ms since 1970) it is worth a popup; undefined: do not pop. */
  popUntil: number | undefined;
  /** Undefined for an early one, which comes again in its turn. */
  position: bigint | undefined;
}

/** Who listens to a connection. */
export interface ConnectionListener {
  /** Replace all you have. */
  onSnapshot(snapshot: Snapshot): void;
  /** Replace what you have under `call.id`, unless it has a higher revision. */
  onCall(event: CallEvent): void;
  onState(state: ConnectionState): void;
  /**
   * The server said what time it is, which was estimated wrongly by `corrected` milliseconds: by hours if the machine's own
   * clock was set. What was decided by {@link Connection.serverNow} is to be decided anew.
   */
  onServerTime?(corrected: number): void;
}

/** What a connection is made of. */
export interface ConnectionParts {
  transports: TransportChoice;
  tokens: Tokens;
  session: string;
  clock: Clock;
  random: () => number;
  listener: ConnectionListener;
}

/** From so many on, people are told, and tries are slow. */
const ABORTS_IN_A_ROW = 2;
/** A server replaces a stream within 10 s; one that lived longer than this lost to nobody of its own time. */
const RIVALRY = 60_000;
/** Milliseconds that a stream lives, and as much more at random: pads that came together do not go together. */
const WORN_AFTER = 30 * 60_000;
/** A refusal that lasts: shown until it is over, not hidden by each slow try. */
const REFUSALS: Partial<Record<LinkEnd, ConnectionState>> = {
  unauthenticated: { kind: "needs-token" },
  forbidden: { kind: "forbidden" },
  "no-store": { kind: "no-store" },
};

/** A connection that keeps itself alive. */
export class Connection {
  readonly #parts: ConnectionParts;
  readonly #tokens: Tokens;
  readonly #cursor = new Cursor();
  readonly #serverTime = new ServerTime();
  readonly #renewal: Renewal;
  #state: ConnectionState = { kind: "closed" };
  #session: string;
  /** What probes use, one for all: a proxy may keep a lost one open at the server, where the next takes its place. */
  #spareSession = newUuid();
  /** The stream that is listened to. */
  #current: Link | undefined;
  /** The stream that is being opened. */
  #next: Link | undefined;
  #retry: Timer | undefined;
  /** When it is due. */
  #retryAt = 0;
  /** Counts tries, so that a token that comes late opens nothing. */
  #try = 0;
  #asking = false;
  /** A listener may close us from within whatever it is told. */
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

  /** The server's time as far as can be told, ms since 1970; undefined before the first message. To show things by. */
  serverNow(): number | undefined {
    const { clock } = this.#parts;
    return this.#serverTime.at(clock.now(), clock.wall());
  }

  /** The server's time at the earliest, ms since 1970; undefined before the first message. To forget things by. */
  serverAtLeast(): number | undefined {
    return this.#serverTime.atLeast(this.#parts.clock.now());
  }

  /** Looks at once whether the streams are alive, and does not wait any longer for the next try. */
  checkNow(): void {
    this.#current?.check();
    this.#next?.check();
    if (this.#retry) this.#open();
  }

  /** Tries again at once, whatever the state: somebody did something about it, e.g. has another token. */
  retryNow(): void {
    if (this.#closed) return;
    this.#aborts = 0;
    if (this.#isRefused()) this.#tokens.forget();
    const replaced = this.#state.kind === "replaced";
    if (replaced) this.#setState({ kind: "reconnecting" });
    if (replaced || this.#retry) this.#open();
  }

  /** There is another token: it is asked for, and a stream with it takes the place of the one that lives. */
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

  /** The living stream goes on; the next is opened beside it, unless that is under way. */
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
    // Nothing new: not offered again at once. The slow tries do, in case the server changes its mind.
    if (this.#tokens.stillRefused && !this.#isRefused()) return this.#refusedWith({ kind: "needs-token" });
    const transport = probe ?? this.#parts.transports.next();
    try {
      this.#next = this.#link(transport, token, probe !== undefined);
    } catch (error) {
      // No stream at all, e.g. for an address that this browser does not take.
      reportError(error);
      this.#parts.transports.missed(transport.name, "error");
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
      worn: (link) => {
        if (link === this.#current) this.#rotate();
      },
    };
    const wornAfter = WORN_AFTER * (1 + random());
    return new Link({ transport, request, token, wornAfter, clock, owner });
  }

  #message(link: Link, { event }: SubscribeResponse): void {
    if (event.case === "snapshot") return this.#snapshot(link, event.value);
    // Only a snapshot makes a stream current; one that begins otherwise is not ours to understand.
    if (link !== this.#current) return link.end("gap");
    switch (event.case) {
      case "update":
        return this.#update(link, event.value.position, event.value.call, event.value.popUntil);
      case "early":
        return this.#handOn(event.value.call, event.value.popUntil, undefined);
      case "heartbeat":
        this.#sample(event.value.serverTime);
        if (this.#cursor.isBehind(event.value.position)) link.end("gap");
        return;
      case "reconnect":
        return this.#leave(link, event.value.after ? durationMs(event.value.after) : 0);
      case undefined:
        // An event of a newer server. Were it one with a position, the next would show the gap.
        return;
    }
  }

  #snapshot(link: Link, snapshot: Snapshot): void {
    const verdict = this.#cursor.snapshot(snapshot);
    if (verdict === "gap") return link.end("gap");
    this.#sample(snapshot.serverTime);
    if (link === this.#next) {
      if (this.#current) this.#over(this.#current, false);
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
    this.#handOn(call, popUntil, position);
  }

  #handOn(call: Call | undefined, popUntil: Timestamp | undefined, position: bigint | undefined): void {
    if (!call) return;
    const event = { call, popUntil: popUntil && timestampMs(popUntil), position };
    notify(() => this.#parts.listener.onCall(event));
  }

  /** The replica goes: after `delay` open the next stream beside this one, also if a try was planned for later. */
  #leave(link: Link, delay: number): void {
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
      this.#over(link, reason === "network");
      this.#current = undefined;
      // It brought messages to its end: what its successors met beside it does not make the next try wait.
      this.#failures = 0;
    }
    if (link === this.#next) this.#next = undefined;
    // The server gives a session's place to its next stream just before that one's snapshot: no cut, unless none comes.
    if (opened && reason === "replaced" && this.#next?.session === link.session) return;
    // The stream we left, or left behind, has ended; the one that follows it is on its way.
    if (opened && (this.#next || this.#asking)) return this.#setState({ kind: "reconnecting" });
    if (reason === "replaced") return this.#replaced(link);
    if (reason === "unauthenticated") return this.#unauthenticated(link);
    if (reason === "no-store") this.#cursor.storeIsGone();
    const refusal = REFUSALS[reason];
    if (refusal) return this.#refusedWith(refusal);
    if (reason === "gap") this.#failures = this.#gaps++;
    this.#judgeTransport(link, reason);
  }

  /** The stream that was listened to is no more. */
  #over(link: Link, cut: boolean): void {
    this.#renewal.stop();
    this.#parts.transports.over(link.transport, link.age(), cut);
  }

  /** The end was no refusal: the way may be bad, or the server away. */
  #judgeTransport(link: Link, reason: LinkEnd): void {
    const quiet = reason === "no-first-message" || (reason === "silent" && !link.flows);
    // What flows this way just now is not held back by a proxy: the replica hangs.
    const hangs = quiet && this.#flows(link.transport);
    if (quiet && !hangs && this.#parts.transports.missed(link.transport, "buffered")) {
      if (!this.#current && this.#state.kind === "connected") this.#setState({ kind: "reconnecting" });
      return this.#open();
    }
    if ((hangs || reason === "network") && link.messages === 0) this.#parts.transports.missed(link.transport, "error");
    this.#failed();
  }

  /** Whether messages come this way just now. */
  #flows(transport: TransportName): boolean {
    return this.#current?.transport === transport && this.#current.flows;
  }

  #failed(): void {
    if (!this.#current && !this.#isRefused()) this.#setState({ kind: "reconnecting" });
    this.#openAfter(backoff(this.#failures++, this.#parts.random));
  }

  /** Once is ordinary: the token expired. Twice in a row is a matter for people. */
  #unauthenticated(link: Link): void {
    if (!this.#tokens.refused(link.token) || this.#isRefused()) return this.#refusedWith({ kind: "needs-token" });
    if (!this.#current) this.#setState({ kind: "reconnecting" });
    this.#open();
  }

  /** A stale request of our own that overtook its successor looks the same as a rival: so try once more. */
  #replaced(link: Link): void {
    if (link.age() > RIVALRY) this.#aborts = 0;
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

/** A listener's mistake is reported to the page, and harms neither the stream nor the order of what follows. */
function notify(call: () => void): void {
  try {
    call();
  } catch (error) {
    reportError(error);
  }
}
