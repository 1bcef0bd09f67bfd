// Times and numbers as people at a shop write them, in the tablet's time zone.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, type Call } from "../gen/ringpad/v1/call_pb.ts";
import { text } from "./text.ts";

const TIME = new Intl.DateTimeFormat("ko-KR", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("ko-KR", { month: "long", day: "numeric" });
const TODAY = new Intl.DateTimeFormat("ko-KR", { month: "long", day: "numeric", weekday: "long" });
const DAY_AND_YEAR = new Intl.DateTimeFormat("ko-KR", { year: "numeric", month: "long", day: "numeric" });

/** `14:05`. */
export function timeOfDay(ms: number): string {
  return TIME.format(ms);
}

/** `11월 23일 일요일`. */
export function fullDate(ms: number): string {
  return TODAY.format(ms);
}

/** `오늘`, `어제`, `11월 20일`, `2024년 11월 20일`. */
export function dayName(ms: number, now: number): string {
  const day = new Date(ms).toDateString();
  const today = new Date(now);
  if (day === today.toDateString()) return text.today;
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  if (day === yesterday.toDateString()) return text.yesterday;
  return (new Date(ms).getFullYear() === today.getFullYear() ? DAY : DAY_AND_YEAR).format(ms);
}

/** `0:07`, `12:30`; never negative. */
export function stopwatch(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The number as people write it, or why there is none. */
export function callerName({ caller }: Call): string {
  return caller?.display || text.nameless[caller?.kind ?? CallerKind.UNSPECIFIED] || text.nameless[0];
}

/** About how many em a text takes in bold type of any system's font: digits, marks, and the wide rest. */
export function widthInEm(written: string): number {
  const widths = Array.from(written, (letter) => (/[0-9]/.test(letter) ? 0.66 : /[- ]/.test(letter) ? 0.42 : 1));
  return widths.reduce((sum, width) => sum + width, 0);
}

/** The link that dials the caller; undefined when there is no number to dial. */
export function callBackLink({ caller }: Call): string | undefined {
  return caller?.kind === CallerKind.NUMBER && caller.number !== "" ? `tel:${caller.number}` : undefined;
}

/** Known or new, in words: `3번째 전화 · 지난 통화 11월 20일`. Empty for callers that nobody can know. */
export function customer(call: Call, now: number): { headline: string; detail: string } {
  const { history, caller } = call;
  if (caller?.kind !== CallerKind.NUMBER && !history?.calls) return { headline: "", detail: "" };
  if (!history?.calls) return { headline: text.firstCall, detail: "" };
  const last = history.lastCallAt ? text.lastCall(dayName(timestampMs(history.lastCallAt), now)) : "";
  return { headline: text.nthCall(history.calls + 1), detail: last };
}

/** How long people talked: `통화 1분 23초`; empty if the record does not say. */
export function talkTime({ answeredAt, endedAt }: Call): string {
  if (!answeredAt || !endedAt) return "";
  const seconds = Math.round((timestampMs(endedAt) - timestampMs(answeredAt)) / 1000);
  return seconds > 0 ? text.talked(Math.floor(seconds / 60), seconds % 60) : "";
}
