// Which calls do not ring on this device, and why. A silenced call is logged and listed like any other, here and on the other
// pads. Pure: time is an argument (ms since 1970); days and hours are those of the device's time zone.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { callerOf } from "./missed_groups.ts";
import { startedAt } from "./phase.ts";

/** A day's business hours, `HH:MM`. Those that close at or before the time when they open end on the next day. */
export interface Opening {
  opens: string;
  closes: string;
}

/** Business hours; without `on` the shop is always open. */
export interface Hours {
  on: boolean;
  /** By weekday, Sunday first, as `Date.getDay()` counts; null on days when the shop is closed. */
  week: readonly (Opening | null)[];
}

/** Do-not-disturb, ms since 1970. Kept after its end until somebody has seen how many calls came meanwhile. */
export interface Disturb {
  since: number;
  until: number;
}

/** What this device knows of a caller. */
export interface CallerSetting {
  /** E.g. `광고`; empty if the caller has no label here. */
  label: string;
  silent: boolean;
}

/** The settings that decide whether a call rings. */
export interface SilenceRules {
  hours: Hours;
  disturb: Disturb | null;
  /** By the caller's number in E.164. */
  callers: ReadonlyMap<string, CallerSetting>;
}

/** Why a call does not ring. */
export type Silence = "number" | "disturb" | "closed";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const MINUTES_OF_DAY = 24 * 60;
/** Until this hour people call the day before "today". */
const NIGHT_ENDS = 5;
/** The hour until which do-not-disturb lasts if no business hours say when the shop opens. */
const USUAL_OPENING = 9;

/** Why the call does not ring at `now`; undefined if it rings. */
export function silenceOf(call: Call, rules: SilenceRules, now: number): Silence | undefined {
  if (isSilentNumber(call, rules)) return "number";
  if (isDisturbOn(rules, now)) return "disturb";
  // By both times: closing time does not end a ring that has begun, and at opening time a call that still rings is heard.
  return isOpenAt(rules.hours, now) || isOpenAt(rules.hours, startedAt(call) || now) ? undefined : "closed";
}

/** Whether do-not-disturb is on. */
export function isDisturbOn({ disturb }: Pick<SilenceRules, "disturb">, now: number): boolean {
  return disturb !== null && now < disturb.until;
}

/** How many of the calls came while do-not-disturb was on; calls of numbers that never ring do not count. */
export function silencedBy(disturb: Disturb, calls: readonly Call[], rules: Pick<SilenceRules, "callers">): number {
  const { since, until } = disturb;
  return calls.filter((call) => {
    const began = startedAt(call);
    return began >= since && began < until && !isSilentNumber(call, rules);
  }).length;
}

/** Whether the shop is open. */
export function isOpenAt({ on, week }: Hours, ms: number): boolean {
  if (!on) return true;
  const at = new Date(ms);
  const minute = at.getHours() * 60 + at.getMinutes();
  const [today, yesterday] = [spanOf(week[at.getDay()]), spanOf(week[(at.getDay() + 6) % 7])];
  return (today !== undefined && minute >= today.from && minute < today.to) ||
    (yesterday !== undefined && minute + MINUTES_OF_DAY < yesterday.to);
}

/** When the shop opens next, after `now` and not before `earliest`; undefined if it never opens, or is always open. */
export function nextOpening({ on, week }: Hours, now: number, earliest: number = now): number | undefined {
  if (!on) return undefined;
  const first = new Date(earliest);
  // The same weekday a week later as well: today's hours may have begun.
  for (let days = 0; days <= 7; days += 1) {
    const day = new Date(first.getFullYear(), first.getMonth(), first.getDate() + days);
    const span = spanOf(week[day.getDay()]);
    const opens = day.setMinutes(span?.from ?? 0);
    if (span && opens > now && opens >= earliest) return opens;
  }
  return undefined;
}

/** Tomorrow's opening, or that of the next day when the shop opens. After midnight, tomorrow is when people have slept. */
export function tomorrowsOpening(hours: Hours, now: number): number {
  const today = new Date(now - NIGHT_ENDS * HOUR);
  const tomorrow = (hour: number) => new Date(today.getFullYear(), today.getMonth(), today.getDate() + 1, hour).getTime();
  return nextOpening(hours, now, tomorrow(0)) ?? tomorrow(USUAL_OPENING);
}

/** Do-not-disturb for so many minutes from `now`, to the end of that minute: the page is drawn again at whole minutes. */
export function disturbFor(minutes: number, now: number): Disturb {
  return { since: now, until: Math.ceil((now + minutes * MINUTE) / MINUTE) * MINUTE };
}

/** Whether `ms` is between two times of day, `HH:MM`; `until` may be after midnight. Never if they are the same. */
export function isBetween(ms: number, from: string, until: string): boolean {
  const at = new Date(ms);
  const minute = at.getHours() * 60 + at.getMinutes();
  const [begins, ends] = [minutesOf(from), minutesOf(until)];
  return begins <= ends ? minute >= begins && minute < ends : minute >= begins || minute < ends;
}

function isSilentNumber(call: Call, { callers }: Pick<SilenceRules, "callers">): boolean {
  return callers.get(callerOf(call) ?? "")?.silent ?? false;
}

/** Minutes since the day's midnight; `to` may be on the next day. */
function spanOf(opening: Opening | null | undefined): { from: number; to: number } | undefined {
  if (!opening) return undefined;
  const [from, to] = [minutesOf(opening.opens), minutesOf(opening.closes)];
  return { from, to: to <= from ? to + MINUTES_OF_DAY : to };
}

function minutesOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3, 5));
}
