// Saving a form: nothing that was typed is lost, and nothing that others saved is removed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ReservationSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { emptyDraft } from "../src/page/drafts.ts";
import { Page } from "./call_page.ts";
import { settle } from "./fakes.ts";

test("without a connection, saving and done wait, report it once, and are sent in their order", async () => {
  const page = new Page();
  page.connected = false;
  page.type({ note: "흰색 카니발" });
  await page.close();
  await page.clock.advance(120_000);
  assert.deepEqual([page.asked, page.failures], [[], ["save waits", "close waits"]]);
  assert.ok(page.unsent.has("save", "a") && page.unsent.has("close", "a"));
  page.connected = true;
  void page.actions.sendUnsent();
  await settle();
  assert.deepEqual(page.asked, ["save"]);
  await page.answer({ note: "흰색 카니발" });
  assert.deepEqual(page.asked, ["save", "close"]);
  await page.answer({ closed: true });
  assert.deepEqual([page.waiting("save"), page.waiting("close"), page.holder], [[], [], undefined]);
});

test("a save without an answer is sent again, soon also without a new connection, and nothing typed is lost", async () => {
  const page = new Page();
  void page.actions.save("a", { ...emptyDraft(), note: "흰색" });
  page.type({ note: "흰색" });
  await settle();
  await page.refuse("offline");
  assert.deepEqual([page.failures, page.drafts.has("a")], [["save waits"], true]);
  await page.clock.advance(15_000);
  await page.answer({ note: "흰색" });
  assert.deepEqual([page.asked, page.drafts.has("a"), page.waiting("save")], [["save", "save"], false, []]);
});

test("what the server refuses without a valid token waits for the next token, and nothing typed is lost", async () => {
  const page = new Page();
  page.type({ note: "흰색" });
  await page.close();
  await page.refuse("no-token");
  assert.deepEqual([page.failures, page.drafts.has("a"), page.waiting("save")], [["save waits", "close waits"], true, ["a"]]);
  await page.clock.advance(30_000);
  await page.answer({ note: "흰색" });
  await page.refuse("no-token");
  assert.deepEqual([page.asked, page.waiting("close"), page.holder], [["save", "save", "close"], ["a"], undefined]);
  void page.actions.sendUnsent();
  await settle();
  await page.answer({ note: "흰색", closed: true });
  assert.deepEqual([page.waiting("save"), page.waiting("close"), page.drafts.has("a")], [[], [], false]);
});

test("a second save without an answer waits, although the first was answered meanwhile", async () => {
  const page = new Page();
  const first = { ...emptyDraft(), note: "흰색" };
  page.drafts.set("a", first);
  void page.actions.save("a", first);
  page.drafts.set("a", { ...first, note: "흰색 카니발" });
  void page.actions.save("a", { ...first, note: "흰색 카니발" });
  await settle();
  await page.answer({ note: "흰색" });
  await page.refuse("offline");
  assert.deepEqual(page.waiting("save"), ["a"]);
});

test("a form that becomes incomplete while its save waits is not sent, and no longer promised", async () => {
  const page = new Page();
  page.connected = false;
  page.type({ name: "김민수" });
  await page.actions.save("a", page.draft());
  page.type({ name: "김민수", date: "2025-11-29" });
  page.connected = true;
  await page.actions.sendUnsent();
  assert.deepEqual([page.asked, page.waiting("save"), page.drafts.has("a")], [[], [], true]);
});

test("what is typed while it is being saved stays a draft; what was saved does not", async () => {
  const page = new Page();
  const first = { ...emptyDraft(), car: "12가 34" };
  page.drafts.set("a", first);
  const saving = page.actions.save("a", first);
  page.drafts.set("a", { ...first, car: "12가 3456" });
  await settle();
  const reservation = create(ReservationSchema, { carNumber: "12가 34" });
  await page.answer({ reservation });
  assert.ok(await saving);
  assert.equal(page.drafts.get("a")?.car, "12가 3456");
  const second = page.actions.save("a", { ...first, car: "12가 3456 " });
  assert.equal(page.board.recent()[0]?.call.reservation?.carNumber, "12가 3456");
  await settle();
  await page.answer();
  assert.ok(await second);
  assert.ok(!page.drafts.has("a"));
});

test("saving an empty form removes the reservation", async () => {
  const page = new Page();
  page.update({ reservation: { carNumber: "12가 3456" }, note: "흰색" });
  void page.actions.save("a", emptyDraft());
  const shown = page.board.recent()[0]?.call;
  assert.deepEqual([shown?.reservation, shown?.note], [undefined, ""]);
});

test("a half-typed form follows what another pad saves, except where something was typed; saving it removes nothing", async () => {
  const page = new Page();
  page.typeInto({ note: "콜백 예정" });
  const at = timestampFromMs(new Date(2025, 10, 24, 10, 30).getTime());
  page.update({ reservation: { customerName: "김민수", at } });
  const followed = { ...emptyDraft(), name: "김민수", date: "2025-11-24", time: "10:30", note: "콜백 예정" };
  assert.deepEqual(page.actions.follow("a"), followed);
  // Not drawn yet when somebody taps: what is saved is as new as this page knows.
  page.update({ reservation: { customerName: "김민수", service: "실내 세차", at } });
  void page.actions.save("a", followed);
  assert.equal(page.board.recent()[0]?.call.reservation?.service, "실내 세차");
  page.update({ reservation: { customerName: "김민수", service: "왁스", at } });
  await settle();
  assert.equal(page.last().note?.note, "콜백 예정");
  const { customerName, service } = page.last().note?.reservation ?? {};
  assert.deepEqual([customerName, service], ["김민수", "왁스"]);
});

test("a save without an answer leaves no draft if it was done, and leaves it if it was not", async () => {
  for (const happened of [true, false]) {
    const page = new Page();
    page.typeInto({ time: "18:00", note: " 흰색 " });
    void page.actions.save("a", page.draft());
    await settle();
    const { note = "", reservation } = page.last().note ?? {};
    if (happened) page.update({ note, reservation: create(ReservationSchema, reservation) });
    assert.ok(page.actions.follow("a"), "until the answer is here, it may still be refused");
    await page.refuse("offline");
    assert.equal(page.actions.follow("a") === undefined, happened);
  }
});

test("what is changed back while it is being saved is changed back, whether it was saved or not", async () => {
  for (const saves of [true, false]) {
    const page = new Page();
    page.typeInto({ note: "흰색" });
    void page.actions.save("a", page.draft());
    page.typeInto({ note: "" });
    await settle();
    if (saves) await page.answer({ note: "흰색", reservation: { service: "왁스" } });
    else await page.refuse("offline");
    const left = page.actions.follow("a");
    assert.deepEqual(left, saves ? { ...emptyDraft(), service: "왁스" } : undefined);
  }
});

test("what is typed back to what is saved is not a draft", () => {
  const page = new Page();
  page.typeInto({ note: "흰색" });
  assert.ok(page.drafts.has("a"));
  page.typeInto({ note: "" });
  assert.ok(!page.drafts.has("a"));
});
