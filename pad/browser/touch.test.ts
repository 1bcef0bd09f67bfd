// What unlocks sound on a touch screen. Other browsers allow more than an iPad does, so here sound follows the HTML
// specification exactly: a touch counts at its release, a mouse button at its press.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { connected, popup, settled, Shop } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const ON = '#sound[aria-pressed="true"]';

/** In the page: sound as on an iPad, and `contexts`, to interrupt it. */
function strict(): void {
  const contexts: AudioContext[] = [];
  const { resume } = AudioContext.prototype;
  const allowed = (event: Event | undefined) =>
    event !== undefined &&
    (["pointerup", "touchend", "click", "keydown"].includes(event.type) ||
      (event.type === "pointerdown" && (event as PointerEvent).pointerType === "mouse"));
  AudioContext.prototype.resume = function () {
    return allowed(globalThis.event) ? resume.call(this) : new Promise(() => {});
  };
  const Made = AudioContext;
  globalThis.AudioContext = class extends Made {
    constructor() {
      super();
      contexts.push(this);
    }
  };
  Object.assign(globalThis, { contexts });
}

async function tablet(): Promise<Page> {
  const page = await shop.open({ hasTouch: true }, FIRST);
  await page.addInitScript(strict);
  await page.reload();
  await connected(page);
  await page.locator("#unlock").waitFor();
  return page;
}

const bannerDisappears = (page: Page) => page.locator("#unlock").waitFor({ state: "hidden" });

/** A finger that is put down and, later, lifted. */
async function finger(page: Page): Promise<{ down(x: number, y: number): Promise<void>; up(): Promise<void> }> {
  const session = await page.context().newCDPSession(page);
  const send = async (type: "touchStart" | "touchEnd", touchPoints: { x: number; y: number }[]) =>
    void (await session.send("Input.dispatchTouchEvent", { type, touchPoints }));
  return { down: (x, y) => send("touchStart", [{ x, y }]), up: () => send("touchEnd", []) };
}

test("any touch turns sound on, and again after an interruption", async () => {
  const page = await tablet();
  await page.locator("h1").tap();
  await page.locator(ON).waitFor();
  await bannerDisappears(page);
  await page.evaluate(() => (globalThis as unknown as { contexts: AudioContext[] }).contexts[0]?.suspend());
  await page.locator("#unlock").tap();
  await page.locator(ON).waitFor();
  await bannerDisappears(page);
});

test("a finger on the switch turns sound on the first time, and off the second", async () => {
  const page = await tablet();
  await page.locator("#sound").tap();
  await page.locator(ON).waitFor();
  await bannerDisappears(page);
  await page.locator("#sound").tap();
  await page.locator('#sound[data-sound="off"]').waitFor();
});

test("the first tap counts: nothing moves until the release", async () => {
  const page = await tablet();
  shop.server.update(ring("a", "010-1234-5678", 3_000), 27_000);
  await popup(page, "a").waitFor();
  await settled(page);
  const box = await popup(page, "a").getByRole("button", { name: "내가 응대", exact: true }).boundingBox();
  assert(box);
  const { down, up } = await finger(page);
  await down(box.x + box.width / 2, box.y + box.height - 6);
  assert.ok(await page.locator("#unlock").isVisible());
  await up();
  await page.locator('.popup[data-call="a"][data-holder="me"]').waitFor();
  await page.locator(ON).waitFor();
  await bannerDisappears(page);
});

for (const id of ["unlock", "sound"]) {
  test(`a screen reader's click on #${id}, which no touch precedes, turns sound on; the next on the switch turns it off`, async () => {
    const page = await tablet();
    await page.locator(`#${id}`).dispatchEvent("click");
    await page.locator(ON).waitFor();
    await bannerDisappears(page);
    await page.locator("#sound").dispatchEvent("click");
    await page.locator('#sound[data-sound="off"]').waitFor();
  });
}

test("a click without a touch acts on the switch, also after a touch that unlocked sound elsewhere", async () => {
  const page = await tablet();
  await page.locator("h1").tap();
  await bannerDisappears(page);
  await page.locator("#sound").dispatchEvent("click");
  await page.locator('#sound[data-sound="off"]').waitFor();
});

test("a mouse on the switch turns sound on first, too", async () => {
  const page = await tablet();
  await page.locator("#sound").click();
  await page.locator(ON).waitFor();
  await bannerDisappears(page);
});

test("a key turns sound on; the next one on the switch turns it off", async () => {
  const page = await tablet();
  await page.keyboard.press("Tab");
  await page.locator(ON).waitFor();
  await page.locator("#sound").focus();
  await page.keyboard.press("Enter");
  await page.locator('#sound[data-sound="off"]').waitFor();
});

test("the switch has the same name whether it is on or off; aria-pressed shows its state", async () => {
  const page = await tablet();
  const named = (pressed: boolean) => page.getByRole("button", { name: "소리", exact: true, pressed });
  await named(false).tap();
  await named(true).waitFor();
  assert.equal(await page.locator("#sound-text").textContent(), "소리 켜짐");
  await named(true).tap();
  await named(false).waitFor();
  assert.equal(await page.locator("#sound-text").textContent(), "소리 꺼짐");
  await page.getByRole("button", { name: "English" }).tap();
  await page.getByRole("button", { name: "Sound", exact: true }).waitFor();
});
