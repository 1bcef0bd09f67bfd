// The day's figures: once a call, from midnight to midnight, and never before all are known.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { CallPage, CallQuery } from "../src/client/actions.ts";
import { CallSchema, CallState, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { Day } from "../src/page/day.ts";
import { DaySummary } from "../src/page/day_summary.ts";
import { FakeClock, settle } from "./fakes.ts";

const { RINGING, ANSWERED, COMPLETED, MISSED } = CallState;
const MINUTE = 60_000;
const MIDNIGHT = new Date(2025, 10, 23).getTime();
const NOON = new Date(2025, 10, 23, 12).getTime();
const TOMORROW = new Date(2025, 10, 24).getTime();

let revisions = 0n;
function call(id: string, state: CallState, at: number, more: MessageInitShape<typeof CallSchema> = {}): Call {
  revisions += 1n;
  return create(CallSchema, { id, state, revision: revisions, startedAt: timestampFromMs(at), ...more } as MessageInitShape<typeof CallSchema>);
}

/** A day whose calls are all known. */
function known(...calls: Call[]): Day {
  const day = new Day();
  day.begin(NOON);
  for (const it of calls) day.add(it, NOON);
  day.knownFrom(MIDNIGHT);
  return day;
}

const figures = (day: Day, now = NOON) => {
  const { calls, answered, missed, booked } = day.figures(now) ?? assert.fail("no figures");
  return [calls, answered, missed, booked];
};

test("the figures of a day; a call with an unknown end is neither answered nor missed", () => {
  const reservation = { service: "실내 세차" };
  const day = known(
    call("a", RINGING, NOON),
    call("b", ANSWERED, NOON),
    call("c", COMPLETED, NOON, { reservation }),
    call("d", MISSED, NOON, { reservation }),
    call("e", MISSED, MIDNIGHT, { reservation: { carNumber: "12가 3456" } }),
    call("yesterday", COMPLETED, MIDNIGHT - 1),
  );
  assert.deepEqual(figures(day), [5, 2, 2, 2]);
});

test("a call counts once, by its newest revision", () => {
  const ring = call("a", RINGING, NOON);
  const end = call("a", COMPLETED, NOON);
  const day = known(ring, end, ring);
  assert.deepEqual(figures(day), [1, 1, 0, 0]);
  day.add(call("a", COMPLETED, NOON, { reservation: { at: timestampFromMs(TOMORROW) } }), NOON);
  assert.deepEqual(figures(day), [1, 1, 0, 1]);
  day.add(call("a", COMPLETED, MIDNIGHT - 1), NOON);
  assert.deepEqual(figures(day), [0, 0, 0, 0]);
});

test("no figures before every call since midnight is known", () => {
  const day = new Day();
  assert.equal(day.figures(NOON), undefined);
  day.begin(NOON);
  day.add(call("a", MISSED, NOON), NOON);
  assert.equal(day.figures(NOON), undefined);
  assert.equal(day.wanting(NOON), MIDNIGHT);
  day.knownFrom(MIDNIGHT);
  assert.deepEqual(figures(day), [1, 0, 1, 0]);
  assert.equal(day.wanting(NOON), undefined);
});

test("at midnight a new day begins by itself, also if yesterday was never complete", () => {
  for (const day of [known(call("a", MISSED, NOON)), new Day()]) {
    if (!day.figures(NOON)) day.begin(NOON);
    // The provider's clock is ahead.
    day.add(call("ahead", RINGING, TOMORROW + 2_000), TOMORROW - 1_000);
    day.add(call("late", MISSED, TOMORROW - 2_000), TOMORROW + 1_000);
    assert.deepEqual(figures(day, TOMORROW + 1_000), [1, 0, 0, 0]);
  }
});

test("tomorrow's calls are not today's", () => {
  const day = known(call("a", RINGING, TOMORROW + 2_000));
  assert.deepEqual(figures(day), [0, 0, 0, 0]);
});

test("when the date goes back by a day, its figures are not known any more", () => {
  const day = known(call("a", MISSED, NOON));
  assert.deepEqual(figures(day, TOMORROW), [0, 0, 0, 0]);
  assert.equal(day.figures(TOMORROW - 1), undefined);
  assert.equal(day.wanting(TOMORROW - 1), MIDNIGHT);
});

test("with more calls than are kept, there are no figures until the next day", () => {
  const day = known();
  for (let i = 0; i <= 5_001; i += 1) day.add(call(`c${i}`, MISSED, NOON), NOON);
  assert.equal(day.figures(NOON), undefined);
  assert.equal(day.wanting(NOON), undefined);
  day.add(call("a", MISSED, TOMORROW), TOMORROW);
  assert.deepEqual(figures(day, TOMORROW), [1, 0, 1, 0]);
});

/** A summary whose queries a test answers. */
function asked() {
  const questions: { query: CallQuery; answer(page: CallPage): void; fail(): void }[] = [];
  const clock = new FakeClock();
  const began = clock.now();
  const shift = { ms: 0 };
  const summary = new DaySummary({
    listCalls: (query = {}) =>
      new Promise((resolve, reject) => questions.push({ query, answer: resolve, fail: () => reject(new Error("offline")) })),
    now: () => NOON + clock.now() - began + shift.ms,
    changed: () => {},
    clock,
    random: () => 1,
  });
  return { questions, clock, shift, summary };
}

test("after a snapshot the day is read page by page, once; then it follows updates", async () => {
  const { questions, clock, summary } = asked();
  assert.equal(summary.words(), "");
  assert.equal(clock.nextIn, undefined);
  summary.begin();
  assert.equal(summary.words(), "");
  await clock.advance(1_999);
  assert.equal(questions.length, 0);
  await clock.advance(1);
  summary.words();
  assert.deepEqual(questions.map(({ query }) => query), [{ since: MIDNIGHT, pageSize: 500, pageToken: "" }]);
  const ring = call("b", RINGING, NOON);
  summary.add(call("b", MISSED, NOON));
  questions[0]?.answer({ calls: [ring], nextPageToken: "next" });
  await settle();
  assert.equal(summary.words(), "");
  assert.equal(questions[1]?.query.pageToken, "next");
  questions[1]?.answer({ calls: [call("a", COMPLETED, MIDNIGHT)], nextPageToken: "" });
  await settle();
  assert.equal(summary.words(), "오늘 전화 2 · 받음 1 · 부재중 1 · 예약 잡은 전화 0");
  summary.add(call("a", COMPLETED, MIDNIGHT, { reservation: { service: "광택" } }));
  assert.equal(summary.words(), "오늘 전화 2 · 받음 1 · 부재중 1 · 예약 잡은 전화 1");
  await clock.advance(10 * MINUTE);
  assert.equal(questions.length, 2);
});

test("without an answer it shows nothing, and asks again later", async () => {
  const { questions, clock, summary } = asked();
  summary.begin();
  summary.add(call("a", MISSED, NOON));
  await clock.advance(2_000);
  questions[0]?.fail();
  await settle();
  assert.equal(summary.words(), "");
  assert.equal(questions.length, 1);
  await clock.advance(2 * MINUTE);
  questions[1]?.answer({ calls: [], nextPageToken: "" });
  await settle();
  assert.equal(summary.words(), "오늘 전화 1 · 받음 0 · 부재중 1 · 예약 잡은 전화 0");
});

test("an answer from before a snapshot is ignored: it may be of another log", async () => {
  const { questions, clock, summary } = asked();
  summary.begin();
  await clock.advance(2_000);
  summary.begin();
  questions[0]?.answer({ calls: [call("old", MISSED, NOON)], nextPageToken: "" });
  await clock.advance(2_000);
  assert.equal(summary.words(), "");
  questions[1]?.answer({ calls: [call("new", COMPLETED, NOON)], nextPageToken: "" });
  await settle();
  assert.equal(summary.words(), "오늘 전화 1 · 받음 1 · 부재중 0 · 예약 잡은 전화 0");
  await clock.advance(10 * MINUTE);
  assert.equal(questions.length, 2);
});

test("a server whose pages never end is asked a limited number of times", async () => {
  const { questions, clock, summary } = asked();
  summary.begin();
  await clock.advance(2_000);
  for (let page = 0; page < 30; page += 1) {
    questions[page]?.answer({ calls: [], nextPageToken: "more" });
    await settle();
  }
  assert.equal(questions.length, 11);
  assert.equal(summary.words(), "");
});

test("when the date goes back by a day, that day is read", async () => {
  const { questions, clock, summary, shift } = asked();
  summary.begin();
  await clock.advance(2_000);
  questions[0]?.answer({ calls: [], nextPageToken: "" });
  await settle();
  shift.ms = -13 * 60 * MINUTE;
  summary.words();
  summary.words();
  await clock.advance(2_000);
  assert.deepEqual(questions.map(({ query }) => query.since), [MIDNIGHT, new Date(2025, 10, 22).getTime()]);
});
