// One customer in one place: opened from a card and from the day's reservations, live, and complete.

import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { middleOf, popup, regular, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const DAY = 86_400_000;
const { COMPLETED, MISSED } = CallState;

function storeCalls(): void {
  const reservation = { customerName: "김민수", carNumber: "12가 3456", service: "실내 세차", at: timestampFromMs(Date.now() + 60_000) };
  shop.server.store(ring("c1", "010-1234-5678", DAY, { ...regular, state: COMPLETED, reservation }));
  shop.server.store(ring("c2", "010-1234-5678", 9 * DAY, { ...regular, state: MISSED, note: "타이어 광택 문의" }));
  for (let i = 0; i < 60; i += 1) shop.server.store(ring(`old${i}`, "010-1234-5678", (20 + i) * DAY, { state: COMPLETED }));
  shop.server.store(ring("other", "010-9999-5678", DAY, { state: COMPLETED }));
  shop.server.snapshotHas = 1;
}

for (const [width, height, colorScheme] of [[360, 740, "light"], [800, 1280, "dark"], [1280, 800, "light"]] as const) {
  test(`${width}: a card opens all calls, notes and reservations of its caller, which follow updates`, async () => {
    storeCalls();
    const page = await shop.pad({ viewport: { width, height }, colorScheme }, FIRST);
    await withoutSoundBanner(page);
    shop.server.update(ring("a", "010-1234-5678", 3_000, regular), 60_000);
    await popup(page, "a").getByRole("button", { name: "손님 기록" }).click();
    const calls = page.locator("#panel .call");
    await page.locator("#panel").getByText("타이어 광택 문의").waitFor();
    assert.equal(await page.locator("#panel .panel-person").textContent(), "김민수 · 12가 3456");
    assert.match(await page.locator("#panel .popup-booked").textContent() ?? "", /^예약 .*실내 세차/);
    await settled(page);
    await looksRight(page, `customer-${width}`);
    assert.equal(await calls.count(), 50);
    await page.locator("#panel").getByRole("button", { name: "더 보기" }).click();
    await calls.nth(62).waitFor();
    assert.equal(await calls.count(), 63);
    shop.server.update({ id: "c2", note: "타이어 광택 예약함" });
    await page.locator("#panel").getByText("타이어 광택 예약함").waitFor();
    await page.locator('#panel [data-call="c2"] .call-main').click();
    await popup(page, "c2").locator(".popup-form").waitFor();
  });
}

test("a day's reservation opens its customer; a ring between press and release moves nothing", async () => {
  storeCalls();
  const page = await shop.pad({ viewport: { width: 800, height: 1280 } }, FIRST);
  await withoutSoundBanner(page);
  await page.getByRole("button", { name: "예약", exact: true }).click();
  const line = page.locator('.reservation[data-call="c1"] .reservation-words');
  await line.waitFor();
  await settled(page);
  await page.mouse.move(...(await middleOf(line)));
  await page.mouse.down();
  shop.server.update(ring("b", "010-9999-0000", 0), 60_000);
  await page.waitForTimeout(200);
  assert.equal(await popup(page, "b").count(), 0);
  await page.mouse.up();
  await page.locator("#panel").getByText("타이어 광택 문의").waitFor();
  await popup(page, "b").waitFor();
  await settled(page);
  await page.getByRole("button", { name: "닫기", exact: true }).click();
  await page.locator("#panel").waitFor({ state: "hidden" });
});

test("a customer's record is read again with a new connection", async () => {
  storeCalls();
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 3_000, regular), 60_000);
  await popup(page, "a").getByRole("button", { name: "손님 기록" }).click();
  await page.locator("#panel").getByText("타이어 광택 문의").waitFor();
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  shop.server.store(ring("c3", "010-1234-5678", 2 * DAY, { state: COMPLETED, note: "왁스 추가" }));
  shop.server.away = false;
  await page.locator("#panel").getByText("왁스 추가").waitFor();
});
