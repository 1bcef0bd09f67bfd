// What the pad page knows: the store's calls, and which of them stand on the screen as popups. Pure: time is an
// argument (the server's, ms since 1970), so every rule can be tested without a browser or a wait.
//
// A popup opens when a call that is still open comes with a `pop_until` in the future, and never again once it was
// dismissed or has left. It follows its call, and leaves a little after the end. Popups never replace each other.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";

/** How a call stands, as people say it. */
export type Phase =
  | "ringing"
  /** It rang, and nobody told how it ended. */
  | "unknown"
  | "answered"
  | "ended"
  | "missed";

/** A call on the screen. */
export interface Popup {
  call: Call;
  phase: Phase;
  /** When it began to ring, server time. */
  ringingSince: number;
}

/** A call and until when it rings; `popUntil` is undefined for calls that never popped here. */
export interface Known {
  call: Call;
  popUntil: number | undefined;
}

interface Shown {
  order: number;
  since: number;
  /** When the call came into its present state, as far as we saw. */
  changed: number;
}

const ENDED_STAYS = 12_000;
/** Long, because providers may report nothing between the ring and the end: somebody may be talking. */
const UNKNOWN_STAYS = 5 * 60_000;
const ANSWERED_STAYS = 60 * 60_000;
/** How long a call rings when nobody told us; only names a line of a list. */
const USUAL_RING = 30_000;
const CALLS_KEPT = 300;
const LISTED = 100;

const URGENCY: Record<Phase, number> = { ringing: 0, answered: 1, unknown: 2, missed: 3, ended: 3 };

/** The store's calls and the popups. */
export class Board {
  #calls = new Map<string, Known>();
  readonly #shown = new Map<string, Shown>();
  /** Calls whose popup is over: dismissed, or it has left. */
  readonly #over = new Set<string>();
  #epoch = "";
  #order = 0;

  /** A snapshot that replaces all. Popups of calls that are in it stay; nothing pops from it. */
  replace(snapshot: Snapshot, now: number): void {
    const before = this.#calls;
    const sameLog = snapshot.epoch === this.#epoch;
    this.#epoch = snapshot.epoch;
    this.#calls = new Map();
    for (const call of [...snapshot.openCalls, ...snapshot.recentCalls]) {
      this.#calls.set(call.id, { call, popUntil: before.get(call.id)?.popUntil });
      this.#stateSeen(before.get(call.id)?.call, call, now);
    }
    for (const [id, known] of before) {
      // Shown ahead of its turn: its update is still to come.
      const ahead = sameLog && known.call.revision > snapshot.position;
      if (ahead) this.#calls.set(id, known);
      else if (!this.#calls.has(id)) this.#forget(id);
    }
  }

  /** A call as it now is. */
  apply(call: Call, popUntil: number | undefined, now: number): void {
    const before = this.#calls.get(call.id);
    if (before && before.call.revision > call.revision) return;
    const known = { call, popUntil: popUntil ?? before?.popUntil };
    this.#calls.set(call.id, known);
    this.#stateSeen(before?.call, call, now);
    if (this.#popsNow(known, now)) {
      this.#order += 1;
      const since = ringingSince(call, now);
      this.#shown.set(call.id, { order: this.#order, since, changed: now });
    }
    this.#prune();
  }

  /** Takes a popup away for good; the call stays in the lists. */
  dismiss(id: string): void {
    if (this.#shown.delete(id)) this.#over.add(id);
  }

  /** Most urgent first, then newest first. Drops the popups whose time is over. */
  popups(now: number): Popup[] {
    const popups: (Popup & { order: number })[] = [];
    for (const [id, shown] of this.#shown) {
      const known = this.#calls.get(id);
      const phase = known && phaseOf(known, now);
      if (!known || !phase || leavesAt(known, phase, shown) <= now) this.dismiss(id);
      else popups.push({ call: known.call, phase, ringingSince: shown.since, order: shown.order });
    }
    return popups.sort((a, b) => URGENCY[a.phase] - URGENCY[b.phase] || b.order - a.order);
  }

  /** Newest first. */
  recent(): Known[] {
    return [...this.#calls.values()].sort(newestFirst).slice(0, LISTED);
  }

  /** Missed calls that nobody has dealt with, newest first. */
  missed(): Known[] {
    return this.recent().filter(({ call }) => call.state === CallState.MISSED && !call.closed);
  }

  #popsNow({ call, popUntil }: Known, now: number): boolean {
    if (popUntil === undefined || popUntil <= now || call.closed) return false;
    if (call.state !== CallState.RINGING && call.state !== CallState.ANSWERED) return false;
    return !this.#shown.has(call.id) && !this.#over.has(call.id);
  }

  #stateSeen(before: Call | undefined, call: Call, now: number): void {
    const shown = this.#shown.get(call.id);
    if (shown && before?.state !== call.state) shown.changed = now;
  }

  #forget(id: string): void {
    this.#shown.delete(id);
    this.#over.delete(id);
  }

  /** A pad stays open for months. */
  #prune(): void {
    if (this.#calls.size <= CALLS_KEPT) return;
    const oldest = [...this.#calls.values()].sort(newestFirst).slice(CALLS_KEPT);
    for (const { call } of oldest) {
      if (this.#shown.has(call.id)) continue;
      this.#calls.delete(call.id);
      this.#forget(call.id);
    }
  }
}

/** How a call stands at `now`. */
export function phaseOf({ call, popUntil }: Known, now: number): Phase {
  switch (call.state) {
    case CallState.ANSWERED:
      return "answered";
    case CallState.COMPLETED:
      return "ended";
    case CallState.MISSED:
      return "missed";
    default:
      return now < (popUntil ?? startedAt(call) + USUAL_RING) ? "ringing" : "unknown";
  }
}

/** When the call began, ms since 1970. */
export function startedAt(call: Call): number {
  return call.startedAt ? timestampMs(call.startedAt) : 0;
}

function leavesAt({ popUntil }: Known, phase: Phase, shown: Shown): number {
  switch (phase) {
    case "ringing":
    case "unknown":
      return (popUntil ?? shown.changed) + UNKNOWN_STAYS;
    case "answered":
      return shown.changed + ANSWERED_STAYS;
    case "ended":
    case "missed":
      return shown.changed + ENDED_STAYS;
  }
}

/** The record's own time, unless the provider's clock is ahead of ours. */
function ringingSince(call: Call, now: number): number {
  return call.startedAt ? Math.min(startedAt(call), now) : now;
}

function newestFirst(a: Known, b: Known): number {
  return startedAt(b.call) - startedAt(a.call) || Number(b.call.revision - a.call.revision);
}
