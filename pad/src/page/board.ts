// The store's calls, and which of them are on the screen as popups. Pure: time is an argument (the server's, ms since
// 1970), so every rule can be tested without a browser or a wait. The server's time is an estimate, which may be wrong: it
// decides what is shown. The earliest possible time decides what is removed.
//
// A popup opens when a call that is not over comes with a `pop_until` in the future, and never again after it was dismissed
// or removed. It follows its call, and is removed some time after the end; a form that somebody is writing stays.
// A snapshot opens only popups that a page that was loaded late would otherwise miss. Popups never replace each other.

import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Snapshot } from "../gen/ringpad/v1/pad_pb.ts";
import { Answered, WEEK } from "./missed_groups.ts";
import { isOpen, phaseOf, ringEnd, startedAt, type Known, type Phase } from "./phase.ts";

/** Who has claimed a call. */
export type Holder = "nobody" | "me" | "other";

/** A call on the screen. */
export interface Popup {
  call: Call;
  phase: Phase;
  holder: Holder;
  /** When it began to ring, server time. */
  ringingSince: number;
  /** Until when it is shown as ringing. */
  ringsUntil: number | undefined;
  /** Somebody opened it to write. */
  opened: boolean;
  /** Its form is open: it was claimed here, was opened, or something is typed into it. */
  writing: boolean;
}

/** What the board needs of the page. */
export interface BoardContext {
  /** This pad's id, where it is known. */
  me(): string | undefined;
  /** The call as it will be when this pad's actions succeed. */
  expected(call: Call): Call;
  /** Whether the call has a half-typed form. */
  hasDraft(id: string): boolean;
  /** Whether the call was closed on this pad, and that can still be taken back. */
  isDone(id: string): boolean;
}

interface Shown {
  order: number;
  /** When it was first shown. */
  seen: number;
  /** When we saw the call's state or claim change. */
  changed: number;
  opened: boolean;
}

const ENDED_STAYS = 12_000;
/** Milliseconds; long enough to see who has claimed it. */
const HELD_ELSEWHERE_STAYS = 15_000;
/** Milliseconds to write down what was agreed. */
const MINE_ENDED_STAYS = 3 * 60_000;
/** Milliseconds. Long, because a provider may report nothing between the ring and the end of a call. */
const UNKNOWN_STAYS = 5 * 60_000;
const ANSWERED_STAYS = 60 * 60_000;
const CALLS_KEPT = 300;
const LISTED = 100;
/** Kept in addition to newer calls, because they are still open. */
const MISSED_LISTED = 100;

const ALONE: BoardContext = { me: () => undefined, expected: (call) => call, hasDraft: () => false, isDone: () => false };

/** The store's calls and the popups. */
export class Board {
  readonly #context: BoardContext;
  #calls = new Map<string, Known>();
  readonly #shown = new Map<string, Shown>();
  /** Calls whose popup was dismissed or removed. */
  readonly #over = new Set<string>();
  /** Calls whose `pop_until` seemed to be over when they came. */
  readonly #late = new Set<string>();
  readonly #answered = new Answered();
  /** Open missed calls were left out. */
  #missedCut = false;
  /** The epoch and store of these calls. */
  #log = "";
  #order = 0;

  constructor(context: BoardContext = ALONE) {
    this.#context = context;
  }

  /** Replaces all calls by those of a snapshot. Popups of calls that are in it stay. */
  replace(snapshot: Snapshot, now: number): void {
    const before = this.#calls;
    const log = `${snapshot.epoch} ${snapshot.store?.id}`;
    const sameLog = log === this.#log;
    this.#log = log;
    this.#calls = new Map();
    this.#missedCut = false;
    if (!sameLog) this.#answered.clear();
    // Oldest first, in the order of single updates.
    for (const call of [...snapshot.openCalls, ...snapshot.recentCalls].sort(oldestFirst)) {
      const known = { call, popUntil: before.get(call.id)?.popUntil };
      this.#calls.set(call.id, known);
      this.#answered.add(call);
      this.#changeSeen(before.get(call.id)?.call, call, now);
      this.#restore(known, now);
    }
    for (const [id, known] of before) {
      // It came early: its update will still come.
      const ahead = sameLog && known.call.revision > snapshot.position;
      // Older than the calls of a snapshot, and somebody is writing.
      const written = sameLog && (this.#context.hasDraft(id) || this.#shown.get(id)?.opened);
      if (ahead || (written && !this.#calls.has(id))) this.#calls.set(id, known);
      else if (!this.#calls.has(id)) this.#forget(id);
    }
  }

  /** Takes a call's newest version. */
  apply(call: Call, popUntil: number | undefined, now: number): void {
    const before = this.#calls.get(call.id);
    if (before && before.call.revision > call.revision) return;
    const known = { call, popUntil: popUntil ?? before?.popUntil };
    this.#calls.set(call.id, known);
    this.#answered.add(call);
    this.#changeSeen(before?.call, call, now);
    if (this.#popsNow(known, now)) this.#show(call, now, false);
    else if (popUntil !== undefined) this.#late.add(call.id);
    this.#prune(now);
  }

  /** Every `now` so far was wrong by so many milliseconds; the next one is right. */
  corrected(by: number): void {
    for (const shown of this.#shown.values()) {
      shown.seen += by;
      shown.changed += by;
    }
  }

  /** Adds missed calls that are older than those of a snapshot, and learns of answered ones. */
  addMissed(calls: readonly Call[], now: number): void {
    for (const call of calls) this.#answered.add(call);
    for (const call of calls) if (isMissed({ call })) this.apply(call, undefined, now);
  }

  /** Older missed calls of the week exist, and were not read. */
  cutMissed(): void {
    this.#missedCut = true;
  }

  /** The call as the server has it. */
  call(id: string): Call | undefined {
    return this.#calls.get(id)?.call;
  }

  /** Opens a popup for a listed or found call, with its form. */
  open(call: Call, now: number): void {
    this.#over.delete(call.id);
    const shown = this.#shown.get(call.id);
    if (shown) shown.opened = true;
    else this.#show(call, now, true);
    // After it is shown, since old calls are kept only while they are shown.
    const known = this.#calls.get(call.id);
    if (!known || known.call.revision < call.revision) this.apply(call, undefined, now);
  }

  /** Removes a popup permanently; the call stays in the lists. */
  dismiss(id: string): void {
    if (this.#shown.delete(id)) this.#over.add(id);
  }

  /**
   * Most urgent first. Ringing calls keep their order, the oldest first, so that a newer one never moves under a finger. The
   * others newest first. Removes the popups whose time is over at `atLeast`, the earliest possible time.
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

  /** The services of the store's reservations, the most frequent first. */
  services(): string[] {
    const counts = new Map<string, number>();
    for (const { call } of this.#calls.values()) {
      const service = call.reservation?.service ?? "";
      if (service !== "") counts.set(service, (counts.get(service) ?? 0) + 1);
    }
    return [...counts].sort(([, a], [, b]) => b - a).map(([service]) => service);
  }

  /** All calls that are kept, in no order. */
  all(): Call[] {
    return [...this.#calls.values()].map(({ call }) => call);
  }

  /** Newest first. */
  recent(): Known[] {
    const newest = [...this.#calls.values()].sort(newestFirst).slice(0, LISTED);
    return newest.map((known) => this.current(known));
  }

  /** The week's missed calls that are open, newest first: no pad has closed them, and no later call of the same caller was answered. */
  missed(now: number): Known[] {
    const missed = [...this.#calls.values()].filter((known) => this.#isOpenMissed(known, now)).sort(newestFirst);
    if (missed.length > MISSED_LISTED) this.#missedCut = true;
    return missed.slice(0, MISSED_LISTED).map((known) => this.current(known)).filter(isMissed);
  }

  /** Whether {@link missed} leaves older ones out. */
  get missedCut(): boolean {
    return this.#missedCut;
  }

  /** Whether {@link recent} leaves older ones out. */
  get recentCut(): boolean {
    return this.#calls.size >= LISTED;
  }

  #isOpenMissed(known: Known, now: number): boolean {
    return isMissed(known) && startedAt(known.call) >= now - WEEK && !this.#answered.isAfter(known.call);
  }

  /** The newest known version of a call, e.g. of one from a search. */
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

  /** Permanently, so not because of an action that may still fail. */
  #isOver(known: Known | undefined, popup: Popup, shown: Shown, now: number): boolean {
    const { call } = popup;
    if (!known || this.#context.hasDraft(call.id) || this.#context.isDone(call.id) || shown.opened) return false;
    return (known.call.closed && call.closed) || leavesAt(known, popup, shown) <= now;
  }

  /** Temporarily: it is shown again when the call is released or reopened, or when closing it fails. */
  #isHidden({ call, holder, opened }: Popup, shown: Shown, now: number): boolean {
    if (this.#context.isDone(call.id)) return true;
    if (opened || this.#context.hasDraft(call.id)) return false;
    return call.closed || (holder === "other" && now >= shown.changed + HELD_ELSEWHERE_STAYS);
  }

  #popsNow({ call, popUntil }: Known, now: number): boolean {
    if (popUntil === undefined || popUntil <= now || call.closed || !isOpen(call)) return false;
    return !this.#shown.has(call.id) && !this.#over.has(call.id);
  }

  /** Shows calls that are not late after a correction of the time. */
  #showLate(now: number, atLeast: number): void {
    for (const id of this.#late) {
      const known = this.#calls.get(id);
      const pops = known !== undefined && this.#popsNow(known, now);
      if (pops) this.#show(known.call, now, false);
      if (pops || (known?.popUntil ?? 0) <= atLeast) this.#late.delete(id);
    }
  }

  /** Shows what a newly loaded page must show: a call that rings, our own call, a draft. */
  #restore(known: Known, now: number): void {
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

  /** Limits memory: a page stays open for months. */
  #prune(now: number): void {
    if (this.#calls.size <= CALLS_KEPT + MISSED_LISTED) return;
    let [missed, others] = [0, 0];
    for (const known of [...this.#calls.values()].sort(newestFirst)) {
      const { id } = known.call;
      if (this.#shown.has(id) || this.#context.hasDraft(id)) continue;
      const open = this.#isOpenMissed(known, now);
      if (open && missed < MISSED_LISTED) missed += 1;
      else if (others < CALLS_KEPT) others += 1;
      else {
        this.#missedCut ||= open;
        this.#calls.delete(id);
        this.#forget(id);
      }
    }
  }
}

/** Missed and open. */
function isMissed({ call }: Pick<Known, "call">): boolean {
  return call.state === CallState.MISSED && !call.closed;
}

/** The rank of calls that ring and are not claimed. */
const RINGS = 0;

/** Smaller is more urgent. A call that another pad has claimed is the least urgent one, in any state. */
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

/** The record's own time, unless the provider's clock is ahead of the server's. */
function ringingSince(call: Call, seen: number): number {
  return call.startedAt ? Math.min(startedAt(call), seen) : seen;
}

function newestFirst(a: Known, b: Known): number {
  return oldestFirst(b.call, a.call);
}

function oldestFirst(a: Call, b: Call): number {
  return startedAt(a) - startedAt(b) || Number(a.revision - b.revision);
}
