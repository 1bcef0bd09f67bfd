// The settings on every kind of screen, and that nothing in them moves under a finger. The screenshots are for people to open.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { connected, known, middleOf, popup, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const SET = {
  // Open at any time when the test may run, with one closed day.
  hours: { on: true, week: Array.from({ length: 7 }, (_, day) => (day === (new Date().getDay() + 3) % 7 ? null : { opens: "00:00", closes: "00:00" })) },
  dim: { on: true, from: "21:00", until: "21:00" },
  lines: [["0507-1234-5678", "네이버 예약용"]],
  callers: [["+821087654321", { label: "세제 납품", silent: false }], ["+8225550134", { label: "광고", silent: true }]],
};
const SCREENS: [string, Parameters<Browser["newContext"]>[0]][] = [360, 800, 1280].flatMap((width) =>
  (["light", "dark"] as const).flatMap((colorScheme) =>
    (["ko-KR", "en-GB"] as const).map((locale): [string, Parameters<Browser["newContext"]>[0]] => [
      `${width}-${colorScheme}-${locale.slice(0, 2)}`,
      { viewport: { width, height: { 360: 740, 800: 1280, 1280: 800 }[width] ?? 800 }, colorScheme, locale },
    ]),
  ),
);

async function padWithSettings(options: Parameters<Browser["newContext"]>[0]): Promise<Page> {
  shop.storeADay();
  const page = await shop.pad(options, FIRST);
  await page.evaluate((set) => localStorage.setItem("ringpad.settings", set), JSON.stringify(SET));
  await page.reload();
  await connected(page);
  await withoutSoundBanner(page);
  return page;
}

/** Without `SCREENS=all`: each width with both colours and both languages once. */
const SHOWN = SCREENS.filter(([name]) => process.env["SCREENS"] === "all" || /light-ko|dark-en/.test(name));

for (const [name, options] of SHOWN) {
  test(`${name}: settings, what the bar says, and a silent number fit and can be read out`, async () => {
    const page = await padWithSettings(options);
    await page.locator("#show-settings").click();
    await settled(page);
    await looksRight(page, `settings-${name}-1`);
    await page.locator(".setting-caller, .setting-number").last().scrollIntoViewIfNeeded();
    await looksRight(page, `settings-${name}-2`);
    await page.locator(".settings > .setting").first().getByRole("button").last().click();
    await page.locator("#silence").waitFor();
    await page.locator("#close-panel").click();
    await settled(page);
    await looksRight(page, `settings-${name}-3-undisturbed`);
    await page.evaluate(() => scrollTo(0, 0));
    await page.locator("#silence").click();
    await page.locator(".settings > .setting").first().getByRole("button").first().click();
    await page.locator("#close-panel").click();
    shop.server.update(ring("a", "02-555-0199", 3_000, known), 60_000);
    await popup(page, "a").waitFor();
    await popup(page, "a").locator(".popup-customer-record").click();
    await page.locator(".setting-caller").waitFor();
    await settled(page);
    await page.locator(".setting-caller").scrollIntoViewIfNeeded();
    await looksRight(page, `settings-${name}-4-card-and-number`);
  });
}

test("the largest text fits on a phone, a tablet upright, and one on its side", async () => {
  for (const [width, height] of [[360, 740], [800, 1280], [1280, 800]] as const) {
    const page = await padWithSettings({ viewport: { width, height } });
    await page.locator("#show-settings").click();
    await page.getByRole("button", { name: "아주 크게" }).click();
    await page.locator("#panel").getByRole("button", { name: "30분" }).click();
    await settled(page);
    await looksRight(page, `settings-${width}-largest`);
    await page.context().close();
    shop.server.forget();
  }
});

/** Every kind of button and field of the settings, in the order of the panel. */
const CONTROLS = [
  "30분", "2시간", "끄기", "종 소리 들어 보기", "차임", "전화기 소리 들어 보기", "크게", "영업 시간에만 울림", "월요일", "모든 요일을 월요일과 같게", "조용히",
  "02-555-0134 설정 지우기", "알림 켜기", "밤에 어둡게", "태블릿 추가",
] as const;

for (const [screen, viewport] of [["landscape", { width: 1280, height: 800 }], ["portrait", { width: 800, height: 1280 }]] as const) {
  test(`${screen}: every button of the settings is hit, with a ring between press and release`, async () => {
    const page = await padWithSettings({ viewport });
    await page.evaluate(() => {
      const clicks: string[] = [];
      Object.assign(globalThis, { clicks });
      // Nothing is set, so that each button is there for its turn.
      addEventListener("click", (event) => {
        const control = (event.target as Element).closest("button");
        if (!control?.closest("#panel-body")) return;
        clicks.push(control.getAttribute("aria-label") ?? control.textContent ?? "");
        event.stopPropagation();
      }, { capture: true });
    });
    await page.locator("#show-settings").click();
    await settled(page);
    for (const [at, name] of CONTROLS.entries()) {
      const id = `r${at}`;
      await page.mouse.move(...(await middleOf(page.locator("#panel-body").getByRole("button", { name, exact: true }).first())));
      await settled(page);
      await page.mouse.down();
      shop.server.update(ring(id, "010-9999-0000", 0), 60_000);
      await page.waitForTimeout(150);
      assert.equal(await popup(page, id).count(), 0, `${name}: nothing may move while a finger is down`);
      await page.mouse.up();
      await popup(page, id).waitFor();
      shop.server.update({ id, state: CallState.COMPLETED, closed: true });
      await popup(page, id).waitFor({ state: "detached" });
      await settled(page);
    }
    assert.deepEqual(await page.evaluate(() => (globalThis as unknown as { clicks: string[] }).clicks), [...CONTROLS]);
  });
}

test("the bar's buttons and those of a number are hit, with a ring between press and release", async () => {
  const page = await padWithSettings({ viewport: { width: 800, height: 1280 } });
  const hit = async (selector: string, id: string) => {
    await page.mouse.move(...(await middleOf(page.locator(selector))));
    await settled(page);
    await page.mouse.down();
    shop.server.update(ring(id, "010-9999-0000", 0), 60_000);
    await page.waitForTimeout(150);
    assert.equal(await popup(page, id).count(), 0);
    await page.mouse.up();
  };
  await hit("#show-settings", "r1");
  await page.locator(".settings").waitFor();
  await popup(page, "r1").waitFor();
  await popup(page, "r1").locator(".popup-customer-record").click();
  await settled(page);
  await hit(".setting-caller .chip", "r2");
  await popup(page, "r1").waitFor({ state: "detached" });
  await page.evaluate(() => localStorage.setItem("ringpad.settings", JSON.stringify({ disturb: { since: 0, until: Date.now() + 3_600_000 } })));
  await page.reload();
  await connected(page);
  await withoutSoundBanner(page);
  await hit("#silence", "r3");
  await page.locator(".settings").waitFor();
});
