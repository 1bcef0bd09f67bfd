// Which calls ring now, as `connect` reports them to pages with `onRinging` only.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { notifyBoth, Ringing } from "../src/client/ringing.ts";
import { CallSchema, CallState, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { SnapshotSchema } from "../src/gen/ringpad/v1/pad_pb.ts";
import { FakeClock, SERVER_EPOCH } from "./fakes.ts";

type CallInit = Omit<MessageInitShape<typeof CallSchema>, "$typeName">;

const RING = 30_000;
const claim = { padId: "p2", padName: "2번 카운터" };

/** A store's connection, and the lists of ringing calls that a page got. */
class Page {
  readonly clock = new FakeClock();
  /** The ids of each list. */
  readonly lists: string[] = [];
  last: Call[] = [];
  /** What a sleep added to the server's time. */
  slept = 0;
  readonly #began = this.clock.now();
  readonly ringing = new Ringing({
    clock: this.clock,
    serverNow: () => this.now(),
    onRinging: (calls) => {
      this.last = calls;
      this.lists.push(calls.map(({ id }) => id).join(" "));
    },
  });

  now(): number {
    return SERVER_EPOCH + this.clock.now() - this.#began + this.slept;
  }

  /** A ringing call that began now, unless `more` says otherwise. */
  call(id: string, revision: bigint, more: CallInit = {}): Call {
    const began = { startedAt: timestampFromMs(this.now()), popUntil: timestampFromMs(this.now() + RING) };
    const { popUntil, ...call } = create(CallSchema, { id, revision, state: CallState.RINGING, ...began, ...more });
    // Only a call that is RINGING has one.
    return { ...call, ...(call.state === CallState.RINGING && popUntil && { popUntil }) };
  }

  update(call: Call, popUntil?: number): void {
    this.ringing.onCall({ call, popUntil, position: call.revision });
  }

  snapshot(...openCalls: Call[]): void {
    this.ringing.onSnapshot(create(SnapshotSchema, { openCalls }));
  }
}

test("all calls that ring at the same time are reported, oldest first", async () => {
  const page = new Page();
  page.snapshot();
  page.update(page.call("a", 1n));
  await page.clock.advance(1_000);
  page.update(page.call("b", 2n));
  page.update(page.call("before", 3n, { startedAt: timestampFromMs(SERVER_EPOCH - 1_000) }));
  assert.deepEqual(page.lists, ["a", "a b", "before a b"]);
});

test("a call leaves the list when it is claimed, answered, over or closed, and comes back when it is released", () => {
  const gone: CallInit[] = [{ claim }, { closed: true }, { state: CallState.ANSWERED }, { state: CallState.COMPLETED }, { state: CallState.MISSED }];
  for (const more of gone) {
    const page = new Page();
    page.update(page.call("a", 1n));
    page.update(page.call("b", 2n));
    page.update(page.call("a", 3n, more));
    assert.deepEqual(page.lists, ["a", "a b", "b"]);
    if (!more.claim && !more.closed) continue;
    page.update(page.call("a", 4n));
    assert.equal(page.lists.at(-1), "a b");
  }
});

test("a ring ends when its time is over, without an event", async () => {
  const page = new Page();
  page.update(page.call("a", 1n));
  await page.clock.advance(10_000);
  page.update(page.call("b", 2n));
  await page.clock.advance(19_999);
  assert.deepEqual(page.lists, ["a", "a b"]);
  await page.clock.advance(1);
  assert.deepEqual(page.lists, ["a", "a b", "b"]);
  await page.clock.advance(10_000);
  assert.deepEqual(page.lists, ["a", "a b", "b", ""]);
  assert.equal(page.clock.nextIn, undefined);
});

test("a ring whose time is over when it comes is not reported, nor one that came too late for a popup", () => {
  const page = new Page();
  page.snapshot(page.call("old", 1n, { popUntil: timestampFromMs(page.now()) }));
  const { popUntil: _, ...late } = page.call("late", 2n);
  page.update(late);
  assert.deepEqual(page.lists, []);
});

test("a page that is loaded during a ring gets the calls that still ring", async () => {
  const page = new Page();
  page.snapshot(page.call("a", 1n, { popUntil: timestampFromMs(page.now() + 5_000) }), page.call("b", 2n, { claim }));
  assert.deepEqual(page.lists, ["a"]);
  await page.clock.advance(5_000);
  assert.deepEqual(page.lists, ["a", ""]);
});

test("a snapshot replaces all calls: those not in it stop ringing", () => {
  const page = new Page();
  page.update(page.call("a", 1n));
  page.update(page.call("b", 2n));
  page.snapshot(page.call("b", 2n));
  assert.deepEqual(page.lists, ["a", "a b", "b"]);
});

test("an early ring that comes again as an update is not reported again, and an older revision is ignored", () => {
  const page = new Page();
  page.ringing.onCall({ call: page.call("a", 7n), popUntil: undefined, position: undefined });
  page.update(page.call("a", 5n, { claim }));
  page.update(page.call("a", 7n));
  assert.deepEqual(page.lists, ["a"]);
});

test("a change of a ringing call is reported, with its newest version", () => {
  const page = new Page();
  page.update(page.call("a", 1n));
  page.update(page.call("a", 2n, { memo: "세차 예약" }));
  assert.deepEqual(page.lists, ["a", "a"]);
  assert.equal(page.last[0]?.memo, "세차 예약");
});

test("a server that sends popUntil only in the update is supported too", async () => {
  const page = new Page();
  const bare = (revision: bigint, more: CallInit = {}) => {
    const { popUntil: _, ...call } = page.call("a", revision, more);
    return call;
  };
  page.update(bare(1n), page.now() + RING);
  page.update(bare(2n, { claim }));
  page.update(bare(3n));
  page.snapshot(bare(3n));
  assert.deepEqual(page.lists, ["a", "", "a"]);
  await page.clock.advance(RING);
  assert.deepEqual(page.lists, ["a", "", "a", ""]);
});

test("a page that slept shows no ring from before the sleep", () => {
  const page = new Page();
  page.update(page.call("a", 1n));
  page.slept = RING;
  page.ringing.onState({ kind: "connected", store: undefined, transport: "grpc-web" });
  assert.deepEqual(page.lists, ["a", ""]);
});

test("a very long ring does not overflow a timer", async () => {
  const page = new Page();
  page.update(page.call("a", 1n, { popUntil: timestampFromMs(page.now() + 2 ** 32) }));
  await page.clock.advance(120_000);
  assert.deepEqual(page.lists, ["a"]);
});

test("after close nothing rings, and no timer is left", () => {
  const page = new Page();
  page.update(page.call("a", 1n));
  page.ringing.onState({ kind: "closed" });
  assert.deepEqual(page.lists, ["a", ""]);
  assert.equal(page.clock.nextIn, undefined);
});

test("a page that closes the connection in onCall does not get that call in onRinging", () => {
  const page = new Page();
  const close = () => page.ringing.onState({ kind: "closed" });
  const listener = notifyBoth({ onCall: close, onSnapshot: close }, page.ringing);
  listener.onCall({ call: page.call("a", 1n), popUntil: undefined, position: 1n });
  listener.onSnapshot(create(SnapshotSchema, { openCalls: [page.call("a", 1n)] }));
  assert.deepEqual(page.lists, []);
  assert.equal(page.clock.nextIn, undefined);
});

test("a page's own listeners are called as well, and their exceptions do not hide a ring", () => {
  const page = new Page();
  const heard: string[] = [];
  const wrong = (what: string) => {
    heard.push(what);
    throw new Error(what);
  };
  const listener = notifyBoth({ onSnapshot: () => wrong("snapshot"), onCall: () => wrong("call"), onState: () => wrong("state") }, page.ringing);
  assert.throws(() => listener.onSnapshot(create(SnapshotSchema, { openCalls: [page.call("a", 1n)] })));
  assert.throws(() => listener.onCall({ call: page.call("b", 2n), popUntil: undefined, position: 2n }));
  assert.throws(() => listener.onState({ kind: "closed" }));
  assert.deepEqual(heard, ["snapshot", "call", "state"]);
  assert.deepEqual(page.lists, ["a", "a b", ""]);
});

test("a page may change its list without effect on later reports", () => {
  const page = new Page();
  page.update(page.call("a", 1n));
  page.last.length = 0;
  page.update(page.call("a", 2n, { claim }));
  assert.deepEqual(page.lists, ["a", ""]);
});
