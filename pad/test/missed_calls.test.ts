// Missed calls that are older than a snapshot: queried once, not by all pads at the same time, and not without end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { CallPage, CallQuery } from "../src/client/actions.ts";
import { CallSchema, CallState, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { MissedCalls } from "../src/page/missed_calls.ts";
import { FakeClock, settle } from "./fakes.ts";

const NOW = Date.parse("2025-11-23T05:00:00Z");
const MINUTE = 60_000;
const missed = (id: string, closed = false): Call => create(CallSchema, { id, state: CallState.MISSED, closed });
const last = (...calls: Call[]): CallPage => ({ calls, nextPageToken: "" });

/** A search whose queries a test answers. */
class Rig {
  readonly clock = new FakeClock();
  readonly questions: { query: CallQuery; answer(page: CallPage): void; fail(): void }[] = [];
  readonly found: string[] = [];
  random = 1;
  cuts = 0;
  readonly missed = new MissedCalls({
    listCalls: (query = {}) =>
      new Promise((resolve, reject) => this.questions.push({ query, answer: resolve, fail: () => reject(new Error("offline")) })),
    now: () => NOW + 0.3,
    found: (calls) => void this.found.push(...calls.map(({ id }) => id)),
    cut: () => (this.cuts += 1),
    clock: this.clock,
    random: () => this.random,
  });

  async answer(question: number, page: CallPage): Promise<void> {
    this.questions[question]?.answer(page);
    await settle();
  }
}

test("after a snapshot a week's missed calls are read, once, within two seconds", async () => {
  const rig = new Rig();
  rig.missed.begin();
  await rig.clock.advance(1_999);
  assert.equal(rig.questions.length, 0);
  await rig.clock.advance(1);
  const since = NOW - 7 * 24 * 60 * MINUTE;
  assert.deepEqual(rig.questions[0]?.query, { states: [CallState.MISSED, CallState.ANSWERED, CallState.COMPLETED], since, pageSize: 500, pageToken: "" });
  await rig.answer(0, last(missed("a"), missed("dealt with", true), missed("b")));
  assert.deepEqual(rig.found, ["a", "b"]);
  await rig.clock.advance(60 * MINUTE);
  assert.equal(rig.questions.length, 1);
});

test("pads spread their queries", async () => {
  const rig = new Rig();
  rig.random = 0.25;
  rig.missed.begin();
  assert.equal(rig.clock.nextIn, 500);
});

test("without an answer it asks again, one to two minutes later", async () => {
  const rig = new Rig();
  rig.missed.begin();
  await rig.clock.advance(2_000);
  rig.questions[0]?.fail();
  await settle();
  assert.equal(rig.clock.nextIn, 2 * MINUTE);
  await rig.clock.advance(2 * MINUTE);
  await rig.answer(1, last(missed("a")));
  assert.deepEqual(rig.found, ["a"]);
});

test("an answer or a failure from before a snapshot is ignored", async () => {
  for (const end of ["answer", "fail"] as const) {
    const rig = new Rig();
    rig.missed.begin();
    await rig.clock.advance(2_000);
    rig.missed.begin();
    rig.questions[0]?.[end](last(missed("of another log")));
    await rig.clock.advance(2_000);
    await rig.answer(1, last(missed("a")));
    assert.deepEqual(rig.found, ["a"]);
    await rig.clock.advance(60 * MINUTE);
    assert.equal(rig.questions.length, 2);
  }
});

test("open calls on later pages are found, and pages that never end are read a limited number of times", async () => {
  const rig = new Rig();
  rig.missed.begin();
  await rig.clock.advance(2_000);
  for (let page = 0; page < 20; page += 1) await rig.answer(page, { calls: [missed(`p${page}`)], nextPageToken: `${page}` });
  assert.deepEqual(rig.questions.map(({ query }) => query.pageToken), ["", "0", "1", "2", "3", "4", "5", "6"]);
  assert.deepEqual(rig.found, ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"]);
  assert.equal(rig.cuts, 1);
  await rig.clock.advance(60 * MINUTE);
  assert.equal(rig.questions.length, 8);
});

test("two snapshots in a row cause one query", async () => {
  const rig = new Rig();
  rig.missed.begin();
  rig.missed.begin();
  await rig.clock.advance(10_000);
  assert.equal(rig.questions.length, 1);
});
