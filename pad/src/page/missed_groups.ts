// Missed calls as people mean them: one entry for each caller, until somebody has spoken with that caller. Pure, and by the same
// rule on every pad: a missed call is open until a pad closes it, or a later call of the same caller is answered.

import { CallerKind, CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import { startedAt, type Known } from "./phase.ts";

/** Callers whose last answered call is remembered; more than call a shop in a week. */
const CALLERS = 5_000;

/** Milliseconds: after a week a caller does not wait for a call back any more. */
export const WEEK = 7 * 24 * 60 * 60_000;

/** When each caller was last spoken with. */
export class Answered {
  /** The beginning of the newest answered call, ms since 1970, by the caller's number. */
  readonly #at = new Map<string, number>();

  /** Takes a call in any version. */
  add(call: Call): void {
    const caller = callerOf(call);
    const isAnswered = call.state === CallState.ANSWERED || call.state === CallState.COMPLETED;
    if (caller === undefined || !isAnswered || startedAt(call) <= (this.#at.get(caller) ?? -Infinity)) return;
    this.#at.delete(caller);
    this.#at.set(caller, startedAt(call));
    const oldest = this.#at.keys().next().value;
    if (this.#at.size > CALLERS && oldest !== undefined) this.#at.delete(oldest);
  }

  clear(): void {
    this.#at.clear();
  }

  /** Whether a later call of the same caller was answered, or one of the same second: providers send whole seconds. */
  isAfter(call: Call): boolean {
    const caller = callerOf(call);
    return caller !== undefined && (this.#at.get(caller) ?? -Infinity) >= startedAt(call);
  }
}

/** A caller's open missed calls. */
export interface MissedGroup {
  /** Stays the same while calls are added. */
  key: string;
  newest: Known;
  /** All of them, newest first. */
  ids: string[];
}

/** Groups missed calls, newest first, by their callers. Callers without a number cannot be recognised: each is a group. */
export function groupByCaller(missed: readonly Known[]): MissedGroup[] {
  const groups = new Map<string, MissedGroup>();
  for (const known of missed) {
    const key = callerOf(known.call) ?? known.call.id;
    const group = groups.get(key);
    if (group) group.ids.push(known.call.id);
    else groups.set(key, { key, newest: known, ids: [known.call.id] });
  }
  return [...groups.values()];
}

/** These calls of a caller, and all of the same caller's among `missed`. */
export function withOthersOf(call: Call, ids: readonly string[], missed: readonly Known[]): string[] {
  const caller = callerOf(call);
  const same = missed.filter((other) => caller !== undefined && callerOf(other.call) === caller);
  return [...new Set([...ids, ...same.map((other) => other.call.id)])];
}

/** The caller's number; undefined if the caller cannot be recognised. */
export function callerOf({ caller }: Call): string | undefined {
  return caller?.kind === CallerKind.NUMBER && caller.number !== "" ? caller.number : undefined;
}
