// A form that several people use: what each of them typed is saved, and nothing else is changed.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { popup, Shop } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const SECOND = padToken("p2", "2번 카운터");

const tap = (page: Page, id: string, name: string) => popup(page, id).getByRole("button", { name, exact: true }).click();
const field = (page: Page, id: string, label: string) => popup(page, id).getByLabel(label, { exact: true });
const holds = (page: Page, id: string, label: string, value: string) =>
  until(`${label} ${value}`, async () => (await field(page, id, label).inputValue()) === value);

test("a half-typed note on one pad does not remove the reservation that another saved", async () => {
  const [first, second] = await Promise.all([shop.pad({}, FIRST), shop.pad({}, SECOND)]);
  shop.server.update(ring("a", "010-1234-5678", 3_000), 60_000);
  await tap(first, "a", "내가 응대");
  await field(first, "a", "메모").fill("콜백 예정");
  await tap(first, "a", "응대 취소");
  await tap(second, "a", "내가 응대");
  await field(second, "a", "이름").fill("김민수");
  await field(second, "a", "차량 번호").fill("12가 3456");
  await tap(second, "a", "저장");
  await popup(second, "a").getByText("저장했습니다").waitFor();
  await holds(first, "a", "차량 번호", "12가 3456");
  assert.equal(await field(first, "a", "메모").inputValue(), "콜백 예정");
  await tap(first, "a", "저장");
  await holds(second, "a", "메모", "콜백 예정");
  assert.equal(await field(second, "a", "이름").inputValue(), "김민수");
  await second.locator('#recent [data-call="a"]', { hasText: "12가 3456 · 김민수" }).waitFor();
});

test("spaces and new lines after what is saved are typed as any others, one at a time", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update({ ...ring("a", "010-1234-5678", 3_000), note: "실내 세차" }, 60_000);
  await tap(page, "a", "내가 응대");
  const note = field(page, "a", "메모");
  await note.focus();
  await page.keyboard.press("Control+End");
  for (const key of [" ", "왁스", "\n", "뒷좌석"]) {
    await page.keyboard.insertText(key);
    // Each update draws the page again.
    shop.server.update(ring("b", "010-7777-8888", 1_000), 60_000);
    await page.waitForTimeout(150);
  }
  assert.equal(await note.inputValue(), "실내 세차 왁스\n뒷좌석");
  await tap(page, "a", "저장");
  await page.locator('#recent [data-call="a"]', { hasText: "뒷좌석" }).waitFor();
});

for (const dismissed of [false, true]) {
  test(`done in the missed list asks for the time of a half-typed date${dismissed ? ", also where its card was hidden" : ""}`, async () => {
    shop.storeADay();
    const page = await shop.pad({}, FIRST);
    const done = page.locator('#missed [data-call="d2"]').getByRole("button", { name: "010-8765-4321 완료" });
    await page.locator('#missed [data-call="d2"]').getByRole("button", { name: "열기" }).click();
    await field(page, "d2", "날짜").fill("2030-05-04");
    if (dismissed) await tap(page, "d2", "숨기기");
    await done.click();
    await popup(page, "d2").locator("input:invalid:focus").waitFor();
    assert.deepEqual(shop.server.actions.sent, []);
    await field(page, "d2", "시간").fill("10:30");
    await done.click();
    await until("both", () => shop.server.actions.sent.length === 2);
    await page.locator('#recent [data-call="d2"]', { hasText: "2030년 5월 4일 10:30" }).waitFor();
  });
}

test("done in the missed list asks for the rest of a date of which only the day was typed", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await page.locator('#missed [data-call="d2"]').getByRole("button", { name: "열기" }).click();
  await field(page, "d2", "날짜").focus();
  await page.keyboard.type("0");
  await page.locator('#missed [data-call="d2"]').getByRole("button", { name: "010-8765-4321 완료" }).click();
  await popup(page, "d2").locator("input:invalid:focus").waitFor();
  assert.deepEqual(shop.server.actions.sent, []);
});
