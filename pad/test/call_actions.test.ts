// Claims: shown immediately, and corrected when the answer arrives.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ActionError } from "../src/client/action_error.ts";
import { Page, THEIRS } from "./call_page.ts";
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
