import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallSchema, CallerKind } from "../src/gen/ringpad/v1/call_pb.ts";
import { bookedLine, callBackLink, callerName, customer, dayName, stopwatch, talkTime, timeOfDay, widthInEm } from "../src/page/format.ts";

const NOW = new Date(2025, 10, 23, 14, 5).getTime();
const at = (...parts: [number, number, number, number?]) => timestampFromMs(new Date(...parts).getTime());
const call = (init: MessageInitShape<typeof CallSchema>) => create(CallSchema, init);
const caller = { number: "+821012345678", display: "010-1234-5678", kind: CallerKind.NUMBER };

test("times and days", () => {
  assert.equal(timeOfDay(NOW), "14:05");
  assert.equal(timeOfDay(new Date(2025, 10, 23, 0, 5).getTime()), "00:05");
  assert.equal(dayName(NOW, NOW), "오늘");
  assert.equal(dayName(new Date(2025, 10, 22, 23, 59).getTime(), NOW), "어제");
  assert.equal(dayName(new Date(2025, 10, 20).getTime(), NOW), "11월 20일");
  assert.equal(dayName(new Date(2024, 10, 20).getTime(), NOW), "2024년 11월 20일");
});

test("a number's width grows with its letters, Hangul counting most", () => {
  assert.ok(widthInEm("02-1234-5678") < widthInEm("010-1234-5678"));
  assert.ok(widthInEm("010-1234-5678") < 13 * 0.7);
  assert.ok(widthInEm("발신번호 표시제한") > 8);
});

test("a stopwatch, never negative", () => {
  assert.deepEqual([0, 7_999, 60_000, 754_000, -5_000].map(stopwatch), ["0:00", "0:07", "1:00", "12:34", "0:00"]);
});

test("who calls: new, known, or withheld", () => {
  assert.deepEqual(customer(call({ caller, history: {} }), NOW), { headline: "처음 전화한 손님", detail: "" });
  assert.deepEqual(customer(call({ caller, history: { calls: 2, lastCallAt: at(2025, 10, 20) } }), NOW), {
    headline: "3번째 전화",
    detail: "지난 통화 11월 20일",
  });
  const withheld = call({ caller: { display: "발신번호 표시제한", kind: CallerKind.WITHHELD }, history: {} });
  assert.deepEqual(customer(withheld, NOW), { headline: "", detail: "" });
  assert.equal(callerName(withheld), "발신번호 표시제한");
  assert.equal(callerName(call({ caller: { kind: CallerKind.PAYPHONE } })), "공중전화");
  assert.equal(callerName(call({})), "번호 없음");
});

test("the caller's last reservation, in the future or in the past, unless this call has one", () => {
  const reservation = { service: "실내 세차", carNumber: "12가 3456", customerName: "김민수", at: at(2025, 10, 24, 10) };
  const line = (init: MessageInitShape<typeof CallSchema>) => bookedLine(call(init), NOW);
  assert.equal(line({ history: { lastReservation: reservation } }), "예약 내일 10:00 · 실내 세차 · 12가 3456 · 김민수");
  assert.equal(line({ history: { lastReservation: { ...reservation, at: at(2025, 10, 20, 10) } } }).slice(0, 12), "지난 예약 11월 20");
  assert.equal(line({ history: { lastReservation: { service: "광택" } } }), "예약 광택");
  assert.equal(line({ history: { lastReservation: { customerName: "김민수", carNumber: "12가 3456" } } }), "");
  assert.equal(line({ reservation: { customerName: "김민수" }, history: { lastReservation: reservation } }).slice(0, 5), "예약 내일");
  assert.equal(line({ reservation: { service: "손세차" }, history: { lastReservation: reservation } }), "손세차");
  assert.equal(line({ history: { lastReservation: {} } }), "");
  assert.equal(line({}), "");
});

test("only a number can be called back", () => {
  assert.equal(callBackLink(call({ caller })), "tel:+821012345678");
  assert.equal(callBackLink(call({ caller: { display: "12ab", kind: CallerKind.UNPARSED } })), undefined);
  assert.equal(callBackLink(call({})), undefined);
});

test("the length of a conversation", () => {
  assert.equal(talkTime(call({ answeredAt: timestampFromMs(NOW), endedAt: timestampFromMs(NOW + 83_000) })), "통화 1분 23초");
  assert.equal(talkTime(call({ answeredAt: timestampFromMs(NOW), endedAt: timestampFromMs(NOW + 9_000) })), "통화 9초");
  assert.equal(talkTime(call({ endedAt: timestampFromMs(NOW) })), "");
});
