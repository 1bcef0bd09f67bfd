// Which missed calls are open, and how they are grouped: by the same rule on every pad.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, CallSchema, CallState, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { Board } from "../src/page/board.ts";
import { groupByCaller, withOthersOf } from "../src/page/missed_groups.ts";

const T = Date.parse("2025-11-23T05:00:00Z");
const { MISSED, COMPLETED } = CallState;
let revision = 0n;

function call(id: string, minute: number, state: CallState, number = "+821012345678"): Call {
  revision += 1n;
  const caller = number === "" ? { kind: CallerKind.WITHHELD } : { kind: CallerKind.NUMBER, number };
  return create(CallSchema, { id, revision, state, caller, startedAt: timestampFromMs(T + minute * 60_000) });
}

/** Caller and calls of each group. */
function groups(board: Board): string[] {
  return groupByCaller(board.missed(T)).map(({ ids }) => ids.join(" "));
}

test("five missed calls and a later answered one of the same caller leave nothing open, in any order", () => {
  const calls = [...[0, 1, 2, 3, 4].map((minute) => call(`m${minute}`, minute, MISSED)), call("answered", 5, COMPLETED)];
  for (const order of [calls, [...calls].reverse()]) {
    const board = new Board();
    for (const it of order) board.apply(it, undefined, T);
    assert.deepEqual(groups(board), []);
  }
});

test("an earlier answered call, or another caller's, closes nothing", () => {
  const board = new Board();
  board.apply(call("before", 0, COMPLETED), undefined, T);
  board.apply(call("a", 1, MISSED), undefined, T);
  board.apply(call("other", 2, COMPLETED, "+82255501340"), undefined, T);
  assert.deepEqual(groups(board), ["a"]);
});

test("an answered call that began in the same second as a missed one of the caller closes it: providers send whole seconds", () => {
  const board = new Board();
  board.apply(call("a", 1, MISSED), undefined, T);
  board.apply(call("answered", 1, COMPLETED), undefined, T);
  assert.deepEqual(groups(board), []);
});

test("an answered call that is older than the snapshot's counts as well, and is not listed", () => {
  const board = new Board();
  board.apply(call("a", 1, MISSED), undefined, T);
  board.addMissed([call("answered", 2, COMPLETED), call("b", 3, MISSED)], T);
  assert.deepEqual(groups(board), ["b"]);
  assert.deepEqual(board.recent().map(({ call: { id } }) => id), ["b", "a"]);
});

test("calls are grouped by caller, newest first; callers without a number are not taken for one person", () => {
  const board = new Board();
  board.apply(call("a1", 1, MISSED), undefined, T);
  board.apply(call("w1", 2, MISSED, ""), undefined, T);
  board.apply(call("b", 3, MISSED, "+82255501340"), undefined, T);
  board.apply(call("w2", 4, MISSED, ""), undefined, T);
  board.apply(call("a2", 5, MISSED), undefined, T);
  assert.deepEqual(groups(board), ["a2 a1", "w2", "b", "w1"]);
});

test("the board says when older missed calls are left out", () => {
  const board = new Board();
  for (let i = 0; i < 100; i += 1) board.apply(call(`m${i}`, i, MISSED, ""), undefined, T);
  assert.deepEqual([board.missed(T).length, board.missedCut], [100, false]);
  board.apply(call("one more", 200, MISSED, ""), undefined, T);
  assert.deepEqual([board.missed(T).length, board.missedCut], [100, true]);
});

test("a call back from anywhere is for all open missed calls of its caller, and for no other's", () => {
  const board = new Board();
  const answered = call("answered", 0, COMPLETED);
  const withheld = call("w1", 1, MISSED, "");
  for (const it of [answered, withheld, call("a1", 2, MISSED), call("b", 3, MISSED, "+82255501340"), call("a2", 4, MISSED), call("w2", 5, MISSED, "")]) {
    board.apply(it, undefined, T);
  }
  assert.deepEqual(withOthersOf(answered, ["answered"], board.missed(T)), ["answered", "a2", "a1"]);
  assert.deepEqual(withOthersOf(withheld, ["w1"], board.missed(T)), ["w1"]);
});

test("only missed calls of the last seven days are open, and what was not read of them is said", () => {
  const board = new Board();
  const week = 7 * 24 * 60;
  board.apply(call("old", -week - 1, MISSED), undefined, T);
  board.apply(call("week", -week, MISSED), undefined, T);
  assert.deepEqual(groups(board), ["week"]);
  assert.deepEqual([board.missed(T + 1).length, board.missedCut], [0, false]);
  board.cutMissed();
  assert.equal(board.missedCut, true);
});
