// Taps while calls, updates and typing happen at the same time, with raw pointers: a tap acts on the button where it began,
// with any field focused, and with any update between press and release.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Page } from "playwright-core";
import { CallState, ClaimSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { connected, known, middleOf, pausedPad, popup, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const SCREENS = { landscape: { width: 1280, height: 800 }, portrait: { width: 800, height: 1280 } };

/** Two people with one number: the form asks who calls. */
const COUPLE = [{ id: "c1", name: "김민수", carNumber: "12가 3456" }, { id: "c2", name: "이영희", carNumber: "34나 7890" }];

/** What taps. */
interface Pointer {
  down(x: number, y: number): Promise<void>;
  up(): Promise<void>;
}

type PointerKind = "mouse" | "touch";

async function pointer(page: Page, kind: PointerKind): Promise<Pointer> {
  const { mouse } = page;
  if (kind === "mouse") {
    return { down: async (x, y) => (await mouse.move(x, y), mouse.down()), up: () => mouse.up() };
  }
  const session = await page.context().newCDPSession(page);
  const send = async (type: "touchStart" | "touchEnd", touchPoints: { x: number; y: number }[]) =>
    void (await session.send("Input.dispatchTouchEvent", { type, touchPoints }));
  return { down: (x, y) => send("touchStart", [{ x, y }]), up: () => send("touchEnd", []) };
}

/** In the page: every click that reached a button or a link, by call and name; nothing is called up. */
function recordClicks(): void {
  const clicks: string[] = [];
  Object.assign(globalThis, { clicks });
  addEventListener("click", (event) => {
    const control = event.target instanceof Element ? event.target.closest("button, a") : null;
    if (control?.matches("a")) event.preventDefault();
    if (control) clicks.push(`${control.closest("[data-call]")?.getAttribute("data-call")} ${nameOf(control)}`);
    function nameOf(node: Element): string {
      return node.getAttribute("aria-label") ?? node.textContent ?? "";
    }
  });
}

/** In the page, from its beginning: what has come over the network so far. */
function recordChunks(): void {
  const received = { text: "" };
  Object.assign(globalThis, { received });
  const { read } = ReadableStreamDefaultReader.prototype;
  ReadableStreamDefaultReader.prototype.read = async function (this: ReadableStreamDefaultReader<unknown>) {
    const chunk = await read.call(this);
    if (chunk.value instanceof Uint8Array) received.text += new TextDecoder("latin1").decode(chunk.value);
    return chunk;
  } as typeof read;
}

/** Waits until the page has got something, and has had the time to draw it. */
async function hasGot(page: Page, part: string): Promise<void> {
  await page.waitForFunction((it) => (globalThis as unknown as { received: { text: string } }).received.text.includes(it), part);
  await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(drawn)))));
}

const clicks = (page: Page) => page.evaluate(() => (globalThis as unknown as { clicks: string[] }).clicks);

/** A page with every kind of card, and the focus in the form of the claimed call. */
async function busyCounter(viewport: { width: number; height: number }, kind: PointerKind): Promise<Page> {
  const page = await shop.pad({ viewport, hasTouch: kind === "touch" }, FIRST, (it) => it.addInitScript(recordChunks));
  await page.evaluate(recordClicks);
  await withoutSoundBanner(page);
  const claim = create(ClaimSchema, { padId: "p1", padName: "1번 카운터" });
  shop.server.update(ring("mine", "010-1234-5678", 9_000, { ...known, customers: COUPLE, claim }), 60_000);
  shop.server.update(ring("rings", "010-7777-8888", 3_000, known), 60_000);
  shop.server.update(ring("talks", "010-2222-3333", 20_000, known), 60_000);
  shop.server.update({ id: "talks", state: CallState.ANSWERED });
  shop.server.update(ring("missed", "010-4444-5555", 30_000, known), 60_000);
  shop.server.update({ id: "missed", state: CallState.MISSED });
  await page.locator('.popup[data-call="missed"][data-phase="missed"]').waitFor();
  await settled(page);
  return page;
}

/** Every button of every card of that counter. */
const BUTTONS = [
  ["rings", "내가 응대"],
  ["talks", "손님 기록"],
  ["mine", "이영희 · 34나 7890"],
  ["mine", "저장"],
  ["mine", "실내 세차"],
  ["mine", "내일"],
  ["mine", "10시"],
  ["mine", "응대 취소"],
  ["mine", "완료"],
  ["talks", "내가 응대"],
  ["talks", "숨기기"],
  ["missed", "다시 걸기"],
  ["missed", "예약·메모"],
  ["missed", "완료"],
  ["missed", "숨기기"],
] as const;

for (const [screen, viewport] of Object.entries(SCREENS)) {
  for (const kind of ["mouse", "touch"] as const) {
    test(`${screen}, ${kind}: every button of every card is hit, with a field focused and a ring between press and release`, async () => {
      for (const [id, name] of BUTTONS) {
        const page = await busyCounter(viewport, kind);
        await popup(page, "mine").getByLabel("이름", { exact: true }).focus();
        const button = popup(page, id).locator("button, a").and(popup(page, id).getByText(name, { exact: true }).or(popup(page, id).getByLabel(name, { exact: true })));
        const [x, y] = await middleOf(button);
        const tap = await pointer(page, kind);
        await tap.down(x, y);
        shop.server.update(ring("next", "010-9999-0000", 0, known), 60_000);
        await hasGot(page, "010-9999-0000");
        assert.equal(await popup(page, "next").count(), 0, `${id} ${name}: nothing may move while a finger is down`);
        await tap.up();
        await popup(page, "next").waitFor();
        assert.deepEqual(await clicks(page), [`${id} ${name}`]);
        await page.context().close();
        shop.server.forget();
      }
    });
  }

  test(`${screen}: a field that loses its focus to a tap moves nothing, and the tap claims the call that rings`, async () => {
    const page = await busyCounter(viewport, "mouse");
    await popup(page, "mine").getByLabel("이름", { exact: true }).focus();
    const claim = popup(page, "rings").locator(".popup-claim");
    const [x, y] = await middleOf(claim);
    const before = await claim.boundingBox();
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.evaluate(() => document.activeElement instanceof HTMLElement && document.activeElement.blur());
    assert.deepEqual(await claim.boundingBox(), before);
    await page.mouse.up();
    await page.locator('.popup[data-call="rings"][data-holder="me"]').waitFor();
  });
}

const BOOKED = ["#show-reservations", "#panel .reservation-words"];
const ADDS_TABLET = '#panel >> role=button[name="태블릿 추가"]';

/** Calls of the customer with a reservation, so many that their panel does not show all at once. */
function storeOldCalls(): void {
  for (let i = 1; i <= 60; i += 1) shop.server.store(ring(`old${i}`, "010-1234-5678", i * 86_400_000, { state: CallState.COMPLETED }));
}

/** Calls cannot be listed, so a customer's panel offers to try again. */
const listsFail = (page: Page) => page.route("**/ListCalls", (route) => route.abort());

/** What else there is to tap: what opens its panel, the button, and what has to be there before. */
const TOOLS: [openers: string[], target: string, prepare?: (page: Page) => unknown][] = [
  [[], "#all-done"],
  [[], "#show-settings"],
  [[], "#show-reservations"],
  [["#missed .call-done"], 'role=button[name="되돌리기"]'],
  [["#show-reservations"], "#close-panel"],
  [["#show-reservations"], "#panel .chip >> nth=1"],
  [["#show-reservations"], "#panel .reservation-words"],
  [["#show-reservations"], "#panel >> text=변경"],
  [["#show-reservations"], "#panel >> text=예약 취소"],
  [BOOKED, "#panel .customer-form button"],
  [BOOKED, "#panel .customer-calls >> role=button"],
  [BOOKED, '#panel >> role=button[name="더 보기"]', storeOldCalls],
  [BOOKED, '#panel >> role=button[name="다시 시도"]', listsFail],
  [["#show-settings"], "#close-panel"],
  [["#show-settings"], ADDS_TABLET],
  [["#show-settings", ADDS_TABLET], '#panel >> role=button[name="승인"]'],
  [["#missed .call-back"], '#panel >> role=link[name="이 기기로 걸기"]'],
  [["#missed .call-back"], '#panel >> role=button[name="통화했습니다"]'],
  [["#missed .call-back"], '#panel >> role=button[name="받지 않습니다"]'],
];

for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
  test(`${viewport.width}: every button of the lists and panels is hit, with a ring between press and release`, async () => {
    for (const [openers, target, prepare] of TOOLS) {
      shop.storeADay();
      const reservation = { customerName: "김민수", carNumber: "12가 3456", at: timestampFromMs(Date.now() + 60_000) };
      shop.server.store(ring("booked", "010-1234-5678", 60_000, { state: CallState.COMPLETED, reservation }));
      const page = await shop.pad({ viewport }, FIRST, async (it) => {
        await it.addInitScript(recordChunks);
        await prepare?.(it);
      });
      await withoutSoundBanner(page);
      await settled(page);
      // A link that dials does not leave the page.
      await page.evaluate(recordClicks);
      for (const opener of openers) {
        await page.locator(opener).first().click();
        await settled(page);
      }
      const button = page.locator(target).first();
      await button.scrollIntoViewIfNeeded();
      await settled(page);
      await page.evaluate(() => (globalThis as unknown as { clicks: string[] }).clicks.splice(0));
      const name = await button.evaluate((node) => node.getAttribute("aria-label") ?? node.textContent ?? "");
      await page.mouse.move(...(await middleOf(button)));
      await page.mouse.down();
      shop.server.update(ring("next", "010-9999-0000", 0, known), 60_000);
      await hasGot(page, "010-9999-0000");
      assert.equal(await popup(page, "next").count(), 0, `${target}: nothing may move while a finger is down`);
      await page.mouse.up();
      // Do-not-disturb was switched on: then it is listed only.
      await page.locator('#recent [data-call="next"]').waitFor();
      const clicked = (await clicks(page)).map((line) => line.slice(line.indexOf(" ") + 1));
      assert.deepEqual(clicked, [name], target);
      await page.context().close();
      shop.server.forget();
    }
  });
}

const stored = (page: Page) => page.evaluate(() => localStorage.getItem("ringpad.settings") ?? "{}");

/** Settings with all time fields; open at any time when the test may run, so that every call pops up. */
const ALWAYS_OPEN = {
  hours: { on: true, week: Array.from({ length: 7 }, () => ({ opens: "00:00", closes: "00:00" })) },
  dim: { on: true, from: "21:00", until: "07:00" },
};

async function openSettings(viewport: { width: number; height: number }, kind: PointerKind): Promise<Page> {
  const page = await shop.pad({ viewport, hasTouch: kind === "touch" }, FIRST, (it) => it.addInitScript(recordChunks));
  await page.evaluate((set) => localStorage.setItem("ringpad.settings", set), JSON.stringify(ALWAYS_OPEN));
  await page.reload();
  await connected(page);
  await withoutSoundBanner(page);
  await page.locator("#show-settings").click();
  await settled(page);
  return page;
}

/** Presses at a place, lets a call ring, and releases: only then the call pops up. */
async function pressDuringRing(page: Page, kind: PointerKind, at: [number, number], display: string): Promise<void> {
  const id = `during ${display}`;
  const tap = await pointer(page, kind);
  await tap.down(...at);
  shop.server.update(ring(id, display, 0, known), 60_000);
  await hasGot(page, display);
  assert.equal(await popup(page, id).count(), 0, "nothing may move while a finger is down");
  await tap.up();
  await popup(page, id).waitFor();
}

for (const viewport of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
  for (const kind of ["mouse", "touch"] as const) {
    test(`${viewport.width}, ${kind}: a slider and the time fields of the settings are changed, with a ring between press and release`, async () => {
      const page = await openSettings(viewport, kind);
      const slider = page.getByRole("slider", { name: "소리 크기" });
      await slider.scrollIntoViewIfNeeded();
      await settled(page);
      const track = (await slider.boundingBox()) ?? assert.fail("not shown");
      await pressDuringRing(page, kind, [track.x + track.width / 4, track.y + track.height / 2], "010-9999-0000");
      const { volume } = JSON.parse(await stored(page)) as { volume: number };
      assert.ok(volume > 10 && volume < 40, `${volume} %`);
      assert.equal(await slider.inputValue(), String(volume));
      for (const [name, display] of [["어두워지는 시간", "010-9999-1111"], ["월요일 여는 시간", "010-9999-2222"]] as const) {
        const field = page.getByLabel(name, { exact: true });
        const before = await field.inputValue();
        const at = await middleOf(field);
        await settled(page);
        await pressDuringRing(page, kind, at, display);
        assert.equal(await field.evaluate((node) => node === document.activeElement), true, `${name} has the focus`);
        // The press has chosen a part of the time.
        await page.keyboard.press("ArrowUp");
        const after = await field.inputValue();
        assert.notEqual(after, before, name);
        assert.ok((await stored(page)).includes(`"${after}"`), `${name} ${after} is kept`);
      }
    });
  }
}

const claimedHere = (page: Page, id: string) => page.locator(`.popup[data-call="${id}"][data-holder="me"]`).count();

test("a card that is shown for less than half a second ignores taps, and accepts keys", async () => {
  const page = await pausedPad(shop, FIRST);
  for (const id of ["a", "b"]) shop.server.update(ring(id, "010-1234-5678", 0), 4_000_000);
  await popup(page, "b").waitFor();
  const at = await middleOf(popup(page, "a").locator(".popup-claim"));
  await page.mouse.click(...at);
  await page.clock.runFor(480);
  await page.mouse.click(...at);
  await popup(page, "b").locator(".popup-claim").focus();
  await page.keyboard.press("Enter");
  await page.locator('.popup[data-call="b"][data-holder="me"]').waitFor();
  assert.equal(await claimedHere(page, "a"), 0);
  await page.clock.runFor(1_000);
  await page.mouse.click(...(await middleOf(popup(page, "a").locator(".popup-claim"))));
  await page.locator('.popup[data-call="a"][data-holder="me"]').waitFor();
});

test("a button that moves under the finger when another ring ends ignores taps for half a second", async () => {
  const page = await pausedPad(shop, FIRST);
  for (const id of ["a", "b"]) shop.server.update(ring(id, "010-1234-5678", 0), 4_000_000);
  await popup(page, "b").waitFor();
  await page.clock.runFor(1_000);
  const at = await middleOf(popup(page, "a").locator(".popup-claim"));
  // Another pad has taken the first: the second moves to the place of the tap.
  shop.server.update({ id: "a", claim: create(ClaimSchema, { padId: "p2", padName: "2번 카운터" }) });
  await page.locator('.popup[data-call="a"][data-holder="other"]').waitFor();
  await page.mouse.click(...at);
  assert.equal(await claimedHere(page, "b"), 0);
  await page.clock.runFor(1_000);
  await page.mouse.click(...at);
  await page.locator('.popup[data-call="b"][data-holder="me"]').waitFor();
});

test("a newer ring moves no button: the call that the user taps is claimed immediately", async () => {
  const page = await pausedPad(shop, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 9_000), 4_000_000);
  await popup(page, "a").waitFor();
  await page.clock.runFor(1_000);
  const at = await middleOf(popup(page, "a").locator(".popup-claim"));
  shop.server.update(ring("b", "010-7777-8888", 0), 4_000_000);
  await popup(page, "b").waitFor();
  await page.mouse.click(...at);
  await page.locator('.popup[data-call="a"][data-holder="me"]').waitFor();
  assert.equal(await claimedHere(page, "b"), 0);
});

/** The calls whose buttons ignore taps directly after a resize event. */
function heldByResize(): string[] {
  visualViewport?.dispatchEvent(new Event("resize"));
  const held = [...document.querySelectorAll("[data-settling]")];
  return [...new Set(held.map((node) => node.closest("[data-call]")?.getAttribute("data-call") ?? node.id))];
}

test("after repeated resize events of the browser taps are accepted, except on what has moved", async () => {
  shop.storeADay();
  const page = await pausedPad(shop, FIRST, { viewport: { width: 360, height: 740 } });
  for (const id of ["a", "b"]) shop.server.update(ring(id, "010-1234-5678", 0), 4_000_000);
  await popup(page, "b").waitFor();
  await page.clock.runFor(1_000);
  assert.deepEqual(await page.evaluate(heldByResize), []);
  // Browsers send it when their bars disappear, which happens when the user scrolls.
  await page.evaluate(() => new Promise((scrolled) => {
    addEventListener("scroll", scrolled, { once: true });
    scrollBy(0, 80);
  }));
  assert.deepEqual(await page.evaluate(heldByResize), []);
  await page.evaluate(() => ((document.querySelector('.popup[data-call="b"]') as HTMLElement).style.marginTop = "30px"));
  const held = await page.evaluate(heldByResize);
  assert.ok(held.includes("b") && !held.includes("a"), held.join());
  await page.clock.runFor(1_000);
  const at = await middleOf(popup(page, "b").locator(".popup-claim"));
  assert.deepEqual(await page.evaluate(heldByResize), []);
  await page.mouse.click(...at);
  await page.locator('.popup[data-call="b"][data-holder="me"]').waitFor();
});

test("after a resize event before the scroll of the same frame taps are accepted", async () => {
  for (let i = 1; i <= 100; i += 1) shop.server.store(ring(`c${i}`, "010-2345-6789", i * 60_000, { state: CallState.COMPLETED }));
  const page = await shop.pad({ viewport: { width: 360, height: 740 } }, FIRST);
  await withoutSoundBanner(page);
  await page.locator("#day").waitFor();
  await settled(page);
  const heldAfter = (top: number) =>
    page.evaluate(([top, held]) => (scrollTo(0, top), new Function(`return (${held})()`)() as string[]), [top, heldByResize.toString()] as const);
  assert.deepEqual(await heldAfter(2_000), []);
  assert.deepEqual(await heldAfter(0), []);
  // At its end the page may have been moved by the browser.
  assert.notDeepEqual(await heldAfter(100_000), []);
});

test("in lists of hundreds of lines, one that was scrolled to accepts taps immediately", async () => {
  for (let i = 1; i <= 100; i += 1) shop.server.store(ring(`c${i}`, "010-2345-6789", i * 60_000, { state: CallState.COMPLETED }));
  const page = await shop.pad({ viewport: { width: 360, height: 740 } }, FIRST);
  await withoutSoundBanner(page);
  await page.locator("#day").waitFor();
  await settled(page);
  const at = await middleOf(page.locator('#recent [data-call="c60"] .call-main'));
  assert.deepEqual(await page.evaluate(heldByResize), []);
  await page.mouse.click(...at);
  await popup(page, "c60").waitFor();
});
