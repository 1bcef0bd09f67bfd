// Half-typed forms: kept, bounded, and turned into what is saved.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { CallSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { Drafts, emptyDraft, rebase } from "../src/page/drafts.ts";
import { draftOf, noteOf } from "../src/page/reservation.ts";
import { fakeMemory } from "./fakes.ts";

const NOW = new Date(2025, 10, 23, 14, 5).getTime();
const typed = { ...emptyDraft(), name: " 김민수 ", car: "12가 3456", date: "2025-11-24", time: "10:30", note: "흰색" };

test("a draft survives a reload, and is removed when it is dropped", () => {
  const memory = fakeMemory();
  new Drafts(memory).set("a", typed);
  const next = new Drafts(memory);
  assert.deepEqual(next.get("a"), typed);
  next.drop("a");
  assert.ok(!new Drafts(memory).has("a"));
});

test("a draft survives a reload together with its base", () => {
  const memory = fakeMemory();
  new Drafts(memory).set("a", typed, { ...typed, note: "" });
  const next = new Drafts(memory);
  next.follow("a", { ...emptyDraft(), name: "이영희" });
  assert.deepEqual(new Drafts(memory).get("a"), { ...emptyDraft(), name: "이영희", note: "흰색" });
});

test("a draft of an older version, without a base, is read as it was", () => {
  const memory = fakeMemory();
  memory.setItem("ringpad.drafts", JSON.stringify([["a", typed]]));
  const drafts = new Drafts(memory);
  assert.deepEqual(drafts.get("a"), typed);
  drafts.follow("a", { ...emptyDraft(), name: "이영희", service: "왁스" });
  assert.deepEqual(drafts.get("a"), { ...typed, service: "왁스" });
});

test("date and time are taken together from the same person", () => {
  const base = emptyDraft();
  const saved = { ...base, date: "2025-11-24", time: "10:30" };
  assert.deepEqual(rebase({ ...base, date: "2025-11-29" }, base, saved), { ...base, date: "2025-11-29" });
  assert.deepEqual(rebase({ ...saved, time: "" }, saved, { ...saved, date: "2025-11-25" }), { ...saved, time: "" });
  assert.deepEqual(rebase({ ...base, note: "흰색" }, base, saved), { ...saved, note: "흰색" });
});

test("a field that was emptied stays empty; spaces alone do not count as typed", () => {
  const base = { ...emptyDraft(), name: "김민수", note: "흰색" };
  const saved = { ...base, name: "김민수 사장", note: "흰색 카니발" };
  assert.deepEqual(rebase({ ...base, name: "", note: "흰색 " }, base, saved), { ...saved, name: "" });
});

test("twenty are kept, the newest", () => {
  const memory = fakeMemory();
  const drafts = new Drafts(memory);
  for (let i = 0; i < 50; i += 1) drafts.set(`c${i}`, typed);
  const kept = new Drafts(memory);
  assert.deepEqual([kept.has("c29"), kept.has("c30"), kept.has("c49")], [false, true, true]);
});

test("beyond twenty, drafts that the page has promised to save stay", () => {
  const memory = fakeMemory();
  const drafts = new Drafts(memory, (id) => id === "c3" || id === "c20");
  for (let i = 0; i < 50; i += 1) drafts.set(`c${i}`, typed);
  const kept = new Drafts(memory);
  assert.deepEqual(["c3", "c20", "c29", "c30"].map((id) => kept.has(id)), [true, true, false, true]);
});

test("without usable storage only a reload loses drafts", () => {
  const refuse = () => {
    throw new Error("QuotaExceeded");
  };
  for (const storage of [undefined, { getItem: () => "{not", setItem: refuse }, { getItem: refuse, setItem: refuse }]) {
    const drafts = new Drafts(storage);
    drafts.set("a", typed);
    assert.ok(drafts.has("a"));
  }
});

test("saved texts are trimmed, with date and time of the tablet; an empty form is no reservation", () => {
  const { note, reservation } = noteOf(typed, NOW);
  assert.equal(note, "흰색");
  assert.equal(reservation?.customerName, "김민수");
  assert.equal(timestampMs(reservation?.at as Timestamp), new Date(2025, 10, 24, 10, 30).getTime());
  assert.deepEqual(noteOf({ ...emptyDraft(), note: "흰색" }, NOW), { note: "흰색", reservation: undefined });
});

test("a time without a day is today", () => {
  const { reservation } = noteOf({ ...emptyDraft(), time: "18:00" }, NOW);
  assert.equal(timestampMs(reservation?.at as Timestamp), new Date(2025, 10, 23, 18, 0).getTime());
});

test("a call's form shows what was saved", () => {
  const at = timestampFromMs(new Date(2025, 10, 24, 9, 5).getTime());
  const reservation = { customerName: "김민수", carNumber: "12가 3456", service: "실내 세차", at };
  assert.deepEqual(draftOf(create(CallSchema, { note: "흰색", reservation })), {
    name: "김민수",
    car: "12가 3456",
    service: "실내 세차",
    date: "2025-11-24",
    time: "09:05",
    note: "흰색",
  });
  assert.deepEqual(draftOf(create(CallSchema, {})), emptyDraft());
});
