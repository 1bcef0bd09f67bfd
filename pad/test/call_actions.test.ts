// Taps that show at once and correct themselves, with a pad whose answers come when a test says so.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ActionError } from "../src/client/action_error.ts";
import type { NoteInit } from "../src/client/actions.ts";
import type { PadIdentity } from "../src/client/tokens.ts";
import { CallSchema, CallState, ClaimSchema, ReservationSchema, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { Board } from "../src/page/board.ts";
import { CallActions, type ActionContext } from "../src/page/call_actions.ts";
import { Drafts, emptyDraft, type Draft } from "../src/page/drafts.ts";
import { Expectations } from "../src/page/expectations.ts";
import { draftOf } from "../src/page/reservation.ts";
import { Unsent } from "../src/page/unsent.ts";
import { FakeClock, fakeMemory, settle } from "./fakes.ts";

const T = Date.parse("2025-11-23T05:00:00Z");
const THEIRS = create(ClaimSchema, { padId: "p2", padName: "2번 카운터" });

let revisions = 0n;
function call(more: MessageInitShape<typeof CallSchema> = {}): Call {
  revisions += 1n;
  return create(CallSchema, { id: "a", state: CallState.RINGING, revision: revisions, ...more } as MessageInitShape<typeof CallSchema>);
}

/** An action that waits for its answer. */
interface Sent {
  action: string;
  note?: NoteInit;
  answer(call: Call): Promise<void>;
  refuse(error: Error): Promise<void>;
}

/** A page that shows one ringing call. */
class Page {
  identity: PadIdentity | undefined = { id: "p1", name: "1번 카운터" };
  readonly sent: Sent[] = [];
  readonly failures: string[] = [];
  /** Calls whose forms people were asked to complete. */
  readonly unfinished: string[] = [];
  formIsWhole = true;
  connected = true;
  readonly clock = new FakeClock();
  readonly unsent: Unsent;
  readonly drafts = new Drafts(undefined);
  readonly #expectations = new Expectations();
  readonly board: Board = new Board({
    me: () => this.actions.me(),
    expected: (it) => this.#expectations.of(it),
    hasDraft: (id) => this.drafts.has(id),
    isDone: (id) => this.actions.isDone(id),
  });
  readonly actions: CallActions;

  constructor(unsent = new Unsent(undefined)) {
    this.unsent = unsent;
    this.actions = new CallActions({
      pad: this.#pad(),
      board: this.board,
      expectations: this.#expectations,
      drafts: this.drafts,
      unsent: this.unsent,
      clock: this.clock,
      connected: () => this.connected,
      now: () => T,
      changed: () => {},
      isWhole: () => this.formIsWhole,
      unfinished: (id) => this.unfinished.push(id),
      failed: (action, { kind }) => this.failures.push(`${action} ${kind}`),
      waits: (action) => this.failures.push(`${action} waits`),
    });
    this.board.apply(call(), T + 30_000, T);
  }

  /** What has been asked of the server so far. */
  get asked(): string[] {
    return this.sent.map(({ action }) => action);
  }

  last(): Sent {
    return this.sent.at(-1) ?? assert.fail("nothing was sent");
  }

  /** Whose the call is, as people see it; undefined when it is not on the screen. */
  get holder(): string | undefined {
    return this.board.popups(T)[0]?.holder;
  }

  #pad(): ActionContext["pad"] {
    const send = (action: string, note?: NoteInit) =>
      new Promise<Call>((resolve, reject) => {
        const answer = (it: Call) => (resolve(it), settle());
        const refuse = (error: Error) => (reject(error), settle());
        this.sent.push({ action, ...(note && { note }), answer, refuse });
      });
    return {
      claim: () => send("claim"),
      release: () => send("release"),
      close: () => send("close"),
      reopen: () => send("reopen"),
      saveNote: (_, note) => send("save", note),
      identity: () => this.identity,
    };
  }
}

test("a claim shows before it is answered, and stands when it is won", async () => {
  const page = new Page();
  void page.actions.claim("a");
  assert.equal(page.holder, "me");
  await settle();
  await page.last().answer(call({ claim: { padId: "p1" } }));
  assert.equal(page.holder, "me");
  assert.deepEqual(page.failures, []);
});

test("a claim that is lost says who has the call, before the winner's update is here", async () => {
  const page = new Page();
  void page.actions.claim("a");
  await settle();
  await page.last().refuse(new ActionError("claimed", "", { claim: THEIRS }));
  assert.equal(page.holder, "other");
  assert.deepEqual(page.failures, ["claim claimed"]);
});

test("a claim without an answer is taken back; every other failure is a refusal", async () => {
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

test("somebody else's claim that came meanwhile is not covered by ours", async () => {
  const page = new Page();
  void page.actions.claim("a");
  page.board.apply(call({ claim: THEIRS }), undefined, T);
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
  await page.last().answer(call({ claim: { padId: "p1" } }));
  assert.deepEqual(page.asked, ["claim", "release"]);
  assert.equal(page.holder, "me");
  await page.last().refuse(new ActionError("offline", ""));
  assert.deepEqual(page.asked, ["claim", "release", "claim"]);
});

test("calls do not wait for each other", async () => {
  const page = new Page();
  void page.actions.claim("a");
  void page.actions.claim("b");
  await settle();
  assert.deepEqual(page.asked, ["claim", "claim"]);
});

test("done saves what was typed first, takes the call off the screen, and is told at once", async () => {
  const page = new Page();
  page.drafts.set("a", { ...emptyDraft(), note: "흰색 카니발" });
  page.actions.close("a");
  await settle();
  assert.deepEqual([page.asked, page.holder, page.actions.undoable], [["save"], undefined, "a"]);
  assert.deepEqual(page.last().note, { note: "흰색 카니발", reservation: undefined });
  await page.last().answer(call({ note: "흰색 카니발" }));
  assert.deepEqual([page.asked, page.holder], [["save", "close"], undefined]);
  await page.last().answer(call({ closed: true }));
  assert.ok(!page.drafts.has("a"));
  assert.deepEqual([page.holder, page.unsent.all("close")], [undefined, []]);
});

test("done is offered to be taken back for 6 s: then the server reopens the call, and its card comes back as it was", async () => {
  const page = new Page();
  page.board.open(page.board.call("a") ?? assert.fail("no call"), T);
  page.actions.close("a");
  await settle();
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, "a"]);
  await page.last().answer(call({ closed: true }));
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, "a"]);
  await page.clock.advance(5_900);
  page.actions.undo("a");
  await settle();
  const [back] = page.board.popups(T);
  assert.deepEqual([back?.call.closed, back?.opened, page.actions.undoable], [false, true, undefined]);
  assert.deepEqual([page.asked, page.unsent.all("reopen")], [["close", "reopen"], ["a"]]);
  await page.last().answer(call());
  await page.clock.advance(60_000);
  assert.deepEqual([page.holder, page.unsent.all("reopen"), page.asked.length], ["nobody", [], 2]);
});

test("a press in the last moment counts; long afterwards done cannot be taken back", async () => {
  for (const [after, asked] of [[9_000, ["close", "reopen"]], [11_000, ["close"]]] as const) {
    const page = new Page();
    page.actions.close("a");
  await settle();
    await page.last().answer(call({ closed: true }));
    await page.clock.advance(after);
    assert.equal(page.actions.undoable, undefined);
    page.actions.undo("a");
    await settle();
    assert.deepEqual(page.asked, asked);
  }
});

test("done that is taken back before it was sent is never sent", async () => {
  const page = new Page();
  page.connected = false;
  page.actions.close("a");
  await settle();
  await settle();
  page.actions.undo("a");
  assert.deepEqual([page.holder, page.unsent.all("close"), page.unsent.all("reopen")], ["nobody", [], []]);
  page.connected = true;
  await page.actions.sendUnsent();
  assert.deepEqual(page.asked, []);
});

test("done that is taken back while it is being told is reopened, also if it fails, and also with the next connection", async () => {
  for (const lost of [false, true]) {
    const page = new Page();
    page.actions.close("a");
  await settle();
    page.actions.undo("a");
    assert.equal(page.holder, "nobody");
    if (lost) await page.last().refuse(new ActionError("offline", ""));
    else await page.last().answer(call({ closed: true }));
    assert.deepEqual([page.asked, page.holder], [["close", "reopen"], "nobody"]);
    await page.last().refuse(new ActionError("offline", ""));
    assert.deepEqual([page.failures, page.holder, page.unsent.all("reopen")], [["reopen waits"], "nobody", ["a"]]);
    void page.actions.sendUnsent();
    await settle();
    await page.last().answer(call());
    assert.deepEqual([page.asked.length, page.holder, page.unsent.all("reopen")], [3, "nobody", []]);
  }
});

test("done, not done, done again: the last is what the server has in the end", async () => {
  const page = new Page();
  page.actions.close("a");
  await settle();
  page.actions.undo("a");
  await page.last().answer(call({ closed: true }));
  page.actions.close("a");
  await settle();
  assert.equal(page.holder, undefined);
  await page.last().answer(call());
  await page.last().answer(call({ closed: true }));
  await page.clock.advance(60_000);
  assert.deepEqual([page.asked, page.holder], [["close", "reopen", "close"], undefined]);
});

test("a call whose reopening is refused is as the server has it", async () => {
  const page = new Page();
  page.actions.close("a");
  await settle();
  await page.last().answer(call({ closed: true }));
  page.actions.undo("a");
  await settle();
  await page.last().refuse(new ActionError("refused", ""));
  assert.deepEqual([page.failures, page.holder, page.unsent.all("reopen")], [["reopen refused"], undefined, []]);
});

test("a card that is done does not show again before the answer is here, also if the update comes first", async () => {
  const page = new Page();
  page.board.open(page.board.call("a") ?? assert.fail("no call"), T);
  page.actions.close("a");
  await settle();
  // Its update is here, and its answer is not.
  page.board.apply(call({ closed: true }), undefined, T);
  assert.equal(page.holder, undefined);
  await page.last().answer(call({ closed: true }));
  assert.equal(page.holder, undefined);
  await page.clock.advance(60_000);
  assert.equal(page.holder, undefined);
});

test("a call that is opened from a list after it was done is shown, and can still be taken back", async () => {
  const page = new Page();
  page.actions.close("a");
  await settle();
  await page.last().answer(call({ closed: true }));
  page.actions.opened("a");
  page.board.open(page.board.call("a") ?? assert.fail("no call"), T);
  assert.deepEqual([page.holder, page.actions.undoable], ["nobody", "a"]);
  await page.clock.advance(60_000);
  assert.equal(page.holder, "nobody");
});

test("done is taken back where the server refuses it", async () => {
  const page = new Page();
  page.actions.close("a");
  await settle();
  await page.last().refuse(new ActionError("refused", ""));
  assert.deepEqual([page.holder, page.actions.undoable, page.failures], ["nobody", undefined, ["close refused"]]);
});

test("without a connection saving and done wait for one, say so once, and are done in their order", async () => {
  const page = new Page();
  page.connected = false;
  page.drafts.set("a", { ...emptyDraft(), note: "흰색 카니발" });
  page.actions.close("a");
  await settle();
  await page.clock.advance(120_000);
  assert.deepEqual([page.asked, page.failures], [[], ["save waits", "close waits"]]);
  assert.ok(page.unsent.has("save", "a") && page.unsent.has("close", "a"));
  page.connected = true;
  void page.actions.sendUnsent();
  await settle();
  assert.deepEqual(page.asked, ["save"]);
  await page.last().answer(call({ note: "흰색 카니발" }));
  assert.deepEqual(page.asked, ["save", "close"]);
  await page.last().answer(call({ closed: true }));
  assert.deepEqual([page.unsent.all("save"), page.unsent.all("close"), page.holder], [[], [], undefined]);
});

test("what got no answer is told again, soon also without a word of a connection, and nothing typed is lost", async () => {
  const page = new Page();
  void page.actions.save("a", { ...emptyDraft(), note: "흰색" });
  page.drafts.set("a", { ...emptyDraft(), note: "흰색" });
  await settle();
  await page.last().refuse(new ActionError("offline", ""));
  assert.deepEqual([page.failures, page.drafts.has("a")], [["save waits"], true]);
  await page.clock.advance(15_000);
  await page.last().answer(call({ note: "흰색" }));
  assert.deepEqual([page.asked, page.drafts.has("a"), page.unsent.all("save")], [["save", "save"], false, []]);
});

test("what the server does not take without a valid token waits for the next one, and nothing typed is lost", async () => {
  const page = new Page();
  page.drafts.set("a", { ...emptyDraft(), note: "흰색" });
  page.actions.close("a");
  await settle();
  await page.last().refuse(new ActionError("no-token", ""));
  assert.deepEqual([page.failures, page.drafts.has("a"), page.unsent.all("save")], [["save waits", "close waits"], true, ["a"]]);
  await page.clock.advance(30_000);
  await page.last().answer(call({ note: "흰색" }));
  await page.last().refuse(new ActionError("no-token", ""));
  assert.deepEqual([page.asked, page.unsent.all("close"), page.holder], [["save", "save", "close"], ["a"], undefined]);
  void page.actions.sendUnsent();
  await settle();
  await page.last().answer(call({ note: "흰색", closed: true }));
  assert.deepEqual([page.unsent.all("save"), page.unsent.all("close"), page.drafts.has("a")], [[], [], false]);
});

test("a second save that gets no answer waits, although the first was answered meanwhile", async () => {
  const page = new Page();
  const first = { ...emptyDraft(), note: "흰색" };
  page.drafts.set("a", first);
  void page.actions.save("a", first);
  page.drafts.set("a", { ...first, note: "흰색 카니발" });
  void page.actions.save("a", { ...first, note: "흰색 카니발" });
  await settle();
  await page.last().answer(call({ note: "흰색" }));
  await page.last().refuse(new ActionError("offline", ""));
  assert.deepEqual(page.unsent.all("save"), ["a"]);
});

test("what somebody has gone on typing until it is not whole is no longer said to be saved with the connection", async () => {
  const page = new Page();
  page.connected = false;
  page.drafts.set("a", { ...emptyDraft(), name: "김민수" });
  await page.actions.save("a", page.drafts.get("a") ?? assert.fail("no draft"));
  page.drafts.set("a", { ...emptyDraft(), name: "김민수", date: "2025-11-29" });
  page.connected = true;
  await page.actions.sendUnsent();
  assert.deepEqual([page.asked, page.unsent.all("save"), page.drafts.has("a")], [[], [], true]);
});

test("what waits survives a reload: the call looks closed from the beginning, and is closed with the first connection", async () => {
  const memory = fakeMemory();
  new Unsent(memory).add("close", "a");
  const page = new Page(new Unsent(memory));
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, undefined]);
  void page.actions.sendUnsent();
  await settle();
  await page.last().answer(call({ closed: true }));
  assert.deepEqual(new Unsent(memory).all("close"), []);
});

test("what is typed into a call after it was closed is no less kept", async () => {
  const page = new Page();
  page.actions.close("a");
  page.actions.opened("a");
  page.drafts.set("a", { ...emptyDraft(), note: "흰색", date: "2025-11-29" });
  await settle();
  await page.last().answer(call({ closed: true }));
  await page.clock.advance(60_000);
  assert.ok(page.drafts.has("a"));
  assert.equal(page.holder, "nobody");
});

test("done that is taken back while what was typed is being saved closes nothing, and saves it", async () => {
  const page = new Page();
  page.drafts.set("a", { ...emptyDraft(), note: "흰색" });
  page.actions.close("a");
  assert.deepEqual([page.holder, page.actions.undoable], [undefined, "a"]);
  await settle();
  page.actions.undo("a");
  assert.equal(page.holder, "nobody");
  await page.last().answer(call({ note: "흰색" }));
  assert.deepEqual([page.asked, page.drafts.has("a"), page.unsent.all("reopen")], [["save"], false, []]);
  assert.equal(page.holder, "nobody");
});

test("done also takes away what was opened from a list", async () => {
  const page = new Page();
  page.board.open(call(), T);
  page.actions.close("a");
  await settle();
  assert.equal(page.holder, undefined);
  await page.clock.advance(6_000);
  await page.last().answer(call({ closed: true }));
  assert.equal(page.holder, undefined);
});

test("done throws no half-typed date away: it asks for the rest, wherever it was tapped", async () => {
  const page = new Page();
  for (const typed of [{ date: "2025-11-29" }, { date: "2025-11", time: "10:30" }, { date: "120251-11-29", time: "10:30" }]) {
    page.drafts.set("a", { ...emptyDraft(), name: "김민수", ...typed });
    page.actions.close("a");
  await settle();
    assert.deepEqual(page.asked, []);
    assert.ok(page.drafts.has("a"));
  }
  assert.deepEqual(page.unfinished, ["a", "a", "a"]);
});

test("done waits for what the form has and no draft can have: a date with its year only", async () => {
  const page = new Page();
  page.formIsWhole = false;
  page.actions.close("a");
  await settle();
  assert.deepEqual([page.asked, page.unfinished], [[], ["a"]]);
});

test("what is typed after done was tapped is saved too", async () => {
  const page = new Page();
  page.drafts.set("a", { ...emptyDraft(), note: "흰색" });
  page.actions.close("a");
  page.drafts.set("a", { ...emptyDraft(), note: "흰색 카니발" });
  await settle();
  await page.last().answer(call({ note: "흰색 카니발" }));
  await page.clock.advance(6_000);
  assert.deepEqual(page.asked, ["save", "close"]);
  assert.equal(page.sent[0]?.note?.note, "흰색 카니발");
});

test("done during a save that is under way also saves what was typed since", async () => {
  const page = new Page();
  const first = { ...emptyDraft(), note: "흰색" };
  page.drafts.set("a", first);
  void page.actions.save("a", first);
  page.drafts.set("a", { ...first, note: "흰색 카니발" });
  page.actions.close("a");
  await settle();
  await page.last().answer(call({ note: "흰색" }));
  await page.last().answer(call({ note: "흰색 카니발" }));
  await page.clock.advance(6_000);
  assert.deepEqual([page.asked, page.sent[1]?.note?.note], [["save", "save", "close"], "흰색 카니발"]);
  assert.ok(!page.drafts.has("a"));
});

test("done with a save that is refused leaves the call open, and what was typed in its form", async () => {
  const page = new Page();
  page.drafts.set("a", { ...emptyDraft(), note: "흰색" });
  void page.actions.save("a", { ...emptyDraft(), note: "흰색" });
  page.actions.close("a");
  await settle();
  await page.last().refuse(new ActionError("refused", ""));
  await page.last().refuse(new ActionError("refused", ""));
  await page.clock.advance(6_000);
  assert.deepEqual([page.asked, page.holder, page.drafts.has("a")], [["save", "save"], "nobody", true]);
});

test("what is typed while it is being saved stays a draft; what was saved is none", async () => {
  const page = new Page();
  const first = { ...emptyDraft(), car: "12가 34" };
  page.drafts.set("a", first);
  const saving = page.actions.save("a", first);
  page.drafts.set("a", { ...first, car: "12가 3456" });
  await settle();
  const reservation = create(ReservationSchema, { carNumber: "12가 34" });
  await page.last().answer(call({ reservation }));
  assert.ok(await saving);
  assert.equal(page.drafts.get("a")?.car, "12가 3456");
  const second = page.actions.save("a", { ...first, car: "12가 3456 " });
  assert.equal(page.board.recent()[0]?.call.reservation?.carNumber, "12가 3456");
  await settle();
  await page.last().answer(call());
  assert.ok(await second);
  assert.ok(!page.drafts.has("a"));
});

test("saving an empty form takes the reservation away", async () => {
  const page = new Page();
  page.board.apply(call({ reservation: { carNumber: "12가 3456" }, note: "흰색" }), undefined, T);
  void page.actions.save("a", emptyDraft());
  const shown = page.board.recent()[0]?.call;
  assert.deepEqual([shown?.reservation, shown?.note], [undefined, ""]);
});

/** Somebody typed this into the form of the call as this page has it. */
function typeInto(page: Page, typed: Partial<Draft>): void {
  const shown = draftOf(page.board.call("a") ?? assert.fail("no call"));
  page.actions.write("a", { ...(page.drafts.get("a") ?? shown), ...typed }, shown);
}

test("a half-typed form follows what another pad saves, but for what was typed; saving it takes nothing away", async () => {
  const page = new Page();
  typeInto(page, { note: "콜백 예정" });
  const at = timestampFromMs(new Date(2025, 10, 24, 10, 30).getTime());
  page.board.apply(call({ reservation: { customerName: "김민수", at } }), undefined, T);
  const followed = { ...emptyDraft(), name: "김민수", date: "2025-11-24", time: "10:30", note: "콜백 예정" };
  assert.deepEqual(page.actions.follow("a"), followed);
  // Not drawn yet when somebody taps: what is saved is as new as this page knows.
  page.board.apply(call({ reservation: { customerName: "김민수", service: "실내 세차", at } }), undefined, T);
  void page.actions.save("a", followed);
  assert.equal(page.board.recent()[0]?.call.reservation?.service, "실내 세차");
  page.board.apply(call({ reservation: { customerName: "김민수", service: "왁스", at } }), undefined, T);
  await settle();
  assert.equal(page.last().note?.note, "콜백 예정");
  const { customerName, service } = page.last().note?.reservation ?? {};
  assert.deepEqual([customerName, service], ["김민수", "왁스"]);
});

test("a save without an answer that happened all the same leaves no draft; one that did not, leaves it", async () => {
  for (const happened of [true, false]) {
    const page = new Page();
    typeInto(page, { time: "18:00", note: " 흰색 " });
    void page.actions.save("a", page.drafts.get("a") ?? assert.fail("no draft"));
    await settle();
    const { note = "", reservation } = page.last().note ?? {};
    if (happened) page.board.apply(call({ note, reservation: create(ReservationSchema, reservation) }), undefined, T);
    assert.ok(page.actions.follow("a"), "until the answer is here, it may still be refused");
    await page.last().refuse(new ActionError("offline", ""));
    assert.equal(page.actions.follow("a") === undefined, happened);
  }
});

test("what is changed back while it is being saved is changed back, whether it was saved or not", async () => {
  for (const saves of [true, false]) {
    const page = new Page();
    typeInto(page, { note: "흰색" });
    void page.actions.save("a", page.drafts.get("a") ?? assert.fail("no draft"));
    typeInto(page, { note: "" });
    await settle();
    if (saves) await page.last().answer(call({ note: "흰색", reservation: { service: "왁스" } }));
    else await page.last().refuse(new ActionError("offline", ""));
    const left = page.actions.follow("a");
    assert.deepEqual(left, saves ? { ...emptyDraft(), service: "왁스" } : undefined);
  }
});

test("what is typed back to what is saved is no draft", () => {
  const page = new Page();
  typeInto(page, { note: "흰색" });
  assert.ok(page.drafts.has("a"));
  typeInto(page, { note: "" });
  assert.ok(!page.drafts.has("a"));
});

test("a token that cannot be read: the first claim that is won says who we are", async () => {
  const page = new Page();
  page.identity = undefined;
  void page.actions.claim("a");
  assert.equal(page.holder, "me");
  await settle();
  await page.last().answer(call({ claim: { padId: "opaque-7" } }));
  assert.equal(page.actions.me(), "opaque-7");
  assert.equal(page.holder, "me");
});
