// Reservations by day: the same on every pad, live, changed and cancelled, and brought back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Page } from "playwright-core";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { middleOf, popup, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const DAY = 86_400_000;
const { COMPLETED } = CallState;
const lines = (page: Page) => page.locator(".reservation");

/** An instant of today in the shop, or of a later day. */
function todayAt(hour: number, days = 0): number {
  const inSeoul = Date.now() + 9 * 3_600_000;
  return inSeoul - (inSeoul % DAY) - 9 * 3_600_000 + hour * 3_600_000 + days * DAY;
}

function reserve(id: string, at: number, customerName: string, carNumber: string): void {
  const reservation = { customerName, carNumber, service: "실내 세차", at: timestampFromMs(at) };
  shop.server.store(ring(id, "010-1234-5678", 5 * DAY, { state: COMPLETED, reservation }));
}

function reserveSome(): void {
  reserve("late", todayAt(16), "이영희", "34나 7890");
  reserve("early", todayAt(10), "김민수", "12가 3456");
  reserve("tomorrow", todayAt(11, 1), "박서준", "56다 1234");
}

for (const [width, height, colorScheme] of [[360, 740, "dark"], [800, 1280, "light"], [1280, 800, "light"]] as const) {
  test(`${width}: today's and tomorrow's reservations, changed and cancelled on one pad, are true on the other, and come back`, async () => {
    reserveSome();
    shop.server.snapshotHas = 0;
    const other = await shop.pad({}, padToken("p2", "2번 카운터"));
    const page = await shop.pad({ viewport: { width, height }, colorScheme }, FIRST);
    await withoutSoundBanner(page);
    for (const it of [page, other]) {
      await it.getByRole("button", { name: "예약", exact: true }).click();
      await it.getByText("오늘 예약 2건").waitFor();
    }
    assert.deepEqual(await page.locator(".reservation-who").allTextContents(), ["김민수 · 12가 3456", "이영희 · 34나 7890"]);
    await settled(page);
    await looksRight(page, `reservations-${width}-1-today`);
    await page.locator('.reservation[data-call="early"]').getByRole("button", { name: "예약 취소" }).click();
    await page.getByText("10:00 · 실내 세차 · 12가 3456 · 김민수 예약을 취소했습니다").waitFor();
    await other.getByText("오늘 예약 1건").waitFor();
    await settled(page);
    await looksRight(page, `reservations-${width}-2-cancelled`);
    await page.getByRole("button", { name: "되돌리기" }).click();
    await other.getByText("오늘 예약 2건").waitFor();
    await settled(page);
    await page.locator('.reservation[data-call="late"]').getByRole("button", { name: "변경" }).click();
    await popup(page, "late").getByRole("button", { name: "내일", exact: true }).click();
    await popup(page, "late").getByRole("button", { name: "저장", exact: true }).click();
    await other.getByText("오늘 예약 1건").waitFor();
    await other.locator("#panel").getByRole("button", { name: "내일", exact: true }).click();
    await other.getByText("내일 예약 2건").waitFor();
  });
}

test("a day that is chosen without a connection is read with the next one", async () => {
  reserveSome();
  const page = await shop.pad({}, FIRST);
  await page.getByRole("button", { name: "예약", exact: true }).click();
  await page.getByText("오늘 예약 2건").waitFor();
  assert.equal(await lines(page).count(), 2);
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await page.locator("#panel").getByRole("button", { name: "내일", exact: true }).click();
  await page.getByText("찾는 중…").waitFor();
  shop.server.away = false;
  await page.getByText("내일 예약 1건").waitFor();
});

test("a ring between press and release moves no button of the day", async () => {
  reserveSome();
  const page = await shop.pad({ viewport: { width: 800, height: 1280 } }, FIRST);
  await withoutSoundBanner(page);
  await page.getByRole("button", { name: "예약", exact: true }).click();
  await page.getByText("오늘 예약 2건").waitFor();
  await settled(page);
  for (const [name, seen] of [["내일", "내일 예약 1건"], ["오늘", "오늘 예약 2건"]] as const) {
    await page.mouse.move(...(await middleOf(page.locator("#panel").getByRole("button", { name, exact: true }))));
    await page.mouse.down();
    shop.server.update(ring(`r${name}`, "010-9999-0000", 0), 60_000);
    await page.waitForTimeout(200);
    assert.equal(await popup(page, `r${name}`).count(), 0);
    await page.mouse.up();
    await page.getByText(seen).waitFor();
    await popup(page, `r${name}`).waitFor();
    await settled(page);
  }
  const cancel = page.locator('.reservation[data-call="late"]').getByRole("button", { name: "예약 취소" });
  await page.mouse.move(...(await middleOf(cancel)));
  await page.mouse.down();
  shop.server.update(ring("last", "010-9999-0000", 0), 60_000);
  await page.waitForTimeout(200);
  await page.mouse.up();
  await until("the cancellation", () => shop.server.call("late")?.reservation === undefined);
});
