// A day's reservations: read from the server, and kept true by updates. Pure.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";

/** The reservations of one day. */
export class DayBook {
  /** The day: from this instant on, and before `until`, ms since 1970. */
  readonly from: number;
  readonly until: number;
  readonly #calls = new Map<string, Call>();
  /** Known before the server was asked, and not changed since. */
  readonly #before = new Set<string>();

  /** `before`: the calls that were known before the server is asked. */
  constructor(from: number, until: number, before: readonly Call[] = []) {
    this.from = from;
    this.until = until;
    for (const call of before) this.add(call);
    for (const { id } of before) this.#before.add(id);
  }

  /** Takes a call in any version. One whose reservation was removed or moved to another day is kept, for its revision. */
  add(call: Call): void {
    const known = this.#calls.get(call.id);
    if (known ? known.revision > call.revision : !this.#isOfDay(call)) return;
    this.#calls.set(call.id, call);
    this.#before.delete(call.id);
  }

  /** The answer has come: calls that are not in it have no reservation on this day any more, unless they came meanwhile. */
  keepOnly(found: readonly Call[]): void {
    const ids = new Set(found.map(({ id }) => id));
    for (const id of this.#before) if (!ids.has(id)) this.#calls.delete(id);
    for (const call of found) this.add(call);
  }

  /** The day's calls, by the time of their reservations. `current` gives the newest version of each. */
  calls(current: (call: Call) => Call = (call) => call): Call[] {
    const calls = [...this.#calls.values()].map(current).filter((call) => this.#isOfDay(call));
    return calls.sort((a, b) => (timeOf(a) ?? 0) - (timeOf(b) ?? 0) || a.id.localeCompare(b.id));
  }

  #isOfDay(call: Call): boolean {
    const at = timeOf(call);
    return at !== undefined && at >= this.from && at < this.until;
  }
}

function timeOf({ reservation }: Call): number | undefined {
  return reservation?.at && timestampMs(reservation.at);
}
