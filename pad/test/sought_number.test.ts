// What people type to find a caller.

import assert from "node:assert/strict";
import { test } from "node:test";
import { soughtNumber } from "../src/page/sought_number.ts";

const digits = (typed: string) => {
  const sought = soughtNumber(typed);
  return sought.kind === "digits" ? sought.digits : sought.kind;
};

test("a whole number is found in every usual form", () => {
  const ways = [
    "010-5555-1234", "01055551234", "010 5555 1234", "010.5555.1234", "(010) 5555-1234", "1055551234",
    "+82 10-5555-1234", "+821055551234", "821055551234", "+82 (0)10 5555 1234", "82010-5555-1234",
    "0082 10 5555 1234", "00182-10-5555-1234", "00700 82 10 5555 1234", "０１０－５５５５－１２３４", "010–5555–1234",
  ];
  for (const way of ways) assert.equal(digits(way), "1055551234", way);
  // The server's number ends in what is looked for.
  for (const [way, e164] of [
    ["02-555-0134", "+8225550134"], ["0507-1234-5678", "+8250712345678"], ["1588-1234", "+8215881234"], ["+82 2 555 0134", "+8225550134"],
    ["031-555-0199", "+82315550199"], ["+1 415 555 0134", "+14155550134"],
  ] as const) {
    assert.ok(e164.endsWith(digits(way)), `${way}: ${digits(way)}`);
  }
});

test("last digits stay as they are, also where they begin with 0 or 82", () => {
  for (const last of ["34", "0134", "8212", "82345678", "00", "5551234", "0001234"]) assert.equal(digits(last), last);
  assert.equal(digits("5555-1234"), "55551234");
});

test("one digit is too short, and a text is reported as not a number", () => {
  for (const typed of ["", "  ", "7", "-", "+8"]) assert.equal(digits(typed), "nothing", typed);
  for (const typed of ["12가 3456", "김민수", "12가3", "Kim 5678", "010-****-5678", "5678번", "가"]) assert.equal(digits(typed), "words", typed);
});
