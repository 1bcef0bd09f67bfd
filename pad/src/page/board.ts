// What the pad page knows: the store's calls, and which of them stand on the screen as popups. Pure: time is an
// argument (the server's, ms since 1970), so every rule can be tested without a browser or a wait. That time is an
// estimate, which may turn out to be wrong: by it things are shown or not, and by what the time is at least they are over.
//
// A popup opens when a call that is still open comes with a `pop_until` in the future, and never again once it was
// dismissed or has left. It follows its call, and leaves a little after the end; what somebody is writing stays.
// A snapshot opens only what a page that was loaded late would otherwise miss. Popups never replace each other.

import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";
import { isOpen, phaseOf, ringEnd, startedAt, type Known, type Phase } from "./phase.ts";

/** Who has taken a call. */
export type Holder = "nobody" | "me" | "other";

/** A call on the screen. */
export interface Popup {
  call: Call;
  phase: Phase;
  holder: Holder;
  /** When it began to ring, server time. */
  ringingSince: number;
  /** When it is no longer taken to ring. */
  ringsUntil: number | undefined;
  /** Somebody opened it to write. */
  opened: boolean;
  /** Its form is open: it is in hand here, was opened, or something is typed into it. */
  writing: boolean;
}

/** What the board asks the rest of the page. */
export interface BoardContext {
  /** This pad's id, where it is known. */
  me(): string | undefined;
  /** The call with what this pad has just asked for. */
  expected(call: Call): Call;
  /** Whether somebody's half-typed form belongs to the call. */
  hasDraft(id: string): boolean;
  /** Whether somebody here has said that it is done, and may take that back. */
  isDone(id: string): boolean;
}

interface Shown {
  order: number;
  /** When it came on the screen. */
  seen: number;
  /** When the call came into its present state, or into other hands, as far as we saw. */
  changed: number;
  opened: boolean;
}

const ENDED_STAYS = 12_000;
/** Long enough to see who has it. */
const HELD_ELSEWHERE_STAYS = 15_000;
/** Time to write down what was agreed. */
const MINE_ENDED_STAYS = 3 * 60_000;
/** Long, because providers may report nothing between the ring and the end: somebody may be talking. */
const UNKNOWN_STAYS = 5 * 60_000;
const ANSWERED_STAYS = 60 * 60_000;
const CALLS_KEPT = 300;
const LISTED = 100;
/** Kept whatever came since: nobody has dealt with them. */
const MISSED_LISTED = 100;

const ALONE: BoardContext = { me: () => undefined, expected: (call) => call, hasDraft: () => false, isDone: () => false };

/** The store's calls and the popups. */
export class Board {
  readonly #context: BoardContext;
  #calls = new Map<string, Known>();
  readonly #shown = new Map<string, Shown>();
  /** Calls whose popup is over: dismissed, or it has left. */
  readonly #over = new Set<string>();
  /** Calls that came to pop when their time seemed to be over. */
  readonly #late = new Set<string>();
  /** Whose calls these are: a store's, of one log. */
  #log = "";
  #order = 0;

  constructor(context: BoardContext = ALONE) {
    this.#context = context;
  }

  /** A snapshot that replaces all. Popups of calls that are in it stay. */
  replace(snapshot: Snapshot, now: number): void {
    const before = this.#calls;
    const log = `${snapshot.epoch} ${snapshot.store?.id}`;
    const sameLog = log === this.#log;
    this.#log = log;
    this.#calls = new Map();
    // Oldest first, as they would have come one by one.
    for (const call of [...snapshot.openCalls, ...snapshot.recentCalls].sort(oldestFirst)) {
      const known = { call, popUntil: before.get(call.id)?.popUntil };
      this.#calls.set(call.id, known);
      this.#changeSeen(before.get(call.id)?.call, call, now);
      this.#comeBack(known, now);
    }
    for (const [id, known] of before) {
      // Shown ahead of its turn: its update is still to come.
      const ahead = sameLog && known.call.revision > snapshot.position;
      // Older than what a snapshot has, and under somebody's hands.
      const written = sameLog && (this.#context.hasDraft(id) || this.#shown.get(id)?.opened);
      if (ahead || (written && !this.#calls.has(id))) this.#calls.set(id, known);
      else if (!this.#calls.has(id)) this.#forget(id);
    }
  }

  /** A call as it now is. */
  apply(call: Call, popUntil: number | undefined, now: number): void {
    const before = this.#calls.get(call.id);
    if (before && before.call.revision > call.revision) return;
    const known = { call, popUntil: popUntil ?? before?.popUntil };
    this.#calls.set(call.id, known);
    this.#changeSeen(before?.call, call, now);
    if (this.#popsNow(known, now)) this.#show(call, now, false);
    else if (popUntil !== undefined) this.#late.add(call.id);
    this.#prune();
  }

  /** Whatever was given as now so far was wrong by so many milliseconds, as the next is not. */
  corrected(by: number): void {
    for (const shown of this.#shown.values()) {
      shown.seen += by;
      shown.changed += by;
    }
  }

  /** Missed calls that are older than what a snapshot has. */
  addMissed(calls: readonly Call[], now: number): void {
    for (const call of calls) this.apply(call, undefined, now);
  }

  /** The call as the server last told it. */
  call(id: string): Call | undefined {
    return this.#calls.get(id)?.call;
  }

  /** Puts a listed or found call on the screen, to be written to. */
  open(call: Call, now: number): void {
    this.#over.delete(call.id);
    const shown = this.#shown.get(call.id);
    if (shown) shown.opened = true;
    else this.#show(call, now, true);
    // After that, for what is shown is kept however old it is.
    const known = this.#calls.get(call.id);
    if (!known || known.call.revision < call.revision) this.apply(call, undefined, now);
  }

  /** Takes a popup away for good; the call stays in the lists. */
  dismiss(id: string): void {
    if (this.#shown.delete(id)) this.#over.add(id);
  }

  /**
   * Most urgent first. What rings keeps its place, the longest ring first: a newer one never comes under a finger that is
   * on its way. The others newest first. Drops the popups whose time is over when it is `atLeast`.
   */
  popups(now: number, atLeast: number = now): Popup[] {
    this.#showLate(now, atLeast);
    const popups: (Popup & { rank: number; order: number })[] = [];
    for (const [id, shown] of this.#shown) {
      const known = this.#calls.get(id);
      const popup = known && this.#popup(known, shown, now);
      if (!popup || this.#isOver(known, popup, shown, atLeast)) this.dismiss(id);
      else if (!this.#isOver(known, popup, shown, now) && !this.#isHidden(popup, shown, now)) {
        popups.push({ ...popup, rank: rankOf(popup), order: shown.order });
      }
    }
    return popups.sort((a, b) => a.rank - b.rank || (a.rank === RINGS ? a.order - b.order : b.order - a.order));
  }

  /** Newest first. */
  recent(): Known[] {
    const newest = [...this.#calls.values()].sort(newestFirst).slice(0, LISTED);
    return newest.map((known) => this.current(known));
  }

  /** Missed calls that nobody has dealt with, newest first. */
  missed(): Known[] {
    const missed = [...this.#calls.values()].filter(isMissed).sort(newestFirst).slice(0, MISSED_LISTED);
    return missed.map((known) => this.current(known)).filter(isMissed);
  }

  /** The newest that is known of a call that came another way, e.g. from a search. */
  current({ call, popUntil }: Known): Known {
    const known = this.#calls.get(call.id);
    const newer = known && known.call.revision >= call.revision ? known : { call, popUntil };
    return { call: this.#context.expected(newer.call), popUntil: newer.popUntil };
  }

  #popup(known: Known, shown: Shown, now: number): Popup {
    const call = this.#context.expected(known.call);
    const current = { call, popUntil: known.popUntil };
    const { seen, opened } = shown;
    const since = ringingSince(call, seen);
    const holder = this.#holder(call);
    const writing = holder === "me" || opened || this.#context.hasDraft(call.id);
    return { call, phase: phaseOf(current, now), holder, ringingSince: since, ringsUntil: ringEnd(current), opened, writing };
  }

  #holder({ claim }: Call): Holder {
    if (!claim) return "nobody";
    return claim.padId === this.#context.me() ? "me" : "other";
  }

  /** For good, so not on the word of an action that may still fail, be it to close the call or to reopen it. */
  #isOver(known: Known | undefined, popup: Popup, shown: Shown, now: number): boolean {
    const { call } = popup;
    if (!known || this.#context.hasDraft(call.id) || this.#context.isDone(call.id) || shown.opened) return false;
    return (known.call.closed && call.closed) || leavesAt(known, popup, shown) <= now;
  }

  /** For now: it may come back, when it is released, or reopened, or when closing it fails. */
  #isHidden({ call, holder, opened }: Popup, shown: Shown, now: number): boolean {
    if (this.#context.isDone(call.id)) return true;
    if (opened || this.#context.hasDraft(call.id)) return false;
    return call.closed || (holder === "other" && now >= shown.changed + HELD_ELSEWHERE_STAYS);
  }

  #popsNow({ call, popUntil }: Known, now: number): boolean {
    if (popUntil === undefined || popUntil <= now || call.closed || !isOpen(call)) return false;
    return !this.#shown.has(call.id) && !this.#over.has(call.id);
  }

  /** Shows what turned out not to be late. */
  #showLate(now: number, atLeast: number): void {
    for (const id of this.#late) {
      const known = this.#calls.get(id);
      const pops = known !== undefined && this.#popsNow(known, now);
      if (pops) this.#show(known.call, now, false);
      if (pops || (known?.popUntil ?? 0) <= atLeast) this.#late.delete(id);
    }
  }

  /** What a page that was just loaded must show: a ring that goes on, our own call, what somebody was writing. */
  #comeBack(known: Known, now: number): void {
    const { call } = known;
    const written = this.#context.hasDraft(call.id);
    if ((call.closed && !written) || this.#shown.has(call.id) || this.#over.has(call.id)) return;
    const holder = this.#holder(call);
    const rings = phaseOf(known, now) === "ringing" && holder !== "other";
    const mine = isOpen(call) && holder === "me" && now < startedAt(call) + ANSWERED_STAYS;
    if (rings || mine || written) this.#show(call, now, false);
  }

  #show(call: Call, now: number, opened: boolean): void {
    this.#order += 1;
    this.#shown.set(call.id, { order: this.#order, seen: now, changed: now, opened });
  }

  #changeSeen(before: Call | undefined, call: Call, now: number): void {
    const shown = this.#shown.get(call.id);
    const changed = before?.state !== call.state || before.claim?.padId !== call.claim?.padId;
    if (shown && changed) shown.changed = now;
  }

  #forget(id: string): void {
    this.#shown.delete(id);
    this.#over.delete(id);
    this.#late.delete(id);
  }

  /** A pad stays open for months. */
  #prune(): void {
    if (this.#calls.size <= CALLS_KEPT + MISSED_LISTED) return;
    let [missed, others] = [0, 0];
    for (const known of [...this.#calls.values()].sort(newestFirst)) {
      const { id } = known.call;
      if (this.#shown.has(id)) continue;
      if (isMissed(known) && missed < MISSED_LISTED) missed += 1;
      else if (others < CALLS_KEPT) others += 1;
      else {
        this.#calls.delete(id);
        this.#forget(id);
      }
    }
  }
}

/** Missed, and nobody has dealt with it. */
function isMissed({ call }: Known): boolean {
  return call.state === CallState.MISSED && !call.closed;
}

/** The rank of what rings for everybody. */
const RINGS = 0;

/** The smaller, the more urgent. A call in other hands is nobody's concern here, whatever it does. */
function rankOf({ phase, holder, writing }: Popup): number {
  if (phase === "ringing" && holder === "nobody" && !writing) return RINGS;
  if (writing) return 1;
  if (holder === "other") return 5;
  return { ringing: RINGS, answered: 2, unknown: 3, missed: 4, ended: 4 }[phase];
}

function leavesAt(known: Known, { phase, holder }: Popup, { changed }: Shown): number {
  switch (phase) {
    case "ringing":
    case "unknown":
      return holder === "me" ? changed + ANSWERED_STAYS : (ringEnd(known) ?? changed) + UNKNOWN_STAYS;
    case "answered":
      return changed + ANSWERED_STAYS;
    case "ended":
    case "missed":
      return changed + (holder === "me" ? MINE_ENDED_STAYS : ENDED_STAYS);
  }
}

/** The record's own time, unless the provider's clock is ahead of ours. */
function ringingSince(call: Call, seen: number): number {
  return call.startedAt ? Math.min(startedAt(call), seen) : seen;
}

function newestFirst(a: Known, b: Known): number {
  return oldestFirst(b.call, a.call);
}

function oldestFirst(a: Call, b: Call): number {
  return startedAt(a) - startedAt(b) || Number(a.revision - b.revision);
}
