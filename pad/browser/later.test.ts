// What is not over at once: "done", which can be taken back for 6 s, and what waits for a connection.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { connected, middleOf, pausedPad, popup, Shop, settled } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const methods = () => shop.server.actions.sent.map(({ method, callId }) => `${method} ${callId}`);
const missed = (page: Page, id: string) => page.locator(`#missed [data-call="${id}"]`);
const done = (page: Page, id: string) => missed(page, id).getByRole("button", { name: "완료" });

test("done twice in a row closes one customer: the next one, who comes under the finger, stays", async () => {
  shop.storeADay();
  const page = await pausedPad(shop, FIRST);
  await page.clock.runFor(1_000);
  const at = await middleOf(done(page, "d2"));
  await page.mouse.click(...at);
  await missed(page, "d2").waitFor({ state: "detached" });
  await page.mouse.click(...at);
  await page.clock.resume();
  await until("the close", () => methods().length > 0);
  assert.deepEqual(methods(), ["CloseCall d2"]);
  assert.equal(await page.locator("#missed-count").textContent(), "2");
});

test("done shows on every pad at once, and is taken back for 6 s: then it is back on every pad, and its form as it was", async () => {
  shop.storeADay();
  const other = await shop.pad({}, padToken("p2", "2번 카운터"));
  const page = await pausedPad(shop, FIRST);
  // Short steps: after long ones the stream would be taken for dead.
  await page.clock.runFor(600);
  await missed(page, "d2").getByRole("button", { name: "열기" }).click();
  await page.clock.runFor(600);
  await popup(page, "d2").getByRole("button", { name: "완료", exact: true }).click();
  await page.getByText("010-8765-4321 완료로 표시했습니다").waitFor();
  await missed(other, "d2").waitFor({ state: "detached" });
  await missed(page, "d2").waitFor({ state: "detached" });
  const undo = page.getByRole("button", { name: "되돌리기" });
  // It has come where a finger may be on its way to something else.
  await page.mouse.click(...(await middleOf(undo)));
  assert.deepEqual(methods(), ["CloseCall d2"]);
  await page.clock.runFor(600);
  await undo.click();
  await page.clock.resume();
  await missed(page, "d2").waitFor();
  await missed(other, "d2").waitFor();
  await popup(page, "d2").locator(".popup-form").waitFor();
  assert.equal(await undo.isVisible(), false);
  assert.deepEqual(methods(), ["CloseCall d2", "ReopenCall d2"]);
});

test("a finger that came down on undo before its time was over is heard", async () => {
  shop.storeADay();
  const page = await pausedPad(shop, FIRST);
  await page.clock.runFor(1_000);
  await done(page, "d2").click();
  await until("the close", () => methods().length === 1);
  await page.clock.runFor(5_000);
  const undo = page.getByRole("button", { name: "되돌리기" });
  await page.mouse.move(...(await middleOf(undo)));
  await page.mouse.down();
  await page.clock.runFor(2_000);
  assert.ok(await undo.isVisible());
  await page.mouse.up();
  await page.clock.resume();
  await until("the reopening", () => methods().length === 2);
  assert.deepEqual(methods(), ["CloseCall d2", "ReopenCall d2"]);
  await missed(page, "d2").waitFor();
});

test("a card that is done never comes back for a moment, whatever comes first, its update or its answer", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await missed(page, "d2").getByRole("button", { name: "열기" }).click();
  await settled(page);
  await page.evaluate(() => {
    const shown: string[] = [];
    Object.assign(globalThis, { shown });
    const popups = document.getElementById("popups") as HTMLElement;
    new MutationObserver((changes) => {
      const added = changes.flatMap(({ addedNodes }) => [...addedNodes]);
      shown.push(...added.map((node) => (node instanceof HTMLElement && node.dataset["call"]) || "?"));
    }).observe(popups, { childList: true });
  });
  let answer = () => {};
  shop.server.actionsWait = new Promise((resolve) => (answer = resolve));
  await popup(page, "d2").getByRole("button", { name: "완료", exact: true }).click();
  await popup(page, "d2").waitFor({ state: "detached" });
  shop.server.update({ id: "d2", closed: true });
  shop.server.update(ring("sentinel", "010-7777-8888", 0), 60_000);
  await popup(page, "sentinel").waitFor();
  answer();
  await until("the close", () => methods().length === 1);
  shop.server.update(ring("another", "010-7777-8888", 0), 60_000);
  await popup(page, "another").waitFor();
  assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { shown: string[] }).shown), ["sentinel", "another"]);
});

test("done takes the card away at once, however long saving what was typed takes, and is taken back with it", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 3_000), 60_000);
  await popup(page, "a").getByRole("button", { name: "내가 응대", exact: true }).click();
  await popup(page, "a").getByLabel("차량 번호").fill("12가 3456");
  let answer = () => {};
  shop.server.actionsWait = new Promise((resolve) => (answer = resolve));
  await popup(page, "a").getByRole("button", { name: "완료", exact: true }).click();
  await popup(page, "a").waitFor({ state: "detached" });
  await settled(page);
  await page.getByRole("button", { name: "되돌리기" }).click();
  await popup(page, "a").locator(".popup-form").waitFor();
  answer();
  await page.locator('#recent [data-call="a"]', { hasText: "12가 3456" }).waitFor();
  assert.equal(await popup(page, "a").getByLabel("차량 번호").inputValue(), "12가 3456");
  assert.ok(!methods().includes("CloseCall a"), methods().join());
});

test("done without a connection that is taken back is never said", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await settled(page);
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await done(page, "d2").click();
  await page.locator("#undo").waitFor();
  await settled(page);
  await page.getByRole("button", { name: "되돌리기" }).click();
  await missed(page, "d2").waitFor();
  shop.server.away = false;
  await connected(page);
  await done(page, "d7").click();
  await until("the other's close", () => methods().length > 0);
  assert.deepEqual(methods(), ["CloseCall d7"]);
});

test("done is at a distance from call back, in the list and on the card, also on a phone", async () => {
  shop.storeADay();
  for (const viewport of [{ width: 360, height: 740 }, { width: 800, height: 1280 }, { width: 1280, height: 800 }]) {
    const page = await shop.pad({ viewport }, FIRST);
    await missed(page, "d2").getByRole("button", { name: "열기" }).click();
    await settled(page);
    for (const [callBack, close] of [
      [missed(page, "d2").locator(".call-back"), missed(page, "d2").locator(".call-done")],
      [popup(page, "d2").locator(".popup-call-back"), popup(page, "d2").locator(".popup-close")],
    ] as const) {
      const [one, other] = [await callBack.boundingBox(), await close.boundingBox()];
      assert(one && other);
      const apart = Math.max(other.x - one.x - one.width, other.y - one.y - one.height);
      assert.ok(apart >= 24, `${apart} px on ${viewport.width}`);
    }
  }
});

test("what is saved without a connection says that it will be, survives a reload, and is saved with the next one", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 3_000), 60_000);
  await popup(page, "a").getByRole("button", { name: "내가 응대", exact: true }).click();
  await until("the claim", () => methods().length > 0);
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await popup(page, "a").getByLabel("차량 번호").fill("12가 3456");
  await popup(page, "a").getByRole("button", { name: "저장", exact: true }).click();
  await popup(page, "a").getByText("연결되면 저장합니다").waitFor();
  // Said by the form, beside its button, and nowhere over it.
  assert.equal(await page.locator("#toast").textContent(), "");
  shop.server.away = false;
  // Pages come, streams do not.
  shop.server.refuseWith = 14;
  await page.reload();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  assert.deepEqual(methods(), ["ClaimCall a"]);
  shop.server.refuseWith = undefined;
  await connected(page);
  await page.locator('#recent [data-call="a"]', { hasText: "12가 3456" }).waitFor();
  assert.equal(await popup(page, "a").getByText("연결되면").isVisible(), false);
  assert.deepEqual(methods(), ["ClaimCall a", "SaveNote a"]);
});

test("what is saved and done without a connection outlasts the token: it is told with the next one", async () => {
  const page = await shop.pad({}, FIRST, (it) => it.clock.install());
  shop.server.update(ring("a", "010-1234-5678", 3_000), 60_000);
  await popup(page, "a").getByRole("button", { name: "내가 응대", exact: true }).click();
  await until("the claim", () => methods().length > 0);
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await popup(page, "a").getByLabel("차량 번호").fill("12가 3456");
  await popup(page, "a").getByRole("button", { name: "완료", exact: true }).click();
  await page.locator("#undo").waitFor();
  shop.server.away = false;
  shop.server.refuseWith = 16;
  await page.locator('#connection[data-state="needs-token"]').waitFor();
  // Whatever is tried again meanwhile.
  await page.clock.runFor(60_000);
  assert.deepEqual(methods(), ["ClaimCall a"]);
  shop.server.refuseWith = undefined;
  await page.evaluate((token) => void (location.hash = `token=${token}`), padToken("p1", "1번 카운터 "));
  await until("both", () => methods().length === 3);
  assert.deepEqual(methods(), ["ClaimCall a", "SaveNote a", "CloseCall a"]);
  await page.locator('#recent [data-call="a"]', { hasText: "12가 3456" }).waitFor();
});

test("done without a connection says that it will be done, stays done through a reload, and is done with the next one", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await settled(page);
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await done(page, "d2").click();
  await page.locator("#toast", { hasText: "연결되면 완료로 표시합니다" }).waitFor();
  assert.equal(await missed(page, "d2").count(), 0);
  shop.server.away = false;
  await page.reload();
  await until("the close", () => methods().length > 0);
  await connected(page);
  await missed(page, "d7").waitFor();
  assert.equal(await missed(page, "d2").count(), 0);
  assert.deepEqual(methods(), ["CloseCall d2"]);
});
