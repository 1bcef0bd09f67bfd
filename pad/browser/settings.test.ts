// Settings on the pad: kept on the device, and what does not ring is listed.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { connected, listen, middleOf, popup, settled, Shop, sounds, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const openSettings = (page: Page) => page.getByRole("button", { name: "이 태블릿의 설정" }).click();
const chip = (page: Page, name: string) => page.locator("#panel").getByRole("button", { name, exact: true });

for (const [width, height, colorScheme] of [[360, 740, "dark"], [800, 1280, "light"], [1280, 800, "light"]] as const) {
  test(`${width}: settings fit in every size of the text, and are kept`, async () => {
    const page = await shop.pad({ viewport: { width, height }, colorScheme }, FIRST);
    await withoutSoundBanner(page);
    await openSettings(page);
    for (const [size, name] of [["normal", "보통"], ["largest", "아주 크게"]] as const) {
      await page.getByRole("group", { name: "글자 크기" }).getByRole("button", { name, exact: true }).click();
      await page.locator(`:root[data-size="${size}"]`).waitFor();
      await settled(page);
      await looksRight(page, `settings-${width}-${size}`);
    }
    await page.getByLabel("받은 번호 이름").fill("0507-1234-5678 네이버 예약용");
    await page.reload();
    await page.locator(':root[data-size="largest"]').waitFor();
    shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
    await popup(page, "a").getByText("받은 번호 네이버 예약용").waitFor();
    await settled(page);
    await looksRight(page, `settings-${width}-ring-largest`);
  });
}

test("a silenced number and do-not-disturb: the call is listed with its name, and does not ring; others ring", async () => {
  const page = await shop.pad({}, FIRST, (it) => it.addInitScript(listen));
  await withoutSoundBanner(page);
  await openSettings(page);
  await page.getByLabel("울리지 않을 번호").fill("010-1111-2222 광고");
  shop.server.update(ring("ad", "010-1111-2222", 0), 60_000);
  await page.locator('#recent [data-call="ad"]', { hasText: "광고" }).waitFor();
  assert.equal(await popup(page, "ad").count(), 0);
  await sounds(page, "silent");
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  await popup(page, "a").waitFor();
  await sounds(page, "audible");
  await chip(page, "방해 금지").click();
  await popup(page, "a").waitFor({ state: "detached" });
  await sounds(page, "silent");
  await page.locator('#recent [data-call="a"]').getByRole("button", { name: "열기" }).click();
  await popup(page, "a").locator(".popup-form").waitFor();
});

test("a hidden page notifies once, also with several tabs", async () => {
  const page = await shop.pad({}, FIRST, async (it) => {
    await it.context().grantPermissions(["notifications"]);
    await it.context().addInitScript(() => {
      localStorage.setItem("ringpad.settings", '{"notify":true}');
      Object.defineProperty(document, "hidden", { get: () => true });
      const told: string[] = [];
      const Fake = Object.assign(function (title: string) {
        told.push(title);
        return { addEventListener() {} };
      }, { permission: "granted" });
      Object.assign(globalThis, { Notification: Fake, told });
      Object.defineProperty(navigator, "serviceWorker", { value: undefined });
    });
  });
  const second = await page.context().newPage();
  await second.goto(`${shop.url}/#token=${FIRST}`);
  await connected(second);
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  const told = async () => (await Promise.all([page, second].map((it) => it.evaluate(() => (globalThis as unknown as { told: string[] }).told)))).flat();
  for (const it of [page, second]) await it.locator('[data-call="a"]').first().waitFor({ state: "attached" });
  await page.waitForTimeout(500);
  assert.deepEqual(await told(), ["010-1234-5678"]);
});

test("a ring between press and release moves no setting", async () => {
  const page = await shop.pad({ viewport: { width: 800, height: 1280 } }, FIRST);
  await withoutSoundBanner(page);
  await openSettings(page);
  await settled(page);
  for (const name of ["차임", "작게", "밤에 화면 어둡게"]) {
    await page.mouse.move(...(await middleOf(chip(page, name))));
    await page.mouse.down();
    shop.server.update(ring(`r${name}`, "010-9999-0000", 0), 60_000);
    await page.waitForTimeout(200);
    assert.equal(await popup(page, `r${name}`).count(), 0);
    await page.mouse.up();
    await page.locator(`#panel [aria-pressed="true"]`, { hasText: name }).waitFor();
    await popup(page, `r${name}`).waitFor();
    await settled(page);
  }
});
