// What a screen reader reads: everything that one drawing shows, because the next text replaces the last one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { CallerKind, CallSchema, CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { Announcer } from "../src/page/announcer.ts";
import type { Holder, Popup } from "../src/page/board.ts";

const T = Date.parse("2025-11-23T05:00:00Z");

function popup(id: string, display: string, holder: Holder = "nobody"): Popup {
  const claim = holder === "other" ? { claim: { padId: "p2", padName: "2번 카운터" } } : {};
  const caller = { display, kind: CallerKind.NUMBER };
  const call = create(CallSchema, { id, state: CallState.RINGING, caller, history: {}, ...claim });
  return { call, phase: "ringing", holder, ringsUntil: undefined, ringingSince: T, opened: false, writing: false };
}

/** A page that has only the announcer. */
function announcer(): { texts: string[]; rung: string[]; show(...popups: Popup[]): void } {
  const texts: string[] = [];
  const region = {
    set textContent(words: string) {
      texts.push(words);
    },
  };
  Object.assign(globalThis, { document: { title: "", getElementById: () => region } });
  const rung: string[] = [];
  const it = new Announcer(({ id }) => rung.push(id));
  return { texts, rung, show: (...popups) => it.update(popups, "반짝", T) };
}

test("rings that come at the same time are all read out, each once", () => {
  const { texts, rung, show } = announcer();
  show(popup("a", "010-1234-5678"), popup("b", "010-7777-8888"));
  assert.deepEqual(texts, ["전화가 왔습니다. 010-1234-5678. 처음 전화한 손님. 전화가 왔습니다. 010-7777-8888. 처음 전화한 손님"]);
  show(popup("a", "010-1234-5678"), popup("b", "010-7777-8888"));
  assert.equal(texts.length, 1);
  assert.deepEqual(rung, ["a"]);
});

test("a ring and the claim of another one are read out together", () => {
  const { texts, show } = announcer();
  show(popup("a", "010-1234-5678"));
  show(popup("b", "010-7777-8888"), popup("a", "010-1234-5678", "other"));
  assert.deepEqual(texts.slice(1), ["전화가 왔습니다. 010-7777-8888. 처음 전화한 손님. 010-1234-5678, 2번 카운터에서 응대 중"]);
});
