// A device's settings: what is read back, and which calls do not ring.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, CallSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { callerNameHere, isDark, isSilenced, lineName, parse } from "../src/page/settings.ts";

/** A call at this hour of the device's time. */
function call(hour: number, number = "+821012345678") {
  const at = new Date(2025, 10, 23, hour).getTime();
  return create(CallSchema, { caller: { kind: CallerKind.NUMBER, number }, startedAt: timestampFromMs(at) });
}

const hours = (opens: string, closes: string) => parse(JSON.stringify({ opens, closes }));

test("what was not written by this page has its default", () => {
  for (const stored of [null, "", "[", "null", "3", '{"tone":"siren","quiet":"yes","opens":"9","more":1}']) {
    const { tone, quiet, opens } = parse(stored);
    assert.deepEqual([tone, quiet, opens], ["bell", false, ""], String(stored));
  }
  assert.equal(parse('{"tone":"chime"}').tone, "chime");
});

test("calls outside business hours do not ring, also if these end after midnight; without both hours all ring", () => {
  const silent = (opens: string, closes: string) => [3, 9, 18, 22].filter((hour) => isSilenced(call(hour), hours(opens, closes)));
  assert.deepEqual(silent("09:00", "18:00"), [3, 18, 22]);
  assert.deepEqual(silent("18:00", "02:00"), [3, 9]);
  for (const [opens, closes] of [["", ""], ["09:00", ""], ["09:00", "09:00"]] as const) assert.deepEqual(silent(opens, closes), []);
});

test("do not disturb silences every call, a number in the list only its own, in any form", () => {
  assert.ok(isSilenced(call(9), parse('{"quiet":true}')));
  for (const line of ["010-1234-5678 광고", "01012345678", "+82 10-1234-5678 광고", "  010 1234 5678  광고"]) {
    const set = parse(JSON.stringify({ silent: `02-555-0134\n${line}` }));
    assert.deepEqual([isSilenced(call(9), set), isSilenced(call(9, "+821012345679"), set)], [true, false], line);
  }
});

test("numbers have the names that this device gives them", () => {
  const set = parse(JSON.stringify({ callers: "010-1234-5678 세제 납품", silent: "02-555-0134 광고", lines: "0507-1234-5678 네이버 예약용" }));
  assert.equal(callerNameHere(call(9), set), "세제 납품");
  assert.equal(callerNameHere(call(9, "+8225550134"), set), "광고");
  assert.equal(callerNameHere(call(9, ""), set), "");
  assert.deepEqual([lineName("0507-1234-5678", set), lineName("0507-9999-0000", set)], ["네이버 예약용", "0507-9999-0000"]);
});

test("the screen is darker only at night, and only if that is set", () => {
  const at = (hour: number) => new Date(2025, 10, 23, hour).getTime();
  const dark = [6, 7, 20, 21].filter((hour) => isDark(at(hour), parse('{"dim":true}')));
  assert.deepEqual([dark, isDark(at(23), parse(null))], [[6, 21], false]);
});
