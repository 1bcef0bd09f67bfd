// A tablet without a link: it shows a code, is approved by another tablet, and is registered from then on.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { messagesOf, openPage, until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { qrContent } from "./qr.ts";
import { connected, popup, settled, Shop } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const UNAVAILABLE = 14;
const RESOURCE_EXHAUSTED = 8;

/** A tablet's browser, which keeps what it stores until the test's end, and its first page. */
async function tablet(options: Parameters<typeof openPage>[1] = {}): Promise<Page> {
  shop.server.pairing.enabled = true;
  const { page } = await openPage(shop.browser, options);
  await page.goto(shop.url);
  return page;
}

async function anotherTab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  messagesOf(page);
  await page.goto(shop.url);
  return page;
}

const shownCode = (page: Page) => page.locator("#pairing-code").textContent();

for (const [width, height, colorScheme, locale] of [[360, 740, "light", "ko-KR"], [800, 1280, "dark", "en-GB"], [1280, 800, "light", "ko-KR"]] as const) {
  test(`${width}: the code of a new tablet is approved on a registered one, and calls come`, async () => {
    const options = { viewport: { width, height }, colorScheme, locale };
    const page = await tablet(options);
    await page.locator("#pairing-code").waitFor();
    assert.equal(await shownCode(page), "123 450");
    assert.equal(await qrContent(page.locator("#pairing-qr .qr")), `${shop.url}/#pair=123450`);
    await looksRight(page, `pairing-${width}-1-code`);
    const registered = await shop.pad({ viewport: { width, height }, colorScheme }, FIRST);
    await registered.goto(`${shop.url}/#pair=123450`);
    await registered.getByLabel("등록 코드").waitFor();
    assert.equal(await registered.getByLabel("등록 코드").inputValue(), "123450");
    assert.equal(new URL(registered.url()).hash, "");
    await registered.getByLabel("태블릿 이름").fill("계산대");
    await settled(registered);
    await looksRight(registered, `pairing-${width}-2-question`);
    await registered.getByRole("button", { name: "승인" }).click();
    await registered.getByText("계산대 태블릿을 승인했습니다").waitFor();
    await connected(page);
    shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
    await popup(page, "a").waitFor();
  });
}

test("the credential is good for the next morning and for a second tab; once it is revoked, a new code is shown", async () => {
  const page = await tablet();
  await page.locator("#pairing-code").waitFor();
  const second = await anotherTab(page.context());
  await second.locator("#pairing-code").waitFor();
  shop.server.pairing.approve("123450", "계산대");
  await connected(page);
  await connected(second);
  assert.equal(await second.evaluate(() => sessionStorage.getItem("ringpad.token")), null);
  await page.close();
  await second.close();
  const morning = await anotherTab(second.context());
  await connected(morning);
  shop.server.pairing.refuse.set("IssueToken", UNAVAILABLE);
  await morning.reload();
  await morning.locator('#connection[data-state="reconnecting"], #connection[data-state="connecting"]').waitFor();
  shop.server.pairing.refuse.clear();
  await connected(morning);
  shop.server.pairing.tablets.delete("credential-0");
  await morning.reload();
  await morning.locator("#pairing-code").waitFor();
  assert.equal(await morning.evaluate(() => localStorage.getItem("ringpad.credential")), null);
});

test("an expired code is replaced by itself; a wrong one, too many and no name are said in words", async () => {
  const page = await tablet();
  await page.locator("#pairing-code").waitFor();
  shop.server.pairing.expire();
  await until("another code", async () => (await shownCode(page)) === "123 451");
  assert.equal(await qrContent(page.locator("#pairing-qr .qr")), `${shop.url}/#pair=123451`);
  const registered = await shop.pad({}, FIRST);
  await registered.goto(`${shop.url}/#pair=123450`);
  const approve = registered.getByRole("button", { name: "승인" });
  await registered.getByLabel("태블릿 이름").fill("계산대");
  await approve.click();
  await registered.getByText("이 코드를 보이는 태블릿이 없습니다").waitFor();
  shop.server.pairing.refuse.set("ApprovePairing", RESOURCE_EXHAUSTED);
  await approve.click();
  await registered.getByText("틀린 코드를 너무 많이 입력했습니다").waitFor();
});

test("a device that is not registered says that it cannot approve; a link's token comes first", async () => {
  const page = await tablet();
  await page.goto("about:blank");
  await page.goto(`${shop.url}/#pair=999999`);
  await page.getByText("다른 태블릿을 승인할 수 없습니다").waitFor();
  await page.goto(`${shop.url}/#token=${FIRST}`);
  await connected(page);
  assert.equal(shop.server.requests.at(-1)?.token, FIRST);
  assert.equal(shop.server.pairing.issued, 0);
});
