import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallSchema, CallState, CallerKind, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { SnapshotSchema } from "../src/gen/ringpad/v1/pad_pb.ts";
import { Board } from "../src/page/board.ts";
import { Expectations } from "../src/page/expectations.ts";
import { phaseOf } from "../src/page/phase.ts";

const T = Date.parse("2025-11-23T05:00:00Z");
const { RINGING, ANSWERED, COMPLETED, MISSED } = CallState;

/** Of another caller. */
const OTHER = { caller: { number: "+82255501340", display: "02-555-0134", kind: CallerKind.NUMBER } };

let revisions = 0n;
function call(id: string, state: CallState, more: MessageInitShape<typeof CallSchema> = {}): Call {
  revisions += 1n;
  const caller = { number: "+821012345678", display: "010-1234-5678", kind: CallerKind.NUMBER };
  const usual = { id, state, caller, revision: revisions, startedAt: timestampFromMs(T - 2_000) };
  return create(CallSchema, { ...usual, ...more } as MessageInitShape<typeof CallSchema>);
}

function snapshot(position: bigint, openCalls: Call[], recentCalls: Call[] = [], epoch = "e1") {
  return create(SnapshotSchema, { position, epoch, openCalls, recentCalls });
}

const shown = (board: Board, now: number) => board.popups(now).map(({ call, phase }) => `${call.id} ${phase}`);
const ids = (known: { call: Call }[]) => known.map(({ call }) => call.id);

test("a ring with time left pops up; a late one, or one without pop_until, is only listed", () => {
  const board = new Board();
  board.apply(call("a", RINGING), T + 30_000, T);
  board.apply(call("b", RINGING), T, T);
  board.apply(call("c", RINGING), undefined, T);
  assert.deepEqual(shown(board, T), ["a ringing"]);
  assert.equal(board.recent().length, 3);
});

test("a call that is over never pops up, also with a pop_until", () => {
  const board = new Board();
  board.apply(call("a", COMPLETED), T + 30_000, T);
  board.apply(call("b", MISSED), T + 30_000, T);
  board.apply(call("c", RINGING, { closed: true }), T + 30_000, T);
  assert.deepEqual(shown(board, T), []);
});

test("popups do not replace each other: the oldest ring is first, a newer one is below it", () => {
  const board = new Board();
  board.apply(call("a", RINGING), T + 30_000, T);
  board.apply(call("b", RINGING), T + 31_000, T + 1_000);
  board.apply(call("a", ANSWERED), T + 32_000, T + 2_000);
  board.apply(call("c", RINGING), T + 33_000, T + 3_000);
  assert.deepEqual(shown(board, T + 3_000), ["b ringing", "c ringing", "a answered"]);
});

test("ringing calls keep their order when others change; the others are newest first", () => {
  const board = new Board();
  for (const id of ["a", "b", "c", "d"]) board.apply(call(id, RINGING), T + 30_000, T);
  board.apply(call("b", RINGING, { memo: "again" }), T + 30_000, T + 1_000);
  assert.deepEqual(shown(board, T + 1_000), ["a ringing", "b ringing", "c ringing", "d ringing"]);
  board.apply(call("a", ANSWERED), undefined, T + 2_000);
  board.apply(call("c", ANSWERED), undefined, T + 2_000);
  assert.deepEqual(shown(board, T + 2_000), ["b ringing", "d ringing", "c answered", "a answered"]);
});

test("a call has an open form if it is claimed here, was opened, or has a draft", () => {
  const board = new Board({ me: () => "p1", expected: (it) => it, hasDraft: (id) => id === "typed", isDone: () => false });
  for (const id of ["rings", "typed", "opened", "mine"]) board.apply(call(id, RINGING), T + 30_000, T);
  board.open(board.call("opened") ?? assert.fail(), T);
  board.apply(call("mine", RINGING, { claim: { padId: "p1" } }), undefined, T);
  const writing = board.popups(T).filter((popup) => popup.writing).map(({ call: { id } }) => id);
  assert.deepEqual(writing.sort(), ["mine", "opened", "typed"]);
});

test("after pop_until the outcome is unknown, and the popup stays for a while", () => {
  const board = new Board();
  board.apply(call("a", RINGING), T + 30_000, T);
  assert.deepEqual(shown(board, T + 29_999), ["a ringing"]);
  assert.deepEqual(shown(board, T + 30_000), ["a unknown"]);
  assert.deepEqual(shown(board, T + 300_000), ["a unknown"]);
  assert.deepEqual(shown(board, T + 330_000), []);
});

test("a popup follows its call to the end, and is removed 12 s later", () => {
  for (const [state, phase] of [
    [COMPLETED, "ended"],
    [MISSED, "missed"],
  ] as const) {
    const board = new Board();
    board.apply(call("a", RINGING), T + 30_000, T);
    board.apply(call("a", ANSWERED), undefined, T + 5_000);
    assert.deepEqual(shown(board, T + 40_000), ["a answered"]);
    board.apply(call("a", state), undefined, T + 60_000);
    assert.deepEqual(shown(board, T + 71_999), [`a ${phase}`]);
    assert.deepEqual(shown(board, T + 72_000), []);
    assert.deepEqual(ids(board.recent()), ["a"]);
  }
});

test("another record of an ended call does not extend its popup", () => {
  const board = new Board();
  board.apply(call("a", RINGING), T + 30_000, T);
  board.apply(call("a", COMPLETED), undefined, T + 5_000);
  board.apply(call("a", COMPLETED, { memo: "later" }), undefined, T + 16_000);
  assert.deepEqual(shown(board, T + 17_000), []);
});

test("a dismissed call never pops up again", () => {
  const board = new Board();
  board.apply(call("a", RINGING), T + 30_000, T);
  board.dismiss("a");
  board.apply(call("a", RINGING), T + 31_000, T + 1_000);
  board.apply(call("a", ANSWERED), T + 32_000, T + 2_000);
  assert.deepEqual(shown(board, T + 2_000), []);
  assert.deepEqual(ids(board.recent()), ["a"]);
});

test("the higher revision is kept, an equal one replaces", () => {
  const board = new Board();
  const older = call("a", RINGING);
  const newer = call("a", MISSED);
  board.apply(newer, undefined, T);
  board.apply(older, T + 30_000, T);
  assert.deepEqual(shown(board, T), []);
  assert.equal(board.missed(T).length, 1);
  board.apply({ ...newer, memo: "again" }, undefined, T);
  assert.equal(board.recent()[0]?.call.memo, "again");
});

test("an early ring pops up, and its later update changes nothing", () => {
  const board = new Board();
  const ring = call("a", RINGING);
  board.apply(ring, T + 30_000, T);
  board.apply(ring, T + 30_000, T + 700);
  assert.deepEqual(shown(board, T + 700), ["a ringing"]);
  board.dismiss("a");
  board.apply(ring, T + 30_000, T + 800);
  assert.deepEqual(shown(board, T + 800), []);
});

test("a snapshot replaces all calls, opens no popup, and keeps the popups of its calls", () => {
  const board = new Board();
  const a = call("a", RINGING);
  board.apply(a, T + 30_000, T);
  board.apply(call("gone", RINGING), T + 30_000, T);
  const b = call("b", RINGING, { startedAt: timestampFromMs(T - 60_000) });
  board.replace(snapshot(revisions, [a, b]), T + 1_000);
  assert.deepEqual(shown(board, T + 1_000), ["a ringing"]);
  assert.deepEqual(ids(board.recent()), ["a", "b"]);
});

/** A ringing call of a snapshot, with so many seconds of its ring left. */
const rings = (id: string, left: number, more: MessageInitShape<typeof CallSchema> = {}) =>
  call(id, RINGING, { popUntil: timestampFromMs(T + left * 1_000), ...more } as MessageInitShape<typeof CallSchema>);

test("a page that is loaded during a ring shows ringing calls, its own calls and drafts; nothing else", () => {
  const board = new Board({ me: () => "p1", expected: (it) => it, hasDraft: (id) => id === "draft", isDone: () => false });
  const at = (seconds: number) => ({ startedAt: timestampFromMs(T - seconds * 1_000) });
  const by = (padId: string) => ({ claim: { padId } });
  const open = [
    rings("ring", 1, at(29)),
    rings("over its time", 0, at(30)),
    rings("mine", -570, { ...at(600), ...by("p1") }),
    rings("theirs", 25, { ...at(5), ...by("p2") }),
    rings("closed", 25, { ...at(5), closed: true }),
    call("came too late", RINGING, at(2)),
    call("talking", ANSWERED, at(90)),
  ];
  const recent = [call("draft", COMPLETED, at(700)), call("over", MISSED, at(5))];
  board.replace(snapshot(revisions, open, recent), T);
  assert.deepEqual(shown(board, T), ["ring ringing", "mine unknown", "draft ended"]);
  assert.deepEqual(shown(board, T + 1_000), ["mine unknown", "draft ended", "ring unknown"]);
});

test("a page that is loaded during a ring shows it until the call's pop_until", () => {
  const board = new Board();
  const long = rings("a", 20, { startedAt: timestampFromMs(T - 90_000) });
  board.replace(snapshot(revisions, [long, rings("b", 5)]), T);
  assert.deepEqual(shown(board, T + 4_999), ["a ringing", "b ringing"]);
  assert.deepEqual(shown(board, T + 5_000), ["a ringing", "b unknown"]);
  assert.deepEqual(shown(board, T + 19_999), ["a ringing", "b unknown"]);
  assert.deepEqual(shown(board, T + 20_000), ["b unknown", "a unknown"]);
  assert.deepEqual(board.popups(T).map(({ ringsUntil }) => ringsUntil), [T + 20_000, T + 5_000]);
  // Five minutes after the ring: somebody may be talking.
  assert.deepEqual(shown(board, T + 305_000), ["a unknown"]);
  assert.deepEqual(shown(board, T + 320_000), []);
});

test("in an update only its pop_until makes a call pop up", () => {
  const board = new Board();
  board.apply(rings("a", 30), undefined, T);
  assert.deepEqual(shown(board, T), []);
  board.open(board.call("a") ?? assert.fail(), T);
  assert.deepEqual(shown(board, T + 29_999), ["a ringing"]);
});

test("a call whose record came too late never rings, neither in the lists nor opened", () => {
  const board = new Board();
  board.replace(snapshot(revisions, [call("a", RINGING)]), T);
  assert.deepEqual(board.recent().map((known) => phaseOf(known, T)), ["unknown"]);
  board.open(board.call("a") ?? assert.fail(), T);
  assert.deepEqual(shown(board, T), ["a unknown"]);
});

test("a call that another pad has claimed moves down, is hidden after 15 s, and is shown again when it is released", () => {
  const board = new Board({ me: () => "p1", expected: (it) => it, hasDraft: () => false, isDone: () => false });
  const ring = call("a", RINGING);
  board.apply(ring, T + 30_000, T);
  board.apply(call("b", RINGING), T + 30_000, T);
  board.apply(call("b", RINGING, { claim: { padId: "p2", padName: "2" } }), undefined, T + 1_000);
  const holders = (now: number) => board.popups(now).map(({ call: { id }, holder }) => `${id} ${holder}`);
  assert.deepEqual(holders(T + 1_000), ["a nobody", "b other"]);
  assert.deepEqual(holders(T + 16_000), ["a nobody"]);
  board.apply(call("b", RINGING), undefined, T + 17_000);
  assert.deepEqual(holders(T + 17_000), ["a nobody", "b nobody"]);
});

test("an expected change is shown immediately, and removed if the action fails", () => {
  const expectations = new Expectations();
  const board = new Board({ me: () => "p1", expected: (it) => expectations.of(it), hasDraft: () => false, isDone: () => false });
  board.apply(call("a", RINGING), T + 30_000, T);
  const settled = expectations.expect("a", (it) => ({ ...it, closed: true }));
  assert.deepEqual(shown(board, T), []);
  settled();
  assert.deepEqual(shown(board, T), ["a ringing"]);
  board.apply(call("a", RINGING, { closed: true }), undefined, T + 1_000);
  assert.deepEqual(shown(board, T + 1_000), []);
});

test("calls with a draft, and opened calls, stay on the screen", () => {
  const drafts = new Set(["a"]);
  const board = new Board({ me: () => "p1", expected: (it) => it, hasDraft: (id) => drafts.has(id), isDone: () => false });
  board.apply(call("a", RINGING), T + 30_000, T);
  board.apply(call("a", MISSED, { closed: true }), undefined, T + 5_000);
  const old = call("old", COMPLETED, { startedAt: timestampFromMs(T - 9 * 86_400_000) });
  board.open(old, T);
  assert.deepEqual(shown(board, T + 9_000_000), ["old ended", "a missed"]);
  drafts.clear();
  board.dismiss("old");
  assert.deepEqual(shown(board, T + 9_000_000), []);
});

test("a snapshot of the same log keeps newer calls, and the popups of its calls", () => {
  const board = new Board();
  board.replace(snapshot(revisions, []), T);
  const a = call("a", RINGING);
  board.apply(a, T + 30_000, T);
  const position = revisions;
  board.apply(call("early", RINGING), T + 30_000, T);
  const ended = create(CallSchema, { ...a, state: COMPLETED });
  board.replace(snapshot(position, [], [ended]), T + 1_000);
  assert.deepEqual(shown(board, T + 1_000), ["early ringing", "a ended"]);
});

test("a snapshot with another epoch keeps nothing of the old log", () => {
  const board = new Board();
  board.replace(snapshot(1n, []), T);
  board.apply(call("a", RINGING, { revision: 900n }), T + 30_000, T);
  board.replace(snapshot(1n, [], [], "e2"), T + 1_000);
  assert.deepEqual(shown(board, T + 1_000), []);
  assert.deepEqual(board.recent(), []);
});

test("missed calls are listed until they are closed, newest first", () => {
  const board = new Board();
  board.apply(call("a", MISSED, { startedAt: timestampFromMs(T - 60_000) }), undefined, T);
  board.apply(call("b", MISSED), undefined, T);
  board.apply(call("c", COMPLETED, OTHER), undefined, T);
  assert.deepEqual(ids(board.missed(T)), ["b", "a"]);
  board.apply(call("b", MISSED, { closed: true }), undefined, T);
  assert.deepEqual(ids(board.missed(T)), ["a"]);
});

test("a ring begins at the record's time, unless that is ahead of the server", () => {
  const board = new Board();
  board.apply(call("a", RINGING), T + 30_000, T);
  board.apply(call("b", RINGING, { startedAt: timestampFromMs(T + 9_000) }), T + 30_000, T);
  assert.deepEqual(
    board.popups(T).map(({ ringingSince }) => ringingSince),
    [T - 2_000, T],
  );
});

/** A call that began so many seconds after `T`. */
const at = (seconds: number, id: string, state: CallState, more: MessageInitShape<typeof CallSchema> = {}) =>
  call(id, state, { startedAt: timestampFromMs(T + seconds * 1_000), ...more } as MessageInitShape<typeof CallSchema>);

test("a missed call stays listed until it is closed, also after many newer calls", () => {
  const board = new Board();
  board.apply(at(0, "old", MISSED), undefined, T);
  for (let i = 1; i <= 1_000; i += 1) board.apply(at(i, `c${i}`, COMPLETED, OTHER), undefined, T + i * 1_000);
  assert.deepEqual(ids(board.missed(T)), ["old"]);
  board.apply(at(0, "old", MISSED, { closed: true }), undefined, T + 2_000_000);
  assert.deepEqual(ids(board.missed(T)), []);
});

test("older missed calls are added, but do not replace newer versions", () => {
  const board = new Board();
  const stale = at(1, "dealt", MISSED);
  board.replace(snapshot(revisions, [], [at(1, "dealt", MISSED, { closed: true }), at(2, "b", MISSED)]), T);
  board.addMissed([stale, at(0, "a", MISSED)], T);
  assert.deepEqual(ids(board.missed(T)), ["b", "a"]);
  assert.deepEqual(shown(board, T), []);
});

test("the hundred newest missed calls are listed", () => {
  const board = new Board();
  board.addMissed(Array.from({ length: 500 }, (_, i) => at(500 - i, `m${i}`, MISSED)), T);
  assert.equal(board.missed(T).length, 100);
  assert.deepEqual([board.missed(T)[0]?.call.id, board.missed(T)[99]?.call.id], ["m0", "m99"]);
});

test("memory is limited over months", () => {
  const board = new Board();
  const known = (all: number) => Array.from({ length: all }, (_, i) => board.call(`c${i}`)).filter(Boolean).length;
  for (let i = 0; i < 5_000; i += 1) {
    const now = T + i * 1_000;
    board.apply(at(i, `c${i}`, RINGING), now + 500, now);
    board.apply(at(i, `c${i}`, i % 2 ? MISSED : COMPLETED), undefined, now + 900);
    board.popups(now + 900);
  }
  assert.equal(board.recent().length, 100);
  assert.equal(board.recent()[0]?.call.id, "c4999");
  // 300 of any kind, 100 missed, and those on the screen, of which each stays for 12 s.
  assert.ok(known(5_000) <= 413, `${known(5_000)} calls are kept`);
  assert.ok(board.popups(T + 5_000_000).length <= 13);
});

test("a call that was found by a search is opened, also on a full board", () => {
  const board = new Board();
  for (let i = 0; i < 1_000; i += 1) {
    board.apply(at(-i, `c${i}`, COMPLETED), undefined, T);
    board.open(at(-100_000 - i, `old${i}`, COMPLETED), T);
    assert.deepEqual(shown(board, T), [`old${i} ended`]);
    board.dismiss(`old${i}`);
  }
});

test("a draft of a closed or an old call stays after a snapshot, and after a reload", () => {
  const board = () => new Board({ me: () => "p1", expected: (same) => same, hasDraft: (id) => id === "drafted", isDone: () => false });
  const drafted = at(-100_000, "drafted", COMPLETED, { closed: true });
  const [open, loaded] = [board(), board()];
  open.replace(snapshot(1n, []), T);
  open.open(drafted, T);
  open.open(at(-90_000, "opened", COMPLETED), T);
  open.replace(snapshot(9_000n, [], [at(0, "new", COMPLETED)]), T);
  assert.deepEqual(shown(open, T).sort(), ["drafted ended", "opened ended"]);
  loaded.replace(snapshot(9_000n, [], [drafted]), T);
  assert.deepEqual(shown(loaded, T), ["drafted ended"]);
});

test("another store's snapshot removes everything of the old store, also drafts", () => {
  const board = new Board({ me: () => "p1", expected: (same) => same, hasDraft: (id) => id === "a", isDone: () => false });
  const of = (id: string, position: bigint, calls: Call[]) =>
    create(SnapshotSchema, { position, epoch: "e1", store: { id }, openCalls: calls });
  board.replace(of("gangnam", 900n, [call("a", RINGING, { revision: 900n })]), T);
  board.apply(call("b", RINGING, { revision: 901n }), T + 30_000, T);
  board.replace(of("seocho", 3n, [call("c", RINGING, { revision: 3n })]), T);
  assert.deepEqual([ids(board.recent()), shown(board, T)], [["c"], []]);
});

test("a found call is kept, however old it is, while there is a draft of it", () => {
  const drafts = new Set(["found"]);
  const board = new Board({ me: () => "p1", expected: (it) => it, hasDraft: (id) => drafts.has(id), isDone: () => false });
  const old = { startedAt: timestampFromMs(T - 90 * 86_400_000) };
  board.apply(call("found", COMPLETED, old), undefined, T);
  board.apply(call("other", COMPLETED, old), undefined, T);
  const later = (from: number) => {
    for (let i = from; i < from + 500; i += 1) board.apply(call(`later ${i}`, COMPLETED), undefined, T);
  };
  later(0);
  assert.deepEqual([board.call("found")?.id, board.call("other")], ["found", undefined]);
  drafts.clear();
  later(500);
  assert.equal(board.call("found"), undefined);
});
