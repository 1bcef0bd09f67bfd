// Missed calls as people mean them: by caller, closed by a later answered call or by a call back with its result, or all at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { middleOf, popup, regular, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const MINUTE = 60_000;
const { MISSED, COMPLETED } = CallState;
const lines = (page: Page) => page.locator("#missed .call");

function storeMissed(): void {
  for (const at of [50, 40, 30]) shop.server.store(ring(`m${at}`, "010-1234-5678", at * MINUTE, { ...regular, state: MISSED }));
  shop.server.store(ring("other", "010-8765-4321", 20 * MINUTE, { state: MISSED }));
}

for (const [width, height, colorScheme] of [[360, 740, "light"], [800, 1280, "dark"], [1280, 800, "light"]] as const) {
  test(`${width}: a caller's missed calls are one line; calling back shows the number and a code, and its result closes them`, async () => {
    storeMissed();
    const other = await shop.pad({}, padToken("p2", "2번 카운터"));
    const page = await shop.pad({ viewport: { width, height }, colorScheme }, FIRST);
    await withoutSoundBanner(page);
    await page.evaluate(() => addEventListener("click", (event) => event.target instanceof Element && event.target.closest("a") && event.preventDefault()));
    assert.equal(await lines(page).count(), 2);
    assert.equal(await page.locator("#missed-count").textContent(), "2");
    const line = page.locator("#missed .call", { hasText: "김민수" });
    assert.equal(await line.locator(".call-count").textContent(), "3번");
    await line.locator(".call-back").click();
    assert.equal(await page.locator(".panel-number").textContent(), "010-1234-5678");
    await page.locator("#panel .qr").waitFor();
    await settled(page);
    await looksRight(page, `missed-${width}-1-call-back`);
    await page.getByRole("button", { name: "받지 않습니다" }).click();
    await until("the note", () => /다시 걸었으나 받지 않음/.test(shop.server.call("m30")?.note ?? ""));
    await other.locator("#missed").getByText("다시 걸었으나 받지 않음").waitFor();
    await settled(page);
    await line.locator(".call-back").click();
    await page.getByRole("button", { name: "통화했습니다" }).click();
    await page.getByText("부재중 3건을 완료로 표시했습니다").waitFor();
    await until("the closes", () => ["m50", "m40", "m30"].every((id) => shop.server.call(id)?.closed));
    assert.match(shop.server.call("m30")?.note ?? "", /받지 않음\n\d\d:\d\d 다시 걸어 통화함$/);
    await other.locator("#missed .call", { hasText: "김민수" }).waitFor({ state: "detached" });
    await looksRight(page, `missed-${width}-2-closed`);
  });
}

test("a call back from the recent calls closes all missed calls of its caller", async () => {
  storeMissed();
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  await page.evaluate(() => addEventListener("click", (event) => event.target instanceof Element && event.target.closest("a") && event.preventDefault()));
  await settled(page);
  await page.locator('#recent [data-call="m40"] .call-back').click();
  await page.getByRole("button", { name: "통화했습니다" }).click();
  await until("the closes", () => ["m50", "m40", "m30"].every((id) => shop.server.call(id)?.closed));
  assert.ok(!shop.server.call("other")?.closed);
});

test("the result of a call back is kept for a call that was only found, and one that does not fit is not lost in silence", async () => {
  const old = (id: string, number: string, note: string) => shop.server.store(ring(id, number, 30 * 24 * 60 * MINUTE, { ...regular, state: COMPLETED, note }));
  old("found", "010-1234-5678", "세차 문의");
  old("full", "010-8765-4321", "가".repeat(2_000));
  shop.server.snapshotHas = 0;
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  await page.evaluate(() => addEventListener("click", (event) => event.target instanceof Element && event.target.closest("a") && event.preventDefault()));
  const callBack = async (id: string, number: string, result: string) => {
    await page.locator("#search").fill(number);
    await page.locator(`#found [data-call="${id}"] .call-back`).click();
    await settled(page);
    await page.getByRole("button", { name: result }).click();
  };
  await callBack("found", "1234-5678", "받지 않습니다");
  await until("the note", () => /^세차 문의\n\d\d:\d\d 다시 걸었으나 받지 않음$/.test(shop.server.call("found")?.note ?? ""));
  assert.equal(shop.server.call("found")?.reservation, undefined);
  assert.equal(await popup(page, "found").count(), 0);
  await callBack("full", "8765-4321", "통화했습니다");
  await page.getByText("메모가 너무 길어 결과를 적지 못했습니다").waitFor();
  assert.ok(!shop.server.call("full")?.closed);
});

test("a later answered call of the same caller leaves nothing open on any pad", async () => {
  storeMissed();
  const pads = [await shop.pad({}, FIRST), await shop.pad({}, padToken("p2", "2번 카운터"))];
  for (const page of pads) assert.equal(await lines(page).count(), 2);
  shop.server.update(ring("now", "010-1234-5678", 0, { state: COMPLETED }));
  for (const page of pads) await page.locator("#missed .call", { hasText: "김민수" }).waitFor({ state: "detached" });
  assert.equal(await pads[0]?.locator("#missed-count").textContent(), "1");
});

test("all done closes every call, and is taken back as a whole", async () => {
  storeMissed();
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  await settled(page);
  await page.getByRole("button", { name: "모두 완료" }).click();
  await page.getByText("부재중 4건을 완료로 표시했습니다").waitFor();
  assert.equal(await lines(page).count(), 0);
  await until("the closes", () => ["m50", "m40", "m30", "other"].every((id) => shop.server.call(id)?.closed));
  await settled(page);
  await page.getByRole("button", { name: "되돌리기" }).click();
  await until("the reopens", () => ["m50", "m40", "m30", "other"].every((id) => !shop.server.call(id)?.closed));
  assert.equal(await lines(page).count(), 2);
});

test("all done is only for the calls that were shown when the button was pressed", async () => {
  storeMissed();
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  await settled(page);
  await page.mouse.move(...(await middleOf(page.locator("#all-done"))));
  await page.mouse.down();
  shop.server.update(ring("unseen", "010-9999-0000", 0, { state: MISSED }));
  await page.waitForTimeout(300);
  await page.mouse.up();
  await until("the closes", () => ["m50", "m40", "m30", "other"].every((id) => shop.server.call(id)?.closed));
  await page.getByText("부재중 4건을 완료로 표시했습니다").waitFor();
  assert.ok(!shop.server.call("unseen")?.closed);
  assert.equal(await lines(page).count(), 1);
});

test("a ring between press and release moves no button of the panel, and the ring stands above it", async () => {
  storeMissed();
  const page = await shop.pad({ viewport: { width: 800, height: 1280 } }, FIRST);
  await withoutSoundBanner(page);
  await page.evaluate(() => addEventListener("click", (event) => event.target instanceof Element && event.target.closest("a") && event.preventDefault()));
  await page.locator("#missed .call-back").first().click();
  await settled(page);
  const button = page.getByRole("button", { name: "통화했습니다" });
  const box = (await button.boundingBox()) ?? assert.fail("not shown");
  await page.mouse.move(box.x + 10, box.y + 10);
  await page.mouse.down();
  shop.server.update(ring("a", "010-9999-0000", 0), 60_000);
  await page.waitForTimeout(300);
  assert.equal(await popup(page, "a").count(), 0);
  await page.mouse.up();
  await popup(page, "a").waitFor();
  await until("the close", () => shop.server.call("other")?.closed === true);
});
