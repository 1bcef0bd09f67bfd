// The look of the page in every main state: nothing is cut off, everything is large enough to touch, and nothing serious
// for axe. The screenshots are for people to open.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import type { Browser, Page } from "playwright-core";
import { CallState, ClaimSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { screenshot, TABLET } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { accessible, looksRight } from "./looks.ts";
import { qrContent } from "./qr.ts";
import { known, popup, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const SCREENS: [string, Parameters<Browser["newContext"]>[0]][] = [
  ["tablet", {}],
  ["tablet-dark", { colorScheme: "dark" }],
  ["portrait", { viewport: { width: 800, height: 1280 } }],
  ["360", { viewport: { width: 360, height: 740 } }],
  ["360-dark", { viewport: { width: 360, height: 740 }, colorScheme: "dark" }],
  ["english", { locale: "en-GB" }],
  ["english-360", { locale: "en-GB", viewport: { width: 360, height: 740 } }],
];

for (const [name, options] of SCREENS) {
  test(`${name}: every state fits and can be read out`, async () => {
    shop.storeADay();
    const page = await shop.pad(options, FIRST);
    await shop.hasAsked();
    await looksRight(page, `${name}-1-quiet-sound-blocked`);
    await withoutSoundBanner(page);
    shop.server.update(ring("a", "010-1234-5678", 14_000, known), 60_000);
    await popup(page, "a").waitFor();
    await looksRight(page, `${name}-2-one-ring`);
    shop.server.update(ring("b", "010-7777-8888", 3_000), 60_000);
    shop.server.update(ring("c", "0507-1234-5678", 3_000), 60_000);
    await popup(page, "c").waitFor();
    await looksRight(page, `${name}-3-three-rings`);
    shop.server.update({ id: "b", claim: { padId: "p2", padName: "2번 카운터" } });
    await page.locator('[data-call="b"][data-holder="other"]').waitFor();
    await popup(page, "a").locator(".popup-claim").click();
    await page.locator('[data-call="a"][data-holder="me"]').waitFor();
    shop.server.update({ id: "c", state: CallState.MISSED });
    await page.locator('.popup[data-call="c"][data-phase="missed"]').waitFor();
    await looksRight(page, `${name}-4-claimed-and-missed`);
    await page.locator("#search").fill("4321");
    await page.locator("#found .call").waitFor();
    await page.locator("#search").scrollIntoViewIfNeeded();
    await looksRight(page, `${name}-5-search`);
  });
}

const state = (page: Page, kind: string) => page.locator(`#connection[data-state="${kind}"]`).waitFor();

for (const [name, options] of SCREENS.filter(([it]) => ["tablet", "360-dark", "english-360"].includes(it))) {
  test(`${name}: every fault fits and can be read out`, async () => {
    shop.storeADay();
    const page = await shop.pad(options, FIRST);
    await withoutSoundBanner(page);
    const claim = create(ClaimSchema, { padId: "p2", padName: "2층 안쪽 세차 대기실 카운터" });
    shop.server.update(ring("a", "010-1234-5678", 3_000, { ...known, claim }), 60_000);
    await popup(page, "a").waitFor();
    await looksRight(page, `${name}-7-claimed-elsewhere`);
    shop.server.update(ring("b", "010-7777-8888", 3_000), 60_000);
    await popup(page, "b").waitFor();
    // The other pad's claim is in the log, and this page does not know of it yet.
    shop.server.store(ring("b", "010-7777-8888", 3_000, { claim, revision: 1n }));
    await popup(page, "b").locator(".popup-claim").click();
    await page.locator("#toast").waitFor();
    await looksRight(page, `${name}-8-toast`);
    shop.server.away = true;
    shop.server.cut();
    await page.locator("#advice").waitFor();
    await looksRight(page, `${name}-9-reconnecting`);
    shop.server.away = false;
    shop.server.refuseWith = 10;
    await page.locator("#retry").waitFor();
    await looksRight(page, `${name}-10-replaced`);
    shop.server.refuseWith = 5;
    await page.locator("#retry").click();
    await state(page, "no-store");
    await looksRight(page, `${name}-11-no-store`);
  });

  test(`${name}: a page without a token fits and can be read out`, async () => {
    const page = await shop.open(options, "");
    await state(page, "needs-token");
    await looksRight(page, `${name}-12-needs-token`);
  });
}

test("each state of the connection has its own words and colour", async () => {
  const page = await shop.pad({}, FIRST);
  const chip = page.locator("#connection");
  const said = async () => [await chip.getAttribute("data-tone"), (await chip.innerText()).trim(), ...(await colours(page))];
  const [good, waiting, bad] = ["rgb(29, 122, 80)", "rgb(138, 90, 0)", "rgb(179, 38, 30)"];
  assert.deepEqual(await said(), ["good", "연결됨", good, good]);
  shop.server.away = true;
  shop.server.cut();
  await state(page, "reconnecting");
  assert.deepEqual(await said(), ["waiting", "다시 연결 중…", waiting, waiting]);
  shop.server.away = false;
  for (const [status, kind, words] of [
    [10, "replaced", "다른 화면에서 사용 중"],
    [16, "needs-token", "태블릿 등록이 필요합니다"],
    [5, "no-store", "매장을 찾을 수 없습니다"],
    [7, "forbidden", "접속 권한이 없습니다"],
  ] as const) {
    shop.server.refuseWith = status;
    // A user who has corrected the cause does not wait.
    await page.evaluate((token) => void (location.hash = `token=a.b.${token}`), kind);
    await state(page, kind);
    assert.deepEqual(await said(), ["bad", words, bad, bad]);
  }
  shop.server.refuseWith = undefined;
  await page.evaluate(() => void (location.hash = "token=a.b.good"));
  await state(page, "connected");
  assert.deepEqual(await said(), ["good", "연결됨", good, good]);
});

/** The colours of the text and of the lamp next to it. */
async function colours(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const of = (selector: string) => getComputedStyle(document.querySelector(selector) ?? document.body);
    return [of("#connection-text").color, of("#connection .lamp").backgroundColor];
  });
}

/** Whether a finger reaches it without scrolling. */
async function inReach(page: Page, id: string, name: string): Promise<boolean> {
  await settled(page);
  return popup(page, id).getByRole("button", { name, exact: true }).evaluate((node) => {
    const { left, right, top, bottom } = node.getBoundingClientRect();
    const corners = [[left + 12, top + 4], [right - 12, bottom - 4]] as const;
    return corners.every(([x, y]) => node.contains(document.elementFromPoint(x, y)));
  });
}

test("an open form's buttons can be reached without scrolling while two others ring, with and without the focus", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 14_000, known), 60_000);
  await popup(page, "a").locator(".popup-claim").click();
  for (const id of ["b", "c"]) shop.server.update(ring(id, "010-7777-8888", 3_000, known), 60_000);
  await popup(page, "c").waitFor();
  await screenshot(page, "two-rings-form-open");
  for (const name of ["완료", "응대 취소"]) assert.ok(await inReach(page, "a", name), `${name} next to the form`);
  await popup(page, "a").getByLabel("이름").focus();
  await page.evaluate(() => document.querySelector(".stage")?.scrollTo(0, 0));
  await screenshot(page, "two-rings-form-focused");
  for (const name of ["완료", "응대 취소", "저장"]) assert.ok(await inReach(page, "a", name), `${name} while writing`);
  await accessible(page);
});

test("of three rings each can be claimed without scrolling, also with a long history", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  for (const id of ["a", "b", "c"]) shop.server.update(ring(id, "010-7777-8888", 3_000, known), 60_000);
  await popup(page, "c").waitFor();
  await screenshot(page, "three-known-callers");
  for (const id of ["a", "b", "c"]) assert.ok(await inReach(page, id, "내가 응대"), id);
});

for (const [name, options, words] of [
  ["tablet", {}, "소리 꺼짐"],
  ["360", { viewport: { width: 360, height: 740 } }, "소리 꺼짐"],
  ["english-360", { locale: "en-GB", viewport: { width: 360, height: 740 } }, "Sound off"],
] as [string, Parameters<Browser["newContext"]>[0], string][]) {
  test(`${name}: a text says that sound is off, also while a call rings and the lists are scrolled`, async () => {
    shop.storeADay();
    const page = await shop.pad(options, FIRST);
    await withoutSoundBanner(page);
    await page.locator("#sound").click();
    shop.server.update(ring("a", "010-1234-5678", 3_000, known), 60_000);
    await popup(page, "a").waitFor();
    await page.locator("#recent .call").last().scrollIntoViewIfNeeded();
    await looksRight(page, `${name}-6-muted`);
    const said = page.locator("#sound-text");
    assert.equal(await said.textContent(), words);
    const box = (await said.boundingBox()) ?? assert.fail("not shown");
    assert.ok(box.width > 40 && box.y > 0 && box.y < 120, JSON.stringify(box));
    assert.equal(await said.evaluate((node) => getComputedStyle(node).clipPath), "none");
    assert.equal(await page.locator("#sound .cross").isVisible(), true);
  });
}

test("a ring is scrolled into view, but not while somebody types", async () => {
  shop.storeADay();
  const page = await shop.pad({ viewport: { width: 360, height: 740 } }, FIRST);
  await withoutSoundBanner(page);
  const inSight = (id: string) => popup(page, id).locator("h2").evaluate((node) => node.getBoundingClientRect().top >= 60);
  await page.locator("#recent .call").last().scrollIntoViewIfNeeded();
  shop.server.update(ring("a", "010-1234-5678", 3_000), 60_000);
  await popup(page, "a").waitFor();
  assert.ok(await inSight("a"));
  await page.locator("#search").focus();
  await page.locator("#recent .call").last().scrollIntoViewIfNeeded();
  shop.server.update(ring("b", "010-7777-8888", 3_000), 60_000);
  await popup(page, "b").waitFor();
  assert.equal(await inSight("b"), false);
});

test("ten rings on a phone: the oldest is on top, and can be claimed", async () => {
  const page = await shop.pad({ viewport: { width: 360, height: 740 } }, FIRST);
  await withoutSoundBanner(page);
  for (let i = 0; i < 10; i += 1) shop.server.update(ring(`r${i}`, "010-1234-5678", 3_000, known), 60_000);
  await popup(page, "r9").waitFor();
  await screenshot(page, "ten-rings-on-a-phone");
  assert.ok(await inReach(page, "r0", "내가 응대"));
});

test("in the lists no line begins with the dot between two parts", async () => {
  const reservation = { customerName: "김민수", carNumber: "12가 3456", service: "실내 세차까지 모두" };
  const claim = create(ClaimSchema, { padId: "p2", padName: "2층 안쪽 세차 대기실 카운터" });
  shop.server.store(ring("a", "010-1234-5678", 60_000, { reservation, claim }));
  shop.server.store(ring("b", "010-7777-8888", 60_000, { claim, history: { calls: 2 } }));
  const page = await shop.pad({}, FIRST);
  await page.locator('#recent [data-call="b"]').waitFor();
  for (let width = 330; width < 470; width += 4) {
    await page.setViewportSize({ width, height: 740 });
    assert.deepEqual(await page.evaluate(linesBegin), [], `${width} px wide`);
  }
  await page.setViewportSize({ width: 360, height: 740 });
  await screenshot(page, "list-lines");
});

/** In the page: details of which a line begins with a dot, be it a letter or made by the style. */
function linesBegin(): string[] {
  return [...document.querySelectorAll("#recent .call-detail")].flatMap((detail) => {
    const written = detail.firstChild;
    const edge = detail.parentElement?.getBoundingClientRect().left ?? NaN;
    const phase = [...(detail.previousElementSibling?.getClientRects() ?? [])].at(-1);
    if (!written || !phase) return ["no details"];
    const place = (at: number) => {
      const letter = document.createRange();
      letter.setStart(written, at);
      letter.setEnd(written, at + 1);
      return letter.getBoundingClientRect();
    };
    const first = place(0);
    const words = written.textContent ?? "";
    const bad = [...words.matchAll(/·/g)].filter(({ index }) => place(index).left < edge + 1).map(() => words);
    return first.top > phase.bottom - 4 && first.left > edge + 1 ? [...bad, `· ${words}`] : bad;
  });
}

for (const [name, options] of SCREENS.filter(([it]) => ["tablet", "tablet-dark", "360-dark"].includes(it))) {
  test(`${name}: the code to call back dials the caller's number in international form`, async () => {
    const numbers = { mobile: ["010-8765-4321", "tel:+821087654321"], line: ["02-555-0134", "tel:+8225550134"] } as const;
    Object.values(numbers).forEach(([display], at) => shop.server.store(ring(`m${at}`, display, 60_000, { state: CallState.MISSED })));
    const page = await shop.pad(options, FIRST);
    await withoutSoundBanner(page);
    // Chromium's own dialog for a link that dials would take the next tap.
    await page.evaluate(() => addEventListener("click", (event) => event.preventDefault()));
    for (const [at, [display, link]] of Object.values(numbers).entries()) {
      await settled(page);
      await page.locator(`#missed [data-call="m${at}"] .call-back`).click();
      await page.locator("#panel .panel-number", { hasText: display }).waitFor();
      assert.equal(await qrContent(page.locator("#panel .qr")), link);
    }
  });
}

test("the number is large enough to read from two metres", async () => {
  const page = await shop.pad();
  shop.server.update(ring("a", "010-1234-5678", 1_000), 30_000);
  const size = await popup(page, "a").locator(".popup-number").evaluate((node) => parseFloat(getComputedStyle(node).fontSize));
  assert.ok(size >= 72, `${size}px on ${TABLET.width}`);
});

test("the language is the browser's until the user switches it; the choice is stored, and drafts are kept", async () => {
  shop.storeADay();
  const page = await shop.pad({ locale: "en-GB" }, FIRST);
  assert.equal((await page.locator("#connection").textContent())?.trim(), "Connected");
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  shop.server.update(ring("a", "010-1234-5678", 1_000, known), 30_000);
  await popup(page, "a").getByRole("button", { name: "Take", exact: true }).click();
  await popup(page, "a").getByLabel("Name").fill("Kim");
  await page.getByRole("button", { name: "한국어" }).click();
  assert.equal(await popup(page, "a").getByLabel("이름").inputValue(), "Kim");
  assert.equal(await page.locator("html").getAttribute("lang"), "ko");
  assert.equal((await page.locator("#connection").textContent())?.trim(), "연결됨");
  await page.locator("#missed-title", { hasText: "부재중" }).waitFor();
  await page.reload();
  await page.locator('#connection-text:text("연결됨")').waitFor();
});

test("a ring does not take the focus, and everything works by keyboard", async () => {
  const page = await shop.pad({}, FIRST);
  await page.locator("#search").focus();
  shop.server.update(ring("a", "010-1234-5678", 1_000), 30_000);
  await popup(page, "a").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "search");
  await popup(page, "a").getByRole("button", { name: "내가 응대" }).focus();
  await page.keyboard.press("Enter");
  await page.locator('[data-call="a"][data-holder="me"]').waitFor();
  // The pressed button is removed; the keyboard focus must not return to the top.
  await page.waitForFunction(() => document.activeElement?.closest(".popup") !== null);
});

test("the screen is kept on, again after the page was hidden", async () => {
  const context = await shop.browser.newContext();
  const page = await context.newPage();
  await page.addInitScript(() => {
    const asked: string[] = [];
    Object.defineProperty(navigator, "wakeLock", { value: { request: (kind: string) => (asked.push(kind), Promise.resolve()) } });
    Object.assign(globalThis, { asked });
  });
  await page.goto(`${shop.url}/#token=a.b.c`);
  const asked = () => page.evaluate(() => (globalThis as unknown as { asked: string[] }).asked);
  assert.deepEqual(await asked(), ["screen"]);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  assert.deepEqual(await asked(), ["screen", "screen"]);
});

test("the page can be installed: its manifest and every icon are served", async () => {
  const page = await shop.pad();
  const problems = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>('link[rel="manifest"]');
    const manifest = (await (await fetch(link?.href ?? "")).json()) as { icons: { src: string; sizes: string; type: string }[] };
    const answers = await Promise.all(manifest.icons.map(({ src }) => fetch(src)));
    return manifest.icons.filter(({ type }, at) => answers[at]?.headers.get("content-type") !== type).map(({ src }) => src);
  });
  assert.deepEqual(problems, []);
  const session = await page.context().newCDPSession(page);
  const { errors } = await session.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  const ids = installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== "in-incognito");
  assert.deepEqual(ids, []);
});
