// The call in hand keeps the screen: what rings meanwhile stands in a strip that is always in sight, and no note, however
// long, pushes a button away.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Locator, Page } from "playwright-core";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { known, popup, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const LONG = "흰색 카니발, 뒷좌석 얼룩이 심해서 지난번에 두 번 닦았음. 아이 카시트 있음. ".repeat(24);

/** Whether a finger reaches its middle as the page stands. */
async function inReach(node: Locator): Promise<boolean> {
  return node.evaluate((it) => {
    const { left, right, top, bottom } = it.getBoundingClientRect();
    return it.contains(document.elementFromPoint((left + right) / 2, (top + bottom) / 2));
  });
}

/** A pad with a call in hand, its note field in focus. */
async function writing(viewport: { width: number; height: number }, prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
  shop.storeADay();
  const page = await shop.pad({ viewport, hasTouch: true }, FIRST, prepare);
  await withoutSoundBanner(page);
  shop.server.update(ring("mine", "010-1234-5678", 14_000, known), 60_000);
  await popup(page, "mine").locator(".popup-claim").click();
  await popup(page, "mine").getByLabel("메모", { exact: true }).focus();
  await page.keyboard.type("왁스");
  return page;
}

for (const viewport of [{ width: 360, height: 740 }, { width: 800, height: 1280 }, { width: 1280, height: 800 }]) {
  const size = `${viewport.width}x${viewport.height}`;

  test(`${size}: a long note is shown in three lines, and whole on request; the call can be claimed without scrolling`, async () => {
    const page = await shop.pad({ viewport }, FIRST);
    await withoutSoundBanner(page);
    const history = { ...known.history, lastNote: LONG.slice(0, 2_000) };
    shop.server.update(ring("a", "010-1234-5678", 3_000, { ...known, history }), 60_000);
    await popup(page, "a").waitFor();
    await settled(page);
    assert.ok(await inReach(popup(page, "a").locator(".popup-claim")));
    const note = popup(page, "a").locator(".popup-note");
    const lines = () => note.evaluate((node) => Math.round(node.getBoundingClientRect().height / parseFloat(getComputedStyle(node).lineHeight)));
    assert.equal(await lines(), 3);
    await popup(page, "a").getByRole("button", { name: "더 보기" }).click();
    await popup(page, "a").getByRole("button", { name: "접기" }).waitFor();
    assert.ok((await lines()) > 3);
    await popup(page, "a").getByRole("button", { name: "접기" }).click();
    await popup(page, "a").getByRole("button", { name: "더 보기" }).waitFor();
    assert.equal(await lines(), 3);
    shop.server.update(ring("short", "010-7777-8888", 3_000, known), 60_000);
    await popup(page, "short").waitFor();
    assert.equal(await popup(page, "short").getByRole("button", { name: "더 보기" }).isVisible(), false);
  });

  for (const keyboard of [0, 300]) {
    test(`${size}${keyboard ? " over a keyboard" : ""}: a user who writes keeps the form, and can claim calls that ring meanwhile, at any scroll position`, async () => {
      const page = await writing({ ...viewport, height: viewport.height - keyboard });
      for (const id of ["b", "c"]) shop.server.update(ring(id, "010-7777-8888", 3_000, known), 60_000);
      await popup(page, "c").waitFor();
      await settled(page);
      const inSight = async () => {
        for (const id of ["b", "c"]) assert.ok(await inReach(popup(page, id).locator(".popup-claim")), id);
      };
      await inSight();
      const field = popup(page, "mine").getByLabel("메모", { exact: true });
      assert.equal(await field.inputValue(), "왁스");
      assert.ok(await field.evaluate((node) => node === document.activeElement));
      await field.scrollIntoViewIfNeeded();
      assert.ok(await inReach(field), "the field that is written into");
      await page.locator("#recent .call").last().scrollIntoViewIfNeeded();
      await inSight();
    });
  }
}

for (const viewport of [{ width: 360, height: 440 }, { width: 800, height: 700 }, { width: 1280, height: 500 }]) {
  test(`${viewport.width}x${viewport.height}: when rings make the strip grow, the focused field stays visible, and can be scrolled away`, async () => {
    const page = await writing(viewport);
    const field = popup(page, "mine").getByLabel("차량 번호", { exact: true });
    await field.focus();
    // At the lower end of the visible part.
    await field.evaluate((node) => node.scrollIntoView({ block: "end" }));
    for (let i = 0; i < 5; i += 1) {
      shop.server.update(ring(`r${i}`, "010-7777-8888", 3_000, known), 60_000);
      await popup(page, `r${i}`).waitFor();
      await settled(page);
      assert.ok(await inReach(field), `over ${i + 1}`);
    }
    await field.evaluate((node) => node.scrollIntoView({ block: "start" }));
    await page.evaluate(() => (document.querySelector(".stage")?.scrollBy(0, 300), scrollBy(0, 300)));
    assert.equal(await inReach(field), false);
    shop.server.update(ring("last", "010-7777-8888", 3_000, known), 60_000);
    await popup(page, "last").waitFor();
    await settled(page);
    assert.equal(await inReach(field), false);
  });
}

/** In the page: a keyboard that covers it from `top + height` on, as on an iPad: the size of the page itself does not change. */
function keyboard({ top, height }: { top: number; height: number }): void {
  const viewport = visualViewport;
  if (!viewport) throw new Error("no visual viewport");
  Object.defineProperties(viewport, { offsetTop: { value: top, configurable: true }, height: { value: height, configurable: true } });
  viewport.dispatchEvent(new Event("resize"));
}

for (const viewport of [{ width: 360, height: 740 }, { width: 1180, height: 820 }]) {
  test(`${viewport.width}x${viewport.height}: where a keyboard covers the page without resizing it, the strip is at the top of the visible part`, async () => {
    const page = await writing(viewport);
    shop.server.update(ring("b", "010-7777-8888", 3_000, known), 60_000);
    await popup(page, "b").waitFor();
    const top = 140;
    await page.evaluate(keyboard, { top, height: 420 });
    const box = async () => (await page.locator("#strip").boundingBox()) ?? assert.fail("not shown");
    await until("the strip is seen", async () => {
      const { y, height } = await box();
      return y >= top && y + height <= top + 420;
    });
    await page.evaluate(keyboard, { top: 0, height: viewport.height });
    await until("it is back", async () => (await box()).y < top);
  });
}

test("ten rings while a user writes leave room for the form, and all can be reached in the strip", async () => {
  for (const viewport of [{ width: 360, height: 740 }, { width: 1280, height: 800 }]) {
    const page = await writing(viewport);
    for (let i = 0; i < 10; i += 1) shop.server.update(ring(`r${i}`, "010-7777-8888", 3_000, known), 60_000);
    await popup(page, "r9").waitFor();
    const { height } = (await page.locator("#strip").boundingBox()) ?? assert.fail("no strip");
    assert.ok(height <= 250, `${height} px`);
    await popup(page, "r9").locator(".popup-claim").click();
    await page.locator('#popups .popup[data-call="r9"][data-holder="me"]').waitFor();
    await page.context().close();
    shop.server.forget();
  }
});

test("calls that rang in the strip are visible when the claimed call is done, at any scroll position of its form", async () => {
  const page = await writing({ width: 360, height: 740 });
  for (const id of ["b", "c"]) shop.server.update(ring(id, "010-7777-8888", 3_000, known), 60_000);
  await popup(page, "c").waitFor();
  await popup(page, "mine").locator(".popup-close").scrollIntoViewIfNeeded();
  await settled(page);
  await popup(page, "mine").locator(".popup-close").click();
  await popup(page, "mine").waitFor({ state: "detached" });
  await settled(page);
  assert.ok(await inReach(popup(page, "b").locator(".popup-number")));
});
