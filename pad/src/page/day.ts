// A day's figures: how many called, were answered, were missed, made a reservation. Pure. By call id, so that nothing
// counts twice, and from midnight to midnight in the tablet's time zone. No figures until every call since midnight is known:
// a wrong figure is worse than none.

import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import { startedAt } from "./phase.ts";
import { isBooked } from "./reservation.ts";

/** The figures of a day. A call whose end was not reported is neither answered nor missed. */
export interface DayFigures {
  calls: number;
  answered: number;
  missed: number;
  /** With a reservation that has a time or a service. */
  booked: number;
}

interface Counted {
  revision: bigint;
  startedAt: number;
  state: CallState;
  booked: boolean;
}

/** No shop has so many calls; a limit for the tablet's memory. */
const MOST = 5_000;

/** The calls of the day. */
export class Day {
  readonly #calls = new Map<string, Counted>();
  #midnight = -Infinity;
  /** Every call that began at this time or later is known. */
  #from = Infinity;
  #full = false;

  /** Forgets all calls. From now on every call is added. */
  begin(now: number): void {
    this.#calls.clear();
    this.#full = false;
    this.#from = now;
    this.#turn(now);
  }

  /** Adds a call, in its newest or an older version. */
  add(call: Call, now: number): void {
    this.#turn(now);
    const known = this.#calls.get(call.id);
    if (this.#full || (known && known.revision > call.revision)) return;
    const began = startedAt(call);
    // Tomorrow's are kept, for a provider whose clock is ahead around midnight.
    if (began < this.#midnight) return void this.#calls.delete(call.id);
    const { revision, state, reservation } = call;
    this.#calls.set(call.id, { revision, startedAt: began, state, booked: isBooked(reservation) });
    if (this.#calls.size <= MOST) return;
    this.#full = true;
    this.#calls.clear();
  }

  /** From when on calls must be added before there are figures; undefined if none are missing, or there are too many. */
  wanting(now: number): number | undefined {
    this.#turn(now);
    return this.#full || this.#from <= this.#midnight ? undefined : this.#midnight;
  }

  /** Every call that began at `from` or later has been added. */
  knownFrom(from: number): void {
    this.#from = Math.max(from, this.#midnight);
  }

  /** The figures, if they are known. */
  figures(now: number): DayFigures | undefined {
    if (this.wanting(now) !== undefined || this.#full) return undefined;
    const tomorrow = midnightOf(now, 1);
    const figures = { calls: 0, answered: 0, missed: 0, booked: 0 };
    for (const { startedAt: began, state, booked } of this.#calls.values()) {
      if (began >= tomorrow) continue;
      figures.calls += 1;
      if (state === CallState.ANSWERED || state === CallState.COMPLETED) figures.answered += 1;
      if (state === CallState.MISSED) figures.missed += 1;
      if (booked) figures.booked += 1;
    }
    return figures;
  }

  /** At midnight yesterday's calls are dropped. The day may also go back, if the tablet's time zone is changed. */
  #turn(now: number): void {
    const midnight = midnightOf(now, 0);
    if (midnight > this.#midnight) {
      for (const [id, call] of this.#calls) if (call.startedAt < midnight) this.#calls.delete(id);
      this.#from = Math.max(this.#from, midnight);
      this.#full = false;
    }
    this.#midnight = midnight;
  }
}

/** When the day of `ms` begins, or a later one. */
function midnightOf(ms: number, daysOn: number): number {
  const day = new Date(ms);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + daysOn).getTime();
}
