// Actions that take time: "done", which can be taken back for 6 s, and actions that wait for a connection.

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

/** Ends the page's stream, and refuses new connections until `shop.server.away` is false. */
async function cutOff(page: Page): Promise<void> {
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
}

/** A call `a` rings and is claimed on this pad. */
async function claimACall(page: Page): Promise<void> {
  shop.server.update(ring("a", "010-1234-5678", 3_000), 60_000);
  await popup(page, "a").getByRole("button", { name: "내가 응대", exact: true }).click();
  await until("the claim", () => methods().length > 0);
}

test("two taps on done close one call: the next call, which moves under the finger, stays", async () => {
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

test("done is shown on every pad immediately; if it is taken back within 6 s, the call and its form are shown again", async () => {
  shop.storeADay();
  const other = await shop.pad({}, padToken("p2", "2번 카운터"));
  const page = await pausedPad(shop, FIRST);
  await page.clock.runFor(600);
  await missed(page, "d2").getByRole("button", { name: "열기" }).click();
  await page.clock.runFor(600);
  await popup(page, "d2").getByRole("button", { name: "완료", exact: true }).click();
  await page.getByText("010-8765-4321 완료로 표시했습니다").waitFor();
  await missed(other, "d2").waitFor({ state: "detached" });
  await missed(page, "d2").waitFor({ state: "detached" });
  const undo = page.getByRole("button", { name: "되돌리기" });
  // It has just appeared where a tap may be meant for something else.
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

test("a press on undo counts if it began before the 6 s were over", async () => {
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

test("a closed card is never shown again between its update and its answer", async () => {
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

test("done hides the card immediately, also during a long save, and can be taken back then", async () => {
  const page = await shop.pad({}, FIRST);
  await claimACall(page);
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

test("done without a connection, and taken back, is never sent", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await settled(page);
  await cutOff(page);
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

test("the buttons done and call back are apart, in the list and on the card, also on a phone", async () => {
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

test("a save without a connection shows that it waits, survives a reload, and is sent with the next connection", async () => {
  const page = await shop.pad({}, FIRST);
  await claimACall(page);
  await cutOff(page);
  await popup(page, "a").getByLabel("차량 번호").fill("12가 3456");
  await popup(page, "a").getByRole("button", { name: "저장", exact: true }).click();
  await popup(page, "a").getByText("연결되면 저장합니다").waitFor();
  // The form shows it next to its button, and there is no toast over it.
  assert.equal(await page.locator("#toast").textContent(), "");
  shop.server.away = false;
  // The page loads, but streams are refused.
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

test("save and done without a connection survive a refused token, and are sent with the next token", async () => {
  const page = await shop.pad({}, FIRST, (it) => it.clock.install());
  await claimACall(page);
  await cutOff(page);
  await popup(page, "a").getByLabel("차량 번호").fill("12가 3456");
  await popup(page, "a").getByRole("button", { name: "완료", exact: true }).click();
  await page.locator("#undo").waitFor();
  shop.server.away = false;
  shop.server.refuseWith = 16;
  await page.locator('#connection[data-state="needs-token"]').waitFor();
  // Tries in this time send nothing.
  await page.clock.runFor(60_000);
  assert.deepEqual(methods(), ["ClaimCall a"]);
  shop.server.refuseWith = undefined;
  await page.evaluate((token) => void (location.hash = `token=${token}`), padToken("p1", "1번 카운터 "));
  await until("both", () => methods().length === 3);
  assert.deepEqual(methods(), ["ClaimCall a", "SaveNote a", "CloseCall a"]);
  await page.locator('#recent [data-call="a"]', { hasText: "12가 3456" }).waitFor();
});

test("done without a connection shows that it waits, survives a reload, and is sent with the next connection", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await settled(page);
  await cutOff(page);
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
