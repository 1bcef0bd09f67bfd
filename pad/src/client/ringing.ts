// Which calls ring now: everything that a popup needs. Calls are kept by id and revision. A call stops ringing when it is
// claimed, answered, over or closed, or when its `pop_until` passes by the server's time, for which no event is sent. The
// server's time is an estimate: a call whose time seems to be over is not reported but kept, because the next message may
// correct the estimate.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";
import type { Clock, Timer } from "./clock.ts";
import type { CallEvent, ConnectionListener, ConnectionState } from "./listener.ts";

/** Milliseconds after which the server's time is checked again, also if all calls ring longer. */
const LOOK_AGAIN = 60_000;
/** Calls kept at most, without an end reported; the oldest are dropped first. More do not ring in one store. */
const MOST = 200;

/** What {@link Ringing} needs. */
export interface RingingParts {
  clock: Clock;
  /** The server's time, ms since 1970; known before the first call is. */
  serverNow: () => number | undefined;
  /** Gets the calls that ring and are not claimed, oldest first, at each change. */
  onRinging: (calls: Call[]) => void;
}

interface Ring {
  call: Call;
  until: number;
}

/** Listens to a connection, and reports which calls ring. */
export class Ringing implements ConnectionListener {
  readonly #parts: RingingParts;
  /** Calls that may ring, oldest first; claimed ones as well, since they may be released. */
  #rings = new Map<string, Ring>();
  #reported: Call[] = [];
  #timer: Timer | undefined;
  /** The page's own listener is called first, and may close the connection. */
  #closed = false;

  constructor(parts: RingingParts) {
    this.#parts = parts;
  }

  onSnapshot({ openCalls }: Snapshot): void {
    const before = this.#rings;
    this.#rings = new Map();
    for (const call of openCalls) this.#keep(call, before.get(call.id)?.until);
    this.#report();
  }

  onCall({ call, popUntil }: CallEvent): void {
    const known = this.#rings.get(call.id);
    if (known && known.call.revision > call.revision) return;
    this.#keep(call, popUntil ?? known?.until);
    this.#report();
  }

  onServerTime(): void {
    this.#report();
  }

  onState({ kind }: ConnectionState): void {
    if (kind === "closed") {
      this.#closed = true;
      this.#rings.clear();
    }
    // While the machine slept, timers did not run: check again.
    this.#report();
  }

  /** `fallback`: until when the call rings if it does not have `popUntil` itself. */
  #keep(call: Call, fallback: number | undefined): void {
    const until = call.popUntil ? timestampMs(call.popUntil) : fallback;
    if (call.state === CallState.RINGING && until !== undefined && !this.#closed) this.#rings.set(call.id, { call, until });
    else this.#rings.delete(call.id);
    const [first] = this.#rings.keys();
    if (first !== undefined && this.#rings.size > MOST) this.#rings.delete(first);
  }

  #report(): void {
    const now = this.#parts.serverNow() ?? Infinity;
    const ringing = [...this.#rings.values()].filter(({ until }) => until > now);
    this.#lookAgain(ringing, now);
    const calls = ringing.map(({ call }) => call).filter(({ claim, closed }) => !claim && !closed);
    calls.sort((one, other) => startedAt(one) - startedAt(other));
    if (same(calls, this.#reported)) return;
    this.#reported = calls;
    this.#parts.onRinging([...calls]);
  }

  #lookAgain(ringing: readonly Ring[], now: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (ringing.length === 0) return;
    const next = Math.min(...ringing.map(({ until }) => until)) - now;
    this.#timer = this.#parts.clock.after(Math.min(next, LOOK_AGAIN), () => this.#report());
  }
}

/** A listener that calls both, the second one also after an exception in the first. */
export function notifyBoth(one: Partial<ConnectionListener>, other: ConnectionListener): ConnectionListener {
  const each = (first: () => void, second: () => void) => {
    try {
      first();
    } finally {
      second();
    }
  };
  return {
    onSnapshot: (snapshot) => each(() => one.onSnapshot?.(snapshot), () => other.onSnapshot(snapshot)),
    onCall: (event) => each(() => one.onCall?.(event), () => other.onCall(event)),
    onState: (state) => each(() => one.onState?.(state), () => other.onState(state)),
    onServerTime: (corrected) => each(() => one.onServerTime?.(corrected), () => other.onServerTime?.(corrected)),
  };
}

const startedAt = ({ startedAt }: Call): number => (startedAt ? timestampMs(startedAt) : 0);

/** An early call comes again as an update: that is no change. */
function same(calls: Call[], reported: Call[]): boolean {
  const isSame = ({ id, revision }: Call, i: number) => id === reported[i]?.id && revision === reported[i].revision;
  return calls.length === reported.length && calls.every(isSame);
}
