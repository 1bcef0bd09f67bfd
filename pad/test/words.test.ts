// Both languages: what must not be promised, and what a shop calls things.

import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../src/page/words_en.ts";
import { ko } from "../src/page/words_ko.ts";

test("an action without an answer is not reported as failed: it may have been done", () => {
  assert.match(ko.failed.offline, /확인하지 못했습니다/);
  assert.match(en.failed.offline, /could not be confirmed/);
});

test("the page's texts use a shop's words, and do not mention tokens or pads", () => {
  assert.equal(ko.phase.ringing, "전화가 왔습니다");
  assert.equal(ko.phase.unknown, "통화 여부 확인 안 됨");
  assert.deepEqual([ko.claim, ko.release], ["내가 응대", "응대 취소"]);
  assert.equal(ko.claimedBy("2번 카운터"), "2번 카운터에서 응대 중");
  assert.equal(ko.firstCall, "처음 전화한 손님");
  assert.equal(ko.noRecent, "아직 걸려 온 전화가 없습니다");
  assert.equal(ko.connection["needs-token"], "태블릿 등록이 필요합니다");
  assert.equal(ko.connection.replaced, "다른 화면에서 사용 중");
  assert.deepEqual([en.inHand, en.phase.unknown], ["You're on it", "Not known if answered"]);
  assert.deepEqual([en.found("5678"), en.nthCall(3)], ["Results for 5678", "Called 3 times"]);
  assert.deepEqual(wordsOf(ko).filter((words) => /토큰|패드|받기|놓기/.test(words)), []);
  assert.deepEqual(wordsOf(en).filter((words) => /\btoken|\bpad\b/i.test(words)), []);
});

/** Every word of a language that does not depend on something. */
function wordsOf(words: object): string[] {
  return Object.values(words).flatMap((each: unknown) =>
    typeof each === "string" ? [each] : typeof each === "object" && each !== null ? wordsOf(each) : [],
  );
}
