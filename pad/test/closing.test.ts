// "Done", and undoing it: shown immediately, sent until the server answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyDraft } from "../src/page/drafts.ts";
import { Unsent } from "../src/page/unsent.ts";
import { call, Page, T } from "./call_page.ts";
import { fakeMemory, settle } from "./fakes.ts";

test("done first saves what was typed, hides the card, and is sent immediately", async () => {
  const page = new Page();
  page.type({ note: "흰색 카니발" });
  await page.close();
  assert.deepEqual([page.asked, page.holder, page.actions.undoable], [["save"], undefined, "a"]);
  assert.deepEqual(page.last().note, { note: "흰색 카니발", reservation: undefined });
  await page.answer({ note: "흰색 카니발" });
  assert.deepEqual([page.asked, page.holder], [["save", "close"], undefined]);
  await page.answer({ closed: true });
  assert.ok(!page.drafts.has("a"));
  assert.deepEqual([page.holder, page.waiting("close")], [undefined, []]);
});

test("done can be undone for 6 s: then the server reopens the call, and its card is shown again as it was", async () => {
  const page = new Page();
  page.open();
  await page.close();
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, "a"]);
  await page.answer({ closed: true });
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, "a"]);
  await page.clock.advance(5_900);
  page.actions.undo("a");
  await settle();
  const [back] = page.board.popups(T);
  assert.deepEqual([back?.call.closed, back?.opened, page.actions.undoable], [false, true, undefined]);
  assert.deepEqual([page.asked, page.waiting("reopen")], [["close", "reopen"], ["a"]]);
  await page.answer();
  await page.clock.advance(60_000);
  assert.deepEqual([page.holder, page.waiting("reopen"), page.asked.length], ["nobody", [], 2]);
});

test("a press at the last moment is accepted; long after that, done cannot be undone", async () => {
  for (const [after, asked] of [[9_000, ["close", "reopen"]], [11_000, ["close"]]] as const) {
    const page = new Page();
    await page.close();
    await page.answer({ closed: true });
    await page.clock.advance(after);
    assert.equal(page.actions.undoable, undefined);
    page.actions.undo("a");
    await settle();
    assert.deepEqual(page.asked, asked);
  }
});

test("done that is undone before it was sent is never sent", async () => {
  const page = new Page();
  page.connected = false;
  await page.close();
  page.actions.undo("a");
  assert.deepEqual([page.holder, page.waiting("close"), page.waiting("reopen")], ["nobody", [], []]);
  page.connected = true;
  await page.actions.sendUnsent();
  assert.deepEqual(page.asked, []);
});

test("done that is undone while it is sent is reopened, also if it fails, and also with the next connection", async () => {
  for (const lost of [false, true]) {
    const page = new Page();
    await page.close();
    page.actions.undo("a");
    assert.equal(page.holder, "nobody");
    if (lost) await page.refuse("offline");
    else await page.answer({ closed: true });
    assert.deepEqual([page.asked, page.holder], [["close", "reopen"], "nobody"]);
    await page.refuse("offline");
    assert.deepEqual([page.failures, page.holder, page.waiting("reopen")], [["reopen waits"], "nobody", ["a"]]);
    void page.actions.sendUnsent();
    await settle();
    await page.answer();
    assert.deepEqual([page.asked.length, page.holder, page.waiting("reopen")], [3, "nobody", []]);
  }
});

test("done, undone, done again: the last one is the server's state in the end", async () => {
  const page = new Page();
  await page.close();
  page.actions.undo("a");
  await page.answer({ closed: true });
  await page.close();
  assert.equal(page.holder, undefined);
  await page.answer();
  await page.answer({ closed: true });
  await page.clock.advance(60_000);
  assert.deepEqual([page.asked, page.holder], [["close", "reopen", "close"], undefined]);
});

test("if reopening is refused, the call is shown as the server has it", async () => {
  const page = new Page();
  await page.close();
  await page.answer({ closed: true });
  page.actions.undo("a");
  await settle();
  await page.refuse("refused");
  assert.deepEqual([page.failures, page.holder, page.waiting("reopen")], [["reopen refused"], undefined, []]);
});

test("a card that is done is not shown again before the answer, also if the update comes first", async () => {
  const page = new Page();
  page.open();
  await page.close();
  // Its update is here, and its answer is not.
  page.update({ closed: true });
  assert.equal(page.holder, undefined);
  await page.answer({ closed: true });
  assert.equal(page.holder, undefined);
  await page.clock.advance(60_000);
  assert.equal(page.holder, undefined);
});

test("a call that is opened from a list after it was done is shown, and done can still be undone", async () => {
  const page = new Page();
  await page.close();
  await page.answer({ closed: true });
  page.actions.opened("a");
  page.open();
  assert.deepEqual([page.holder, page.actions.undoable], ["nobody", "a"]);
  await page.clock.advance(60_000);
  assert.equal(page.holder, "nobody");
});

test("done is undone if the server refuses it", async () => {
  const page = new Page();
  await page.close();
  await page.refuse("refused");
  assert.deepEqual([page.holder, page.actions.undoable, page.failures], ["nobody", undefined, ["close refused"]]);
});

test("what waits survives a reload: the call looks closed from the beginning, and is closed with the first connection", async () => {
  const memory = fakeMemory();
  new Unsent(memory).add("close", "a");
  const page = new Page(new Unsent(memory));
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, undefined]);
  void page.actions.sendUnsent();
  await settle();
  await page.answer({ closed: true });
  assert.deepEqual(new Unsent(memory).all("close"), []);
});

test("what is typed into a call after it was closed is kept", async () => {
  const page = new Page();
  page.actions.close("a");
  page.actions.opened("a");
  page.type({ note: "흰색", date: "2025-11-29" });
  await settle();
  await page.answer({ closed: true });
  await page.clock.advance(60_000);
  assert.ok(page.drafts.has("a"));
  assert.equal(page.holder, "nobody");
});

test("done that is undone while what was typed is being saved closes nothing, and saves it", async () => {
  const page = new Page();
  page.type({ note: "흰색" });
  page.actions.close("a");
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, "a"]);
  await settle();
  page.actions.undo("a");
  assert.equal(page.holder, "nobody");
  await page.answer({ note: "흰색" });
  assert.deepEqual([page.asked, page.drafts.has("a"), page.waiting("reopen")], [["save"], false, []]);
  assert.equal(page.holder, "nobody");
});

test("done also hides what was opened from a list", async () => {
  const page = new Page();
  page.board.open(call(), T);
  await page.close();
  assert.equal(page.holder, undefined);
  await page.clock.advance(6_000);
  await page.answer({ closed: true });
  assert.equal(page.holder, undefined);
});

test("done does not discard a half-typed date: it asks for the rest", async () => {
  const page = new Page();
  for (const typed of [{ date: "2025-11-29" }, { date: "2025-11", time: "10:30" }, { date: "120251-11-29", time: "10:30" }]) {
    page.type({ name: "김민수", ...typed });
    await page.close();
    assert.deepEqual(page.asked, []);
    assert.ok(page.drafts.has("a"));
  }
  assert.deepEqual(page.unfinished, ["a", "a", "a"]);
});

test("done waits for a form that is invalid although its draft looks complete: a date with its year only", async () => {
  const page = new Page();
  page.formIsWhole = false;
  await page.close();
  assert.deepEqual([page.asked, page.unfinished], [[], ["a"]]);
});

test("what is typed after done was tapped is saved too", async () => {
  const page = new Page();
  page.type({ note: "흰색" });
  page.actions.close("a");
  page.type({ note: "흰색 카니발" });
  await settle();
  await page.answer({ note: "흰색 카니발" });
  await page.clock.advance(6_000);
  assert.deepEqual(page.asked, ["save", "close"]);
  assert.equal(page.sent[0]?.note?.note, "흰색 카니발");
});

test("done while a save is being sent also saves what was typed since", async () => {
  const page = new Page();
  const first = { ...emptyDraft(), note: "흰색" };
  page.drafts.set("a", first);
  void page.actions.save("a", first);
  page.drafts.set("a", { ...first, note: "흰색 카니발" });
  await page.close();
  await page.answer({ note: "흰색" });
  await page.answer({ note: "흰색 카니발" });
  await page.clock.advance(6_000);
  assert.deepEqual([page.asked, page.sent[1]?.note?.note], [["save", "save", "close"], "흰색 카니발"]);
  assert.ok(!page.drafts.has("a"));
});

test("done whose save is refused leaves the call open, and the form with what was typed", async () => {
  const page = new Page();
  page.type({ note: "흰색" });
  void page.actions.save("a", { ...emptyDraft(), note: "흰색" });
  await page.close();
  await page.refuse("refused");
  await page.refuse("refused");
  await page.clock.advance(6_000);
  assert.deepEqual([page.asked, page.holder, page.drafts.has("a")], [["save", "save"], "nobody", true]);
});
