// Settings on the pad: kept on the device, in every tab of it at once, and what does not ring is listed.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { connected, known, listen, pausedPad, popup, Shop, sounds, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const HOUR = 3_600_000;
const panel = (page: Page) => page.locator("#panel");
const chip = (page: Page, name: string) => panel(page).getByRole("button", { name, exact: true });
const listed = (page: Page, id: string) => page.locator(`#recent [data-call="${id}"]`);
const silence = (page: Page) => page.locator("#silence");
const stored = (page: Page) => page.evaluate(() => localStorage.getItem("ringpad.settings") ?? "");

async function openSettings(page: Page): Promise<void> {
  await page.locator("#show-settings").click();
  await chip(page, "종").waitFor();
}

/** A pad with sound, whose sound {@link listen} records. */
async function heardPad(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
  const page = await shop.pad(options, FIRST, (it) => it.context().addInitScript(listen));
  await withoutSoundBanner(page);
  return page;
}

/** Another tab of the same tablet. */
async function secondTab(page: Page): Promise<Page> {
  const second = await page.context().newPage();
  await second.goto(`${shop.url}/#token=${FIRST}`);
  await connected(second);
  return second;
}

test("do-not-disturb: a call is listed, not shown and not heard; the bar says until when, and then how many came", async () => {
  const page = await heardPad();
  await openSettings(page);
  await chip(page, "30분").click();
  assert.match((await silence(page).innerText()).trim(), /^방해 금지 · .*\d\d:\d\d까지$/);
  for (const id of ["a", "b"]) shop.server.update(ring(id, "010-1234-5678", 0), 60_000);
  await listed(page, "b").waitFor();
  assert.equal(await page.locator(".popup").count(), 0);
  await sounds(page, "silent");
  assert.equal(await page.title(), "반짝 손세차 강남점");
  shop.server.update({ id: "a", state: CallState.MISSED });
  await page.locator('#missed [data-call="a"]').waitFor();
  await chip(page, "끄기").click();
  // What still rings is shown; what is over does not appear later.
  await popup(page, "b").waitFor();
  await sounds(page, "audible");
  assert.equal(await popup(page, "a").count(), 0);
  assert.equal((await silence(page).innerText()).trim(), "방해 금지 중에 온 전화 2건 · 확인");
  await page.waitForFunction(() => document.querySelector("[data-settling]") === null);
  await silence(page).click();
  await silence(page).waitFor({ state: "hidden" });
  await page.reload();
  await connected(page);
  assert.equal(await silence(page).isVisible(), false);
});

test("do-not-disturb silences at once what rings, and ends by itself", async () => {
  const page = await pausedPad(shop, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 0), 4 * HOUR);
  await popup(page, "a").waitFor();
  await page.locator("#show-settings").click();
  await page.clock.runFor(600);
  await chip(page, "30분").click();
  await popup(page, "a").waitFor({ state: "detached" });
  await page.clock.runFor(29 * 60_000);
  assert.equal(await popup(page, "a").count(), 0);
  await page.clock.runFor(2 * 60_000);
  await popup(page, "a").waitFor();
});

test("outside business hours a call is listed only, and the bar says when calls ring again", async () => {
  const page = await heardPad();
  await page.evaluate(() => {
    const week = Array.from({ length: 7 }, (_, day) => (day === new Date().getDay() ? null : { opens: "09:00", closes: "18:00" }));
    localStorage.setItem("ringpad.settings", JSON.stringify({ hours: { on: true, week } }));
  });
  await page.reload();
  await connected(page);
  await silence(page).waitFor();
  assert.equal((await silence(page).innerText()).trim(), "영업 시간 외 · 내일 09:00부터 울립니다");
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  await listed(page, "a").waitFor();
  assert.equal(await popup(page, "a").count(), 0);
  await silence(page).click();
  await chip(page, "영업 시간에만 울림").click();
  await popup(page, "a").waitFor();
  assert.equal(await silence(page).isVisible(), false);
});

test("a new shop's services are offered for one tap as soon as they are in the settings", async () => {
  const page = await shop.pad({}, FIRST);
  await openSettings(page);
  await panel(page).getByLabel("서비스", { exact: true }).fill("손세차, 광택,, 손세차");
  await page.keyboard.press("Tab");
  assert.equal(await panel(page).getByLabel("서비스", { exact: true }).inputValue(), "손세차, 광택");
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  const card = popup(page, "a");
  await card.getByRole("button", { name: "내가 응대" }).click();
  const chips = card.locator(".form-chips-services button");
  await chips.first().waitFor();
  assert.deepEqual(await chips.allTextContents(), ["손세차", "광택"]);
  await chips.nth(1).click();
  assert.equal(await card.getByLabel("서비스", { exact: true }).inputValue(), "광택");
});

test("a number is silenced and labelled from a call's card, and both are taken back in the settings", async () => {
  const page = await heardPad();
  shop.server.update(ring("a", "010-1111-2222", 0), 60_000);
  await popup(page, "a").getByRole("button", { name: "손님 기록" }).click();
  await panel(page).getByLabel("이름표", { exact: true }).fill("광고");
  await chip(page, "이 번호 조용히").click();
  await popup(page, "a").waitFor({ state: "detached" });
  await sounds(page, "silent");
  shop.server.update(ring("b", "010-1111-2222", 0), 60_000);
  await listed(page, "b").filter({ hasText: "광고" }).waitFor();
  assert.equal(await popup(page, "b").count(), 0);
  shop.server.update(ring("c", "010-3333-4444", 0), 60_000);
  await popup(page, "c").waitFor();
  await sounds(page, "audible");
  assert.match(await stored(page), /"callers":\[\["\+821011112222",\{"label":"광고","silent":true\}\]\]/);
  await openSettings(page);
  assert.equal(await panel(page).getByLabel("010-1111-2222 이름표").inputValue(), "광고");
  await chip(page, "010-1111-2222 설정 지우기").click();
  await popup(page, "b").waitFor();
  assert.match(await stored(page), /"callers":\[\]/);
  assert.equal(await listed(page, "b").filter({ hasText: "광고" }).count(), 0);
});

test("an opened call of a silent number can be written to, and is not heard", async () => {
  const page = await heardPad();
  await page.evaluate(() => localStorage.setItem("ringpad.settings", '{"callers":[["+821011112222",{"label":"","silent":true}]]}'));
  await page.reload();
  await connected(page);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1111-2222", 0), 60_000);
  await listed(page, "a").getByRole("button", { name: "열기" }).click();
  await popup(page, "a").locator(".popup-form").waitFor();
  await sounds(page, "silent");
});

test("a virtual number that was dialled gets a name, which cards and lists show", async () => {
  shop.server.store(ring("old", "010-5555-6666", HOUR, { state: CallState.COMPLETED }));
  const page = await heardPad();
  await openSettings(page);
  await panel(page).getByLabel("0507-1234-5678 이름").fill("네이버 예약용");
  await page.keyboard.press("Tab");
  await listed(page, "old").getByText("네이버 예약용").waitFor();
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  await popup(page, "a").getByText("받은 번호 네이버 예약용 0507\u20111234\u20115678").waitFor();
});

test("volume and tone: kept over a reload, at once in a second tab; 0 says that sound is off", async () => {
  const page = await heardPad();
  await openSettings(page);
  const second = await secondTab(page);
  await second.locator("#show-settings").click();
  await chip(page, "전화기").click();
  await panel(page).getByLabel("소리 크기").fill("35");
  await panel(second).getByText("35 %").waitFor();
  await chip(second, "전화기").and(second.locator('[aria-pressed="true"]')).waitFor();
  await page.reload();
  await connected(page);
  await openSettings(page);
  assert.equal(await panel(page).getByLabel("소리 크기").inputValue(), "35");
  await chip(page, "전화기").and(page.locator('[aria-pressed="true"]')).waitFor();
  await panel(page).getByLabel("소리 크기").fill("0");
  await page.waitForFunction(() => document.querySelector("#sound-text")?.textContent === "소리 꺼짐");
  await second.waitForFunction(() => document.querySelector("#sound-text")?.textContent === "소리 꺼짐");
  assert.equal(await panel(page).locator(".setting-volume-words").innerText(), "소리 꺼짐");
  // The switch makes it audible again, in both.
  await page.locator("#sound").click();
  await panel(second).getByText("50 %").waitFor();
});

test("each tone has a test, of another figure", async () => {
  const page = await heardPad();
  await openSettings(page);
  const notes = () => page.evaluate(() => (globalThis as unknown as { heard: { notes: number } }).heard.notes);
  const figures: number[] = [];
  for (const name of ["종", "차임", "전화기"]) {
    const before = await notes();
    await chip(page, `${name} 소리 들어 보기`).click();
    await until("the figure", async () => (await notes()) > before);
    figures.push((await notes()) - before);
  }
  assert.equal(new Set(figures).size, 3, figures.join());
  await chip(page, "종").and(page.locator('[aria-pressed="true"]')).waitFor();
});

test("do-not-disturb applies at once in a second tab, and so do sound off and the text's size", async () => {
  const page = await heardPad();
  const second = await secondTab(page);
  await openSettings(page);
  await chip(page, "2시간").click();
  await silence(second).waitFor();
  await chip(page, "아주 크게").click();
  await second.locator(':root[data-size="largest"]').waitFor();
  await page.locator("#sound").click();
  await second.waitForFunction(() => document.querySelector("#sound")?.getAttribute("data-sound") === "off");
});

test("at night the page is dark while nothing rings; a ring lifts it at once", async () => {
  const page = await heardPad();
  await page.evaluate(() => {
    const hour = new Date().getHours();
    const time = (it: number) => `${String((it + 24) % 24).padStart(2, "0")}:00`;
    localStorage.setItem("ringpad.settings", JSON.stringify({ dim: { on: true, from: time(hour - 1), until: time(hour + 2) } }));
  });
  await page.reload();
  await page.locator(':root[data-dark="true"]').waitFor();
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  await popup(page, "a").waitFor();
  await page.locator(':root[data-dark="false"]').waitFor();
});

test("a hidden page notifies once, also with several tabs, with the name and not the number", async () => {
  const page = await shop.pad({}, FIRST, async (it) => {
    await it.context().grantPermissions(["notifications"]);
    await it.context().addInitScript(() => {
      localStorage.setItem("ringpad.settings", '{"notify":true}');
      Object.defineProperty(document, "hidden", { get: () => true });
      const told: string[] = [];
      const Fake = Object.assign(function (title: string, { body }: { body: string }) {
        told.push(`${title} ${body}`);
        return { addEventListener() {} };
      }, { permission: "granted" });
      Object.assign(globalThis, { Notification: Fake, told });
      Object.defineProperty(navigator, "serviceWorker", { value: undefined });
    });
  });
  const second = await secondTab(page);
  const customers = [{ id: "c1", name: "김민수", carNumber: "", note: "" }];
  shop.server.update(ring("a", "010-1234-5678", 0, { ...known, customers } as Partial<ReturnType<typeof ring>>), 60_000);
  shop.server.update(ring("b", "010-7777-8888", 0), 60_000);
  const told = async () => (await Promise.all([page, second].map((it) => it.evaluate(() => (globalThis as unknown as { told: string[] }).told)))).flat();
  for (const it of [page, second]) await it.locator('[data-call="b"]').first().waitFor({ state: "attached" });
  await until("the notifications", async () => (await told()).length >= 2);
  await page.waitForTimeout(500);
  assert.deepEqual((await told()).sort(), ["전화가 왔습니다 김민수", "전화가 왔습니다 반짝 손세차 강남점"]);
});

test("notifications are off until somebody turns them on, and stay off if the browser does not allow them", async () => {
  const page = await shop.pad({}, FIRST, (it) => it.addInitScript(() => {
    const asked: string[] = [];
    const Fake = Object.assign(function () {}, { permission: "default", requestPermission: () => (asked.push("asked"), Promise.resolve("denied")) });
    Object.assign(globalThis, { Notification: Fake, asked });
  }));
  const asked = () => page.evaluate(() => (globalThis as unknown as { asked: string[] }).asked.length);
  await withoutSoundBanner(page);
  await openSettings(page);
  assert.equal(await asked(), 0);
  await chip(page, "알림 켜기").click();
  await until("the question", async () => (await asked()) === 1);
  await page.waitForTimeout(100);
  assert.equal(await chip(page, "알림 켜기").getAttribute("aria-pressed"), "false");
});

test("a broken value in the storage gives defaults", async () => {
  const page = await shop.pad({}, FIRST, (it) => it.addInitScript(() => localStorage.setItem("ringpad.settings", '{"hours":3,"callers":"x"')));
  shop.server.update(ring("a", "010-1234-5678", 0, { startedAt: timestampFromMs(Date.now()) }), 60_000);
  await popup(page, "a").waitFor();
  assert.equal(await silence(page).isVisible(), false);
});
