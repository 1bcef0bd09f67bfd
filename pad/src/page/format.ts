// Times and numbers as people in a shop write them, in the tablet's time zone.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, type Call } from "../gen/ringpad/v1/call_pb.ts";
import { isBooked } from "./reservation.ts";
import { callerHere } from "./settings.ts";
import { language, text, type Language } from "./text.ts";

const FORMATS: Record<Language, ReturnType<typeof formatsOf>> = { ko: formatsOf("ko-KR"), en: formatsOf("en-GB") };

function formatsOf(locale: string) {
  return {
    time: new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }),
    day: new Intl.DateTimeFormat(locale, { month: "long", day: "numeric" }),
    dayAndWeekday: new Intl.DateTimeFormat(locale, { month: "long", day: "numeric", weekday: "long" }),
    weekday: new Intl.DateTimeFormat(locale, { weekday: "short" }),
    longWeekday: new Intl.DateTimeFormat(locale, { weekday: "long" }),
    dayAndYear: new Intl.DateTimeFormat(locale, { year: "numeric", month: "long", day: "numeric" }),
  };
}

/** `14:05`. */
export function timeOfDay(ms: number): string {
  return FORMATS[language].time.format(ms);
}

/** `11월 23일 일요일`. */
export function fullDate(ms: number): string {
  return FORMATS[language].dayAndWeekday.format(ms);
}

/** `목 27`: a day within the next week. */
export function weekday(ms: number): string {
  return `${FORMATS[language].weekday.format(ms)} ${new Date(ms).getDate()}`;
}

/** `일요일`, by the number that `Date.getDay()` gives it. */
export function weekdayName(day: number): string {
  // The 7th of January 2024 was a Sunday.
  return FORMATS[language].longWeekday.format(new Date(2024, 0, 7 + day));
}

/** `17:30`, `내일 09:00`: a time to come. */
export function untilWhen(ms: number, now: number): string {
  const day = dayName(ms, now);
  return day === text.today ? timeOfDay(ms) : `${day} ${timeOfDay(ms)}`;
}

/** `오늘`, `어제`, `내일`, `11월 20일`, `2024년 11월 20일`. */
export function dayName(ms: number, now: number): string {
  const day = new Date(ms).toDateString();
  const today = new Date(now);
  const daysAway = (days: number) =>
    new Date(today.getFullYear(), today.getMonth(), today.getDate() + days).toDateString();
  if (day === today.toDateString()) return text.today;
  if (day === daysAway(-1)) return text.yesterday;
  if (day === daysAway(1)) return text.tomorrow;
  const { day: thisYear, dayAndYear } = FORMATS[language];
  return (new Date(ms).getFullYear() === today.getFullYear() ? thisYear : dayAndYear).format(ms);
}

/** `0:07`, `12:30`; never negative. */
export function stopwatch(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The number as people write it, or why there is none. */
export function callerName({ caller }: Call): string {
  const kind = caller?.kind ?? CallerKind.UNSPECIFIED;
  const written = kind === CallerKind.NUMBER || kind === CallerKind.UNPARSED;
  // The reason why there is no number is in the page's language.
  return (written ? caller?.display : "") || text.nameless[kind] || caller?.display || text.nameless[0];
}

/** The people whom this caller may be, each in a line: `김민수 · 12가 3456`. */
export function people(call: Call): string[] {
  const lines = call.customers.map(({ name, carNumber }) => [name, carNumber].filter((part) => part !== "").join(" · "));
  return [...new Set([callerHere(call).label, ...lines].filter((line) => line !== ""))];
}

/** The names of the people whom this caller may be, else their cars: `김민수, 이영희`. */
export function names(call: Call): string {
  const known = call.customers.map(({ name, carNumber }) => name || carNumber);
  return [...new Set([callerHere(call).label, ...known].filter((name) => name !== ""))].join(", ");
}

/** Who called, in one line: `김민수 010-1234-5678`; only the number of somebody whom no records have. */
export function callerLabel(call: Call): string {
  return `${names(call)} ${callerName(call)}`.trim();
}

/** What the shop should know about the caller: its records' notes, with the names if they are several, and the newest call's. */
export function notesOf({ customers, history }: Call): string {
  const noted = customers.filter(({ note }) => note !== "");
  const lines = noted.map(({ name, note }) => (customers.length > 1 && name !== "" ? `${name}: ${note}` : note));
  return [...new Set([...lines, history?.lastNote ?? ""])].filter((line) => line !== "").join("\n");
}

/** Approximately how many em a bold text takes in any system font: digits, punctuation, and wide characters. */
export function widthInEm(written: string): number {
  const widths = Array.from(written, (letter) => (/[0-9]/.test(letter) ? 0.66 : /[- ]/.test(letter) ? 0.42 : 1));
  return widths.reduce((sum, width) => sum + width, 0);
}

/** The link that dials the caller; undefined when there is no number to dial. */
export function callBackLink({ caller }: Call): string | undefined {
  return caller?.kind === CallerKind.NUMBER && caller.number !== "" ? `tel:${caller.number}` : undefined;
}

/** Whether the caller is known, in words: `3번째 전화 · 지난 통화 11월 20일`. Empty for callers without a number. */
export function customer(call: Call, now: number): { headline: string; detail: string } {
  const { history, caller } = call;
  if (caller?.kind !== CallerKind.NUMBER && !history?.calls) return { headline: "", detail: "" };
  const detail = history?.lastCallAt ? text.lastCall(dayName(timestampMs(history.lastCallAt), now)) : "";
  if (history?.calls) return { headline: text.nthCall(history.calls + 1), detail };
  // The records may not say how often a customer has called.
  return { headline: call.customers.length > 0 ? text.knownCustomer : text.firstCall, detail };
}

/** A reservation in a line: `내일 10:30 · 실내 세차 · 12가 3456 · 김민수`; empty if there is none. */
export function reservationLine({ reservation }: Pick<Call, "reservation">, now: number): string {
  if (!reservation) return "";
  const at = reservation.at ? timestampMs(reservation.at) : undefined;
  const when = at === undefined ? "" : `${dayName(at, now)} ${timeOfDay(at)}`;
  const { service, carNumber, customerName } = reservation;
  return [when, service, carNumber, customerName].filter((part) => part !== "").join(" · ");
}

/** The line for reservations on a card: this call's, or the caller's last one, in the future or in the past. */
export function bookedLine(call: Call, now: number): string {
  if (isBooked(call.reservation)) return reservationLine(call, now);
  const reservation = call.history?.lastReservation;
  if (!isBooked(reservation)) return "";
  const last = reservationLine({ reservation }, now);
  // Without a time nobody knows whether it is over.
  const isOver = reservation.at !== undefined && timestampMs(reservation.at) < now;
  return isOver ? text.lastBooked(last) : text.booked(last);
}

/** The name of the pad that has claimed the call. */
export function holderName({ claim }: Call): string {
  return claim?.padName || claim?.padId || text.anotherPad;
}

/** The length of the conversation: `통화 1분 23초`; empty if it is not known. */
export function talkTime({ answeredAt, endedAt }: Call): string {
  if (!answeredAt || !endedAt) return "";
  const seconds = Math.round((timestampMs(endedAt) - timestampMs(answeredAt)) / 1000);
  return seconds > 0 ? text.talked(Math.floor(seconds / 60), seconds % 60) : "";
}
