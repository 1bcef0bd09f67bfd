// A day's reservations: what the server answered, and what came meanwhile.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallSchema, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { DayBook } from "../src/page/day_book.ts";

const FROM = Date.parse("2025-11-23T00:00:00Z");
const HOUR = 3_600_000;
const UNTIL = FROM + 24 * HOUR;

function call(id: string, revision: number, hour?: number): Call {
  const reservation = hour === undefined ? {} : { reservation: { at: timestampFromMs(FROM + hour * HOUR) } };
  return create(CallSchema, { id, revision: BigInt(revision), ...reservation });
}

const ids = (book: DayBook) => book.calls().map(({ id }) => id);

test("the day's reservations are listed by their time, without those of other days", () => {
  const book = new DayBook(FROM, UNTIL);
  for (const it of [call("b", 1, 11), call("a", 2, 9), call("yesterday", 3, -1), call("tomorrow", 4, 24), call("none", 5)]) book.add(it);
  assert.deepEqual(ids(book), ["a", "b"]);
});

test("updates change, remove and bring back a reservation; an older version changes nothing", () => {
  const book = new DayBook(FROM, UNTIL);
  book.add(call("a", 1, 9));
  book.add(call("a", 3));
  book.add(call("a", 2, 9));
  assert.deepEqual(ids(book), []);
  book.add(call("a", 4, 10));
  assert.deepEqual(ids(book), ["a"]);
});

test("what the answer does not have is dropped, unless it came while the server was asked", () => {
  const book = new DayBook(FROM, UNTIL, [call("gone", 1, 9), call("stays", 2, 10), call("changed", 3, 11)]);
  book.add(call("changed", 6, 12));
  book.add(call("new", 7, 13));
  book.keepOnly([call("stays", 2, 10), call("new", 5, 8)]);
  assert.deepEqual(ids(book), ["stays", "changed", "new"]);
});
