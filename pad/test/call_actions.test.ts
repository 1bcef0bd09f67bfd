// Claims: shown immediately, and corrected when the answer arrives.

import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ActionError } from "../src/client/action_error.ts";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { call, Page, T, THEIRS } from "./call_page.ts";
import { settle } from "./fakes.ts";

test("a claim is shown before it is answered, and stays when it succeeds", async () => {
  const page = new Page();
  void page.actions.claim("a");
  assert.equal(page.holder, "me");
  await settle();
  await page.answer({ claim: { padId: "p1" } });
  assert.equal(page.holder, "me");
  assert.deepEqual(page.failures, []);
});

test("a refused claim shows who has the call, before the other pad's update arrives", async () => {
  const page = new Page();
  void page.actions.claim("a");
  await settle();
  await page.last().refuse(new ActionError("claimed", "", { claim: THEIRS }));
  assert.equal(page.holder, "other");
  assert.deepEqual(page.failures, ["claim claimed"]);
});

test("a claim without an answer is undone on the screen; every other failure is a refusal", async () => {
  for (const [error, failure] of [
    [new ActionError("offline", ""), "claim offline"],
    [new Error("a fault of ours"), "claim refused"],
  ] as const) {
    const page = new Page();
    void page.actions.claim("a");
    await settle();
    await page.last().refuse(error);
    assert.equal(page.holder, "nobody");
    assert.deepEqual(page.failures, [failure]);
  }
});

test("another pad's claim that arrives meanwhile is not hidden by ours", async () => {
  const page = new Page();
  void page.actions.claim("a");
  page.update({ claim: THEIRS });
  assert.equal(page.holder, "other");
});

test("taps reach the server one after the other, also if one fails; the screen shows them before", async () => {
  const page = new Page();
  void page.actions.claim("a");
  void page.actions.release("a");
  void page.actions.claim("a");
  assert.equal(page.holder, "me");
  await settle();
  assert.deepEqual(page.asked, ["claim"]);
  await page.answer({ claim: { padId: "p1" } });
  assert.deepEqual(page.asked, ["claim", "release"]);
  assert.equal(page.holder, "me");
  await page.refuse("offline");
  assert.deepEqual(page.asked, ["claim", "release", "claim"]);
});

test("calls do not wait for each other", async () => {
  const page = new Page();
  void page.actions.claim("a");
  void page.actions.claim("b");
  await settle();
  assert.deepEqual(page.asked, ["claim", "claim"]);
});

test("with a token that cannot be read, the first successful claim tells which pad we are", async () => {
  const page = new Page();
  page.identity = undefined;
  void page.actions.claim("a");
  assert.equal(page.holder, "me");
  await settle();
  await page.answer({ claim: { padId: "opaque-7" } });
  assert.equal(page.actions.me(), "opaque-7");
  assert.equal(page.holder, "me");
});

test("a line is added to the note of a call that the board does not have, and of the call only that is saved", async () => {
  const page = new Page();
  const found = call({ id: "found", state: CallState.COMPLETED, note: "세차 문의", customers: [{ id: "c1", name: "김민수" }] });
  for (let i = 0; i < 500; i += 1) page.board.apply(call({ id: `c${i}`, startedAt: timestampFromMs(T) }), undefined, T);
  const draft = page.actions.addToNote(found, "14:05 받지 않음") ?? assert.fail("not added");
  assert.equal(page.board.popups(T).some((popup) => popup.call.id === "found"), false);
  void page.actions.save("found", draft);
  await settle();
  assert.deepEqual(page.last().note, { note: "세차 문의\n14:05 받지 않음", reservation: undefined });
  await page.last().answer(call({ id: "found", note: "세차 문의\n14:05 받지 않음" }));
  assert.equal(page.drafts.has("found"), false);
});

test("a line that makes the note too long is not added", () => {
  const page = new Page();
  assert.equal(page.actions.addToNote(call({ id: "found", note: "가".repeat(1_995) }), "14:05 받지 않음"), undefined);
  assert.equal(page.drafts.has("found"), false);
});
