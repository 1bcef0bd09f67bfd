// A device's settings: what is read back, and what a broken or an older value becomes.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { CallerKind, CallSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { callerHere, isDark, lineName, parse, serialize, servicesOf, withCaller, withLine, type Settings } from "../src/page/settings.ts";

const DEFAULTS = parse(null);
const call = (number: string) => create(CallSchema, { caller: { kind: CallerKind.NUMBER, number } });
const AD = "+82212345678";

test("what was set is read back", () => {
  const set: Settings = {
    tone: "phone",
    volume: 35,
    size: "large",
    hours: { on: true, week: [null, ...Array.from({ length: 6 }, () => ({ opens: "10:00", closes: "01:30" }))] },
    disturb: { since: 1, until: 2 },
    notify: true,
    dim: { on: true, from: "22:00", until: "06:30" },
    lines: new Map([["0507-1234-5678", "네이버 예약용"]]),
    callers: new Map([[AD, { label: "광고", silent: true }]]),
    services: ["손세차", "광택"],
  };
  assert.deepEqual(parse(serialize(set)), set);
});

test("each service is kept once, and as many as a form has room for", () => {
  const written = " 손세차, 광택,,손세차,a,b,c,d,e".split(",");
  assert.deepEqual(servicesOf(written), ["손세차", "광택", "a", "b", "c", "d"]);
  assert.deepEqual(parse(JSON.stringify({ services: [3, null, " a "] })).services, ["a"]);
  assert.deepEqual(parse('{"services":"a"}').services, []);
});

test("what is broken, or was written by another version, has its default", () => {
  const older = '{"tone":"bell","volume":"high","quiet":true,"opens":"09:00","closes":"18:00","dim":true,"lines":"0507 a","callers":"010 b","silent":"02"}';
  const broken = JSON.stringify({
    tone: "siren", volume: 101, size: 3, hours: { on: true, week: [] }, disturb: { since: 1 }, notify: "yes", dim: { on: true, from: "24:00", until: "7" },
    lines: [["", "a"], ["0507", " "], 3, null], callers: [["010-1234-5678", { label: "a" }], [AD, null], [AD, { label: "", silent: 1 }], [3]],
  });
  for (const stored of [null, "", "[", "null", "3", "[]", '"x"', older, broken, '{"volume":-1}', '{"volume":null}']) assert.deepEqual(parse(stored), DEFAULTS, String(stored));
  assert.deepEqual(parse('{"volume":12.4,"tone":"siren"}').volume, 12);
  const days = parse('{"hours":{"on":true,"week":[null,{"opens":"8","closes":"9"},{"opens":"08:00","closes":"09:00"},0,0,0,0]}}').hours;
  assert.deepEqual(days.week.slice(0, 3), [null, DEFAULTS.hours.week[1], { opens: "08:00", closes: "09:00" }]);
});

test("callers have a label and silence, in E.164 only; one without either is removed", () => {
  const silent = withCaller(new Map(), AD, { label: " 광고 ", silent: true });
  assert.deepEqual(callerHere(call(AD), { callers: silent }), { label: "광고", silent: true });
  assert.deepEqual(callerHere(call(""), { callers: silent }), { label: "", silent: false });
  assert.deepEqual([...withCaller(silent, "+821012345678", { label: "", silent: true }).keys()], ["+821012345678", AD]);
  assert.equal(withCaller(silent, AD, { label: " ", silent: false }).size, 0);
  assert.equal(withCaller(new Map(), "010-1234-5678", { label: "a", silent: true }).size, 0);
});

test("virtual numbers have names, which an empty one removes", () => {
  const lines = withLine(new Map(), "0507-1234-5678", "네이버 예약용");
  assert.deepEqual([lineName("0507-1234-5678", { lines }), lineName("0507-9999-0000", { lines })], ["네이버 예약용", undefined]);
  assert.equal(withLine(lines, "0507-1234-5678", " ").size, 0);
});

test("names and lists are limited", () => {
  let callers: Settings["callers"] = new Map();
  for (let i = 0; i < 600; i += 1) callers = withCaller(callers, `+8210${10_000_000 + i}`, { label: "가".repeat(100), silent: false });
  assert.deepEqual([callers.size, [...callers.values()][0]?.label.length], [500, 40]);
  assert.equal(parse(JSON.stringify({ callers: [...callers, ...callers] })).callers.size, 500);
});

test("the screen is darker only at night, and only if that is set", () => {
  const at = (hour: number) => new Date(2025, 10, 23, hour).getTime();
  const set = parse('{"dim":{"on":true,"from":"21:00","until":"07:00"}}');
  assert.deepEqual([6, 7, 20, 21].filter((hour) => isDark(at(hour), set)), [6, 21]);
  assert.equal(isDark(at(23), DEFAULTS), false);
});
