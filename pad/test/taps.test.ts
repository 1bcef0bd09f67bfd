// Taps: nothing moves under one, and what has just moved takes none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange } from "../src/page/arrangement.ts";
import type { Popup } from "../src/page/board.ts";
import { Press } from "../src/page/press.ts";
import { Settling, type Place } from "../src/page/settling.ts";

test("nothing moves from the press until its click, and then immediately", () => {
  const press = new Press();
  assert.equal(press.heldFor(0), 0);
  press.down(1, 1_000);
  assert.ok(press.heldFor(1_000) > 0);
  assert.ok(press.heldFor(2_900) > 0);
  press.up(1, 2_900);
  assert.ok(press.heldFor(2_950) > 0);
  press.clicked();
  assert.equal(press.heldFor(2_950), 0);
});

test("a press without a click ends soon after the release; a scroll immediately; a resting finger after 3 s", () => {
  const press = new Press();
  press.down(1, 0);
  press.up(1, 100);
  assert.equal(press.heldFor(100), 350);
  assert.equal(press.heldFor(450), 0);
  press.down(2, 1_000);
  press.cancel(2);
  assert.equal(press.heldFor(1_000), 0);
  press.down(3, 2_000);
  assert.equal(press.heldFor(2_000), 3_000);
  assert.equal(press.heldFor(5_000), 0);
});

test("with two fingers the one that stays counts; a release without a press has no effect", () => {
  const press = new Press();
  press.down(1, 0);
  press.down(2, 500);
  press.up(1, 600);
  press.clicked();
  assert.equal(press.heldFor(600), 2_900);
  press.cancel(2);
  press.up(9, 700);
  assert.equal(press.heldFor(700), 0);
});

const place = (top: number, height = 50): Place => ({ left: 0, right: 100, top, bottom: top + height });
const at = (places: Record<string, Place>) => new Map(Object.entries(places));

test("an element that has appeared or moved ignores taps for half a second; others do not", () => {
  const settling = new Settling<string>();
  const before = at({ claim: place(0), save: place(100), done: place(200) });
  settling.painted(before, at({ claim: place(0), save: place(160), done: place(200, 60), hide: place(300) }), 1_000);
  assert.deepEqual([...settling.at(1_499)].sort(), ["done", "hide", "save"]);
  assert.equal(settling.next(1_200), 300);
  assert.deepEqual([...settling.at(1_500)], []);
  assert.equal(settling.next(1_500), undefined);
});

test("another move starts the half second again; removed elements are forgotten; a pixel is not a move", () => {
  const settling = new Settling<string>();
  settling.painted(at({ a: place(0), b: place(100) }), at({ a: place(50), b: place(101) }), 0);
  assert.deepEqual([...settling.at(0)], ["a"]);
  settling.painted(at({ a: place(50) }), at({ a: place(99) }), 400);
  assert.deepEqual([...settling.at(899)], ["a"]);
  settling.painted(at({ a: place(99) }), at({}), 500);
  assert.deepEqual([...settling.at(501)], []);
});

const popup = (more: Partial<Popup>) => ({ phase: "ringing", holder: "nobody", writing: false, ...more }) as Popup;

test("ringing calls are in the strip while somebody works on a call, otherwise on the stage", () => {
  const spots = (...popups: Popup[]) => [...arrange(popups).values()];
  assert.deepEqual(spots(popup({}), popup({})), ["stage", "stage"]);
  const mine = popup({ holder: "me", writing: true });
  assert.deepEqual(spots(popup({}), popup({}), mine), ["strip", "strip", "stage"]);
  assert.deepEqual(spots(popup({}), popup({ phase: "ended", writing: true })), ["strip", "stage"]);
  // Neither a form with typed text, nor a call that needs no attention.
  assert.deepEqual(spots(popup({ writing: true }), popup({ holder: "other" }), popup({ phase: "missed" }), mine), Array(4).fill("stage"));
});
