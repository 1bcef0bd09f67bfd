// Which calls ring now: all that a popup needs. Kept by id and revision from what a connection tells, and judged by the
// server's time: a call stops ringing when it is taken, answered, over or closed, or when its `pop_until` passes, of
// which no event is sent. The server's time is an estimate: a call whose time seems to be over is not told of, and kept,
// for the next message may correct the estimate.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";
import type { Clock, Timer } from "./clock.ts";
import type { CallEvent, ConnectionListener, ConnectionState } from "./connection.ts";

/** Milliseconds until the server's time is looked at again, however long a call may ring. */
const LOOK_AGAIN = 60_000;
/** Calls kept that nobody told the end of; the oldest are forgotten first. A store has no more that ring. */
const MOST = 200;

/** What it is made of. */
export interface RingingParts {
  clock: Clock;
  /** The server's time, ms since 1970; known before the first call is. */
  serverNow: () => number | undefined;
  /** Gets the calls that ring and nobody has taken, the first one first, whenever that changes. */
  onRinging: (calls: Call[]) => void;
}

interface Ring {
  call: Call;
  until: number;
}

/** Listens to a connection, and tells which calls ring. */
export class Ringing implements ConnectionListener {
  readonly #parts: RingingParts;
  /** Calls that may ring, the one that came first in front: taken ones too, since they may be released. */
  #rings = new Map<string, Ring>();
  #told: Call[] = [];
  #timer: Timer | undefined;
  /** A page may close the connection from within whatever it is told, before it comes here. */
  #closed = false;

  constructor(parts: RingingParts) {
    this.#parts = parts;
  }

  onSnapshot({ openCalls }: Snapshot): void {
    const before = this.#rings;
    this.#rings = new Map();
    for (const call of openCalls) this.#keep(call, before.get(call.id)?.until);
    this.#tell();
  }

  onCall({ call, popUntil }: CallEvent): void {
    const known = this.#rings.get(call.id);
    if (known && known.call.revision > call.revision) return;
    this.#keep(call, popUntil ?? known?.until);
    this.#tell();
  }

  onServerTime(): void {
    this.#tell();
  }

  onState({ kind }: ConnectionState): void {
    if (kind === "closed") {
      this.#closed = true;
      this.#rings.clear();
    }
    // After a sleep, timers are late by as much: whoever comes back looks again.
    this.#tell();
  }

  /** `told`: until when it rings, if the call itself does not say so. */
  #keep(call: Call, told: number | undefined): void {
    const until = call.popUntil ? timestampMs(call.popUntil) : told;
    if (call.state === CallState.RINGING && until !== undefined && !this.#closed) this.#rings.set(call.id, { call, until });
    else this.#rings.delete(call.id);
    const [first] = this.#rings.keys();
    if (first !== undefined && this.#rings.size > MOST) this.#rings.delete(first);
  }

  #tell(): void {
    const now = this.#parts.serverNow() ?? Infinity;
    const ringing = [...this.#rings.values()].filter(({ until }) => until > now);
    this.#lookAgain(ringing, now);
    const calls = ringing.map(({ call }) => call).filter(({ claim, closed }) => !claim && !closed);
    calls.sort((one, other) => startedAt(one) - startedAt(other));
    if (same(calls, this.#told)) return;
    this.#told = calls;
    this.#parts.onRinging([...calls]);
  }

  #lookAgain(ringing: readonly Ring[], now: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (ringing.length === 0) return;
    const next = Math.min(...ringing.map(({ until }) => until)) - now;
    this.#timer = this.#parts.clock.after(Math.min(next, LOOK_AGAIN), () => this.#tell());
  }
}

/** Each of the two hears everything, also after a mistake of the other. */
export function both(one: Partial<ConnectionListener>, other: ConnectionListener): ConnectionListener {
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

/** An early call comes again in its turn: that is no change. */
function same(calls: Call[], told: Call[]): boolean {
  return calls.length === told.length && calls.every(({ id, revision }, i) => id === told[i]?.id && revision === told[i].revision);
}
