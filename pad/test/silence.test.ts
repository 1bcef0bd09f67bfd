// Which calls do not ring, by number, do-not-disturb and business hours: in Korea, which has no daylight saving time, on every
// weekday and around midnight.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, CallSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import {
  disturbFor, isBetween, isOpenAt, isDisturbOn, nextOpening, silencedBy, silenceOf, tomorrowsOpening, type Hours, type Opening,
  type SilenceRules,
} from "../src/page/silence.ts";

process.env["TZ"] = "Asia/Seoul";

const NUMBER = "+821012345678";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A Korean time, `2026-11-27 18:00`: that was a Friday. */
const at = (time: string) => Date.parse(`${time.replace(" ", "T")}:00+09:00`);
const korean = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms + 9 * HOUR).toISOString().slice(0, 16).replace("T", " "));

function call(began: number | undefined, number = NUMBER) {
  const startedAt = began === undefined ? {} : { startedAt: timestampFromMs(began) };
  return create(CallSchema, { caller: { kind: CallerKind.NUMBER, number }, ...startedAt });
}

const DAY: Opening = { opens: "09:00", closes: "18:00" };
/** Tuesday to Saturday 9 to 18 h, Friday until 2 h of the next day; closed on Sunday and Monday. */
const WEEK: Hours = { on: true, week: [null, null, DAY, DAY, DAY, { opens: "09:00", closes: "02:00" }, DAY] };
const ALWAYS: Hours = { on: false, week: WEEK.week };
const rules = (more: Partial<SilenceRules> = {}): SilenceRules => ({ hours: ALWAYS, disturb: null, callers: new Map(), ...more });

test("hours are those of the weekday, closing time excluded, and go on after midnight into the next day only", () => {
  const open = (time: string) => isOpenAt(WEEK, at(time));
  assert.deepEqual(["2026-11-26 08:59", "2026-11-26 09:00", "2026-11-26 17:59", "2026-11-26 18:00"].map(open), [false, true, true, false]);
  // Friday night, Saturday and its night.
  assert.deepEqual(["2026-11-27 18:00", "2026-11-27 23:59", "2026-11-28 00:00", "2026-11-28 01:59", "2026-11-28 02:00"].map(open), [true, true, true, true, false]);
  assert.deepEqual(["2026-11-28 09:00", "2026-11-29 00:30", "2026-11-29 12:00", "2026-11-30 12:00", "2026-12-01 01:00"].map(open), [true, false, false, false, false]);
});

test("the last night of the week is Saturday's, and Sunday's hours are its own", () => {
  const week = [null, null, null, null, null, null, { opens: "22:00", closes: "05:00" }];
  const open = (time: string) => isOpenAt({ on: true, week }, at(time));
  assert.deepEqual(["2026-11-28 21:59", "2026-11-28 22:00", "2026-11-29 04:59", "2026-11-29 05:00", "2026-11-28 04:00"].map(open), [false, true, true, false, false]);
});

test("hours that open and close at the same time last for 24 h, and without hours the shop is always open", () => {
  const week = WEEK.week.map((_, day) => (day === 4 ? { opens: "10:00", closes: "10:00" } : null));
  const open = (time: string) => isOpenAt({ on: true, week }, at(time));
  assert.deepEqual(["2026-11-26 09:59", "2026-11-26 10:00", "2026-11-27 09:59", "2026-11-27 10:00"].map(open), [false, true, true, false]);
  assert.ok(isOpenAt(ALWAYS, at("2026-11-29 03:00")));
});

test("the next opening skips closed days, and is a week away if today was the only day", () => {
  assert.equal(korean(nextOpening(WEEK, at("2026-11-27 08:00"))), "2026-11-27 09:00");
  assert.equal(korean(nextOpening(WEEK, at("2026-11-27 09:00"))), "2026-11-28 09:00");
  assert.equal(korean(nextOpening(WEEK, at("2026-11-28 20:00"))), "2026-12-01 09:00");
  const thursdays = { on: true, week: WEEK.week.map((day, weekday) => (weekday === 4 ? day : null)) };
  assert.equal(korean(nextOpening(thursdays, at("2026-11-26 12:00"))), "2026-12-03 09:00");
  assert.equal(nextOpening({ on: true, week: WEEK.week.map(() => null) }, at("2026-11-26 12:00")), undefined);
  assert.equal(nextOpening(ALWAYS, at("2026-11-26 12:00")), undefined);
});

test("tomorrow's opening: after midnight it is this morning's, over a closed day the next one, without hours 9 h", () => {
  assert.equal(korean(tomorrowsOpening(WEEK, at("2026-11-26 18:00"))), "2026-11-27 09:00");
  assert.equal(korean(tomorrowsOpening(WEEK, at("2026-11-26 08:00"))), "2026-11-27 09:00");
  assert.equal(korean(tomorrowsOpening(WEEK, at("2026-11-28 01:00"))), "2026-11-28 09:00");
  assert.equal(korean(tomorrowsOpening(WEEK, at("2026-11-28 12:00"))), "2026-12-01 09:00");
  assert.equal(korean(tomorrowsOpening(ALWAYS, at("2026-11-30 23:59"))), "2026-12-01 09:00");
  assert.equal(korean(tomorrowsOpening(ALWAYS, at("2026-12-01 00:30"))), "2026-12-01 09:00");
});

test("do-not-disturb silences from its beginning until its end, which is a whole minute", () => {
  const now = at("2026-11-27 23:50") + 1;
  const disturb = disturbFor(30, now);
  assert.equal(korean(disturb.until), "2026-11-28 00:21");
  const silence = (ms: number) => silenceOf(call(now), rules({ disturb }), ms);
  assert.deepEqual([silence(now), silence(disturb.until - 1), silence(disturb.until)], ["disturb", "disturb", undefined]);
  assert.deepEqual([isDisturbOn({ disturb }, now), isDisturbOn({ disturb: null }, now)], [true, false]);
});

test("a silent number never rings, others do, and a caller without a number is not one", () => {
  const callers = new Map([[NUMBER, { label: "광고", silent: true }], ["+8225550134", { label: "납품", silent: false }]]);
  const silence = (number: string) => silenceOf(call(0, number), rules({ callers }), at("2026-11-27 12:00"));
  assert.deepEqual([silence(NUMBER), silence("+8225550134"), silence("+821012345679"), silence("")], ["number", undefined, undefined, undefined]);
});

test("closing time does not end a ring that has begun, and at opening time a call that still rings is heard", () => {
  const silence = (began: string, now: string) => silenceOf(call(at(began)), rules({ hours: WEEK }), at(now));
  assert.equal(silence("2026-11-26 17:59", "2026-11-26 18:00"), undefined);
  assert.equal(silence("2026-11-26 18:00", "2026-11-26 18:01"), "closed");
  assert.equal(silence("2026-11-26 08:59", "2026-11-26 08:59"), "closed");
  assert.equal(silence("2026-11-26 08:59", "2026-11-26 09:00"), undefined);
  // A record without a time is judged by now.
  assert.equal(silenceOf(call(undefined), rules({ hours: WEEK }), at("2026-11-26 20:00")), "closed");
});

test("after do-not-disturb its calls are counted, without those of silent numbers", () => {
  const disturb = { since: at("2026-11-27 12:00"), until: at("2026-11-27 14:00") };
  const came = ["11:59", "12:00", "13:59", "14:00"].map((time) => call(at(`2026-11-27 ${time}`), "+8225550134"));
  const callers = new Map([[NUMBER, { label: "", silent: true }]]);
  assert.equal(silencedBy(disturb, [...came, call(at("2026-11-27 13:00"))], rules({ callers })), 2);
});

test("the night may be over midnight; without a length there is none", () => {
  const dark = (from: string, until: string) => ["06:59", "07:00", "20:59", "21:00", "00:00"].map((time) => isBetween(at(`2026-11-27 ${time}`), from, until));
  assert.deepEqual(dark("21:00", "07:00"), [true, false, false, true, true]);
  assert.deepEqual(dark("07:00", "21:00"), [false, true, true, false, false]);
  assert.deepEqual(dark("07:00", "07:00"), [false, false, false, false, false]);
});
