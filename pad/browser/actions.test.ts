// Actions on the page, on one pad and on several pads of a shop.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Locator, Page } from "playwright-core";
import { CallState, ClaimSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { screenshot, until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { connected, known, listen, popup, settled, Shop, sounds, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const SECOND = padToken("p2", "2번 카운터");

async function twoPads(): Promise<[Page, Page]> {
  return Promise.all([shop.pad({}, FIRST), shop.pad({}, SECOND)]);
}

const tap = (page: Page, id: string, name: string) => popup(page, id).getByRole("button", { name, exact: true }).click();
const held = (page: Page, id: string, holder: string) => page.locator(`.popup[data-call="${id}"][data-holder="${holder}"]`).waitFor();
const title = (page: Page, wanted: RegExp) => page.waitForFunction((source) => new RegExp(source).test(document.title), wanted.source);
const field = (page: Page, id: string, label: string) => popup(page, id).getByLabel(label, { exact: true });

test("a claim on one pad silences the other, which shows who has it; after a release it rings again", async () => {
  shop.storeADay();
  const [first, second] = await twoPads();
  await withoutSoundBanner(second);
  shop.server.update(ring("a", "010-1234-5678", 3_000, known), 27_000);
  for (const page of [first, second]) await title(page, /☎ 010-1234-5678/);
  await tap(first, "a", "내가 응대");
  await held(first, "a", "me");
  await held(second, "a", "other");
  assert.match(await popup(second, "a").innerText(), /1번 카운터에서 응대 중/);
  assert.match((await second.locator("#announce").textContent()) ?? "", /1번 카운터에서 응대 중/);
  for (const page of [first, second]) await title(page, /^반짝/);
  assert.equal(await popup(second, "a").getByRole("button", { name: "내가 응대" }).isVisible(), false);
  await screenshot(second, "claimed-elsewhere");
  await screenshot(first, "claimed-here");
  await tap(first, "a", "응대 취소");
  for (const page of [first, second]) await held(page, "a", "nobody");
  for (const page of [first, second]) await title(page, /☎/);
});

test("a claim is shown before the server has answered; if another pad was first, its name is shown", async () => {
  const page = await shop.pad({}, SECOND);
  shop.server.update(ring("a", "010-1234-5678", 3_000, known), 27_000);
  await popup(page, "a").waitFor();
  let answer = () => {};
  shop.server.actionsWait = new Promise((resolve) => (answer = resolve));
  await tap(page, "a", "내가 응대");
  await held(page, "a", "me");
  // The other pad's claim is in the log, and this page does not know of it yet.
  const claim = create(ClaimSchema, { padId: "p1", padName: "1번 카운터" });
  shop.server.store(ring("a", "010-1234-5678", 3_000, { ...known, claim, revision: 1n }));
  answer();
  await held(page, "a", "other");
  assert.match(await popup(page, "a").innerText(), /1번 카운터에서 응대 중/);
  assert.match((await page.locator("#toast").textContent()) ?? "", /1번 카운터에서 응대 중/);
});

test("the first tap counts, although it turns sound on and the banner above disappears", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 3_000), 27_000);
  await popup(page, "a").waitFor();
  await settled(page);
  const box = await popup(page, "a").getByRole("button", { name: "내가 응대", exact: true }).boundingBox();
  assert(box);
  // Near its lower edge: if the button moves up, the release is outside.
  await page.mouse.move(box.x + box.width / 2, box.y + box.height - 6);
  await page.mouse.down();
  await page.locator('#sound[aria-pressed="true"]').waitFor();
  await page.mouse.up();
  await held(page, "a", "me");
  await page.locator("#unlock").waitFor({ state: "hidden" });
});

test("an action whose answer was lost is done once, under one id", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 3_000), 27_000);
  await popup(page, "a").waitFor();
  shop.server.loseAnswers = 1;
  await tap(page, "a", "내가 응대");
  await until("the repeat", () => shop.server.actions.sent.length === 2);
  const [one, two] = shop.server.actions.sent;
  assert.deepEqual(one, two);
  await held(page, "a", "me");
});

/** Two pads that ring audibly. */
async function twoLoudPads(rings = 27_000): Promise<[Page, Page]> {
  const loud = (token: string) => shop.pad({}, token, (page) => page.addInitScript(listen));
  const pads = await Promise.all([loud(FIRST), loud(SECOND)]);
  for (const page of pads) await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 3_000, known), rings);
  for (const page of pads) await sounds(page, "audible");
  return pads;
}

test("sound ends on both pads when one takes the call", async () => {
  const pads = await twoLoudPads();
  await tap(pads[0], "a", "내가 응대");
  for (const page of pads) await sounds(page, "silent");
  await tap(pads[0], "a", "응대 취소");
  for (const page of pads) await sounds(page, "audible");
});

test("sound ends on both pads when the caller hangs up", async () => {
  const pads = await twoLoudPads();
  shop.server.update({ id: "a", state: CallState.MISSED, endedAt: timestampFromMs(Date.now()) });
  for (const page of pads) await sounds(page, "silent");
  // And not because the call is no longer on the screen.
  for (const page of pads) assert.ok(await popup(page, "a").isVisible());
});

test("sound ends on both pads when the ring's time is over", async () => {
  const pads = await twoLoudPads(4_000);
  for (const page of pads) await sounds(page, "silent");
  for (const page of pads) await page.locator('.popup[data-call="a"][data-phase="unknown"]').waitFor();
});

test("sound ends on the pad that is muted, and only there", async () => {
  const [first, second] = await twoLoudPads();
  await first.locator("#sound").click();
  await sounds(first, "silent");
  await sounds(second, "audible");
  await first.locator("#sound").click();
  await sounds(first, "audible");
  await second.locator("#sound").click();
  await sounds(second, "silent");
});

test("ringing stops everywhere when the caller hangs up", async () => {
  const pages = await twoPads();
  shop.server.update(ring("a", "010-1234-5678", 3_000), 27_000);
  for (const page of pages) await title(page, /☎/);
  shop.server.update({ id: "a", state: CallState.MISSED, endedAt: timestampFromMs(Date.now()) });
  for (const page of pages) {
    await title(page, /^반짝/);
    await page.locator('#missed [data-call="a"]').waitFor();
    assert.equal(await popup(page, "a").getByRole("link", { name: "다시 걸기" }).getAttribute("href"), "tel:+821012345678");
  }
});

test("a page that is loaded during a ring shows it until its time is over, but not a ring whose record came too late", async () => {
  const until = Date.now() + 5_000;
  shop.server.store(ring("a", "010-1234-5678", 58_000, { ...known, popUntil: timestampFromMs(until) }));
  shop.server.store(ring("old", "010-7777-8888", 45_000));
  shop.server.update(ring("late", "010-2222-3333", 8_000));
  const page = await shop.pad({}, FIRST);
  await page.locator('.popup[data-call="a"][data-phase="ringing"]').waitFor();
  assert.equal(await page.locator(".popup").count(), 1);
  assert.equal(await page.locator('#recent [data-call="late"]').getAttribute("data-phase"), "unknown");
  await page.locator('.popup[data-call="a"][data-phase="unknown"]').waitFor();
  assert.ok(Date.now() >= until, `${until - Date.now()} ms early`);
});

test("a half-typed form survives a ring, a reconnect and a reload, with its focus if possible", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 9_000, known), 21_000);
  await popup(page, "a").waitFor();
  await tap(page, "a", "내가 응대");
  await field(page, "a", "이름").click();
  await page.keyboard.type("김민");
  shop.server.update(ring("b", "010-7777-8888", 1_000), 29_000);
  await popup(page, "b").waitFor();
  await page.keyboard.type("수");
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  shop.server.away = false;
  await connected(page);
  await page.keyboard.press("Tab");
  await page.keyboard.type("12가 3456");
  const values = async () => [await field(page, "a", "이름").inputValue(), await field(page, "a", "차량 번호").inputValue()];
  assert.deepEqual(await values(), ["김민수", "12가 3456"]);
  await screenshot(page, "ring-while-writing");
  await page.reload();
  await connected(page);
  await popup(page, "a").waitFor();
  assert.deepEqual(await values(), ["김민수", "12가 3456"]);
  assert.match(await popup(page, "a").innerText(), /아직 저장하지 않았습니다/);
});

test("a reservation is saved, shown on the other pad, and its draft is removed", async () => {
  const [first, second] = await twoPads();
  shop.server.update(ring("a", "010-1234-5678", 3_000, known), 27_000);
  await popup(first, "a").waitFor();
  await tap(first, "a", "내가 응대");
  await field(first, "a", "이름").fill("김민수");
  await field(first, "a", "차량 번호").fill("12가 3456");
  await field(first, "a", "서비스").fill("실내 세차");
  await field(first, "a", "날짜").fill("2030-05-04");
  await field(first, "a", "시간").fill("10:30");
  await field(first, "a", "메모").fill("뒷좌석 얼룩");
  await screenshot(first, "form-filled");
  await tap(first, "a", "저장");
  await popup(first, "a").getByText("저장했습니다").waitFor();
  await second.locator('#recent [data-call="a"]', { hasText: "2030년 5월 4일 10:30 · 실내 세차 · 12가 3456 · 김민수" }).waitFor();
  assert.equal(await first.evaluate(() => sessionStorage.getItem("ringpad.drafts")), "[]");
  await tap(first, "a", "완료");
  await popup(first, "a").waitFor({ state: "detached" });
  await until("the close", () => shop.server.actions.sent.some(({ method }) => method === "CloseCall"));
});

test("done saves what was typed first; for a day without a time it asks for the time", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 3_000), 27_000);
  await popup(page, "a").waitFor();
  await tap(page, "a", "내가 응대");
  await field(page, "a", "날짜").fill("2030-05-04");
  await tap(page, "a", "완료");
  await popup(page, "a").locator("input:invalid").waitFor();
  await field(page, "a", "시간").fill("10:30");
  await tap(page, "a", "완료");
  await popup(page, "a").waitFor({ state: "detached" });
  await until("all three", () => shop.server.actions.sent.length === 3);
  assert.deepEqual(shop.server.actions.sent.map(({ method }) => method), ["ClaimCall", "SaveNote", "CloseCall"]);
});

test("a missed call is called back, or closed: then it is in no pad's list, and marked in the recent calls", async () => {
  shop.storeADay();
  const [first, second] = await twoPads();
  await withoutSoundBanner(first);
  await screenshot(first, "missed-list");
  const line = first.locator('#missed [data-call="d2"]');
  assert.equal(await line.getByRole("link").getAttribute("href"), "tel:+821087654321");
  await line.getByRole("button", { name: "010-8765-4321 완료" }).click();
  for (const page of [first, second]) {
    await page.locator('#missed [data-call="d2"]').waitFor({ state: "detached" });
    assert.equal(await page.locator("#missed-count").textContent(), "2");
    assert.match((await page.locator('#recent [data-call="d2"]').textContent()) ?? "", /부재중 · 완료/);
  }
});

test("a missed call stays listed and counted until a pad closes it, also after many newer calls and a reload", async () => {
  shop.server.store(ring("old", "010-8765-4321", 40 * 3_600_000, { state: CallState.MISSED }));
  for (let i = 150; i > 0; i -= 1) shop.server.store(ring(`c${i}`, "010-2345-6789", i * 60_000, { state: CallState.COMPLETED }));
  shop.server.snapshotHas = 100;
  const [first, second] = await twoPads();
  await first.reload();
  const listed = (page: Page) => page.locator('#missed [data-call="old"]');
  for (const page of [first, second]) {
    await listed(page).waitFor();
    assert.equal(await page.locator("#missed-count").textContent(), "1");
  }
  await listed(first).getByRole("button", { name: "010-8765-4321 완료" }).click();
  for (const page of [first, second]) {
    await listed(page).waitFor({ state: "detached" });
    assert.equal(await page.locator("#missed-count").isVisible(), false);
  }
});

test("a missed call that another pad has claimed can be closed, and written to", async () => {
  const missed = { state: CallState.MISSED, claim: create(ClaimSchema, { padId: "p2", padName: "2번 카운터" }) };
  for (const id of ["a", "b"]) shop.server.store(ring(id, `010-1234-567${id === "a" ? 1 : 2}`, 60_000, missed));
  const page = await shop.pad({}, FIRST);
  await page.locator('#recent [data-call="b"]').getByRole("button", { name: "열기" }).click();
  await field(page, "b", "메모").fill("다시 연락함");
  await tap(page, "b", "저장");
  await page.locator('#recent [data-call="b"]', { hasText: "다시 연락함" }).waitFor();
  await page.locator('#missed [data-call="a"]').getByRole("button", { name: "완료" }).click();
  await page.locator('#recent [data-call="a"]', { hasText: "부재중 · 완료" }).waitFor();
  await until("both", () => shop.server.actions.sent.length === 2);
  assert.equal(await page.locator("#toast").textContent(), "");
});

test("a call from the list is opened to be written to, and hidden again", async () => {
  shop.storeADay();
  const page = await shop.pad({}, FIRST);
  await page.locator('#recent [data-call="d3"]').getByRole("button", { name: "열기" }).click();
  await field(page, "d3", "메모").fill("다음 주에 다시 연락");
  await tap(page, "d3", "저장");
  await page.locator('#recent [data-call="d3"]', { hasText: "다음 주에 다시 연락" }).waitFor();
  await screenshot(page, "opened-from-list");
  await tap(page, "d3", "숨기기");
  await page.locator("#quiet").waitFor();
});

test("search by last digits: results are separate, page by page, and rings are still shown", async () => {
  shop.storeADay();
  for (let i = 0; i < 40; i += 1) shop.server.store(ring(`s${i}`, `010-2${String(i).padStart(3, "0")}-7788`, 86_400_000 * (i + 5), { state: CallState.COMPLETED }));
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  await page.getByLabel("번호, 이름, 차량, 메모 찾기").pressSequentially("7788", { delay: 20 });
  await page.locator("#found .call").nth(29).waitFor();
  assert.equal(await page.locator("#recent").isVisible(), false);
  assert.deepEqual(shop.server.actions.searches, ["7788"]);
  shop.server.update(ring("a", "010-1234-5678", 1_000), 29_000);
  await popup(page, "a").waitFor();
  await screenshot(page, "search");
  await page.getByRole("button", { name: "더 보기" }).click();
  await page.locator("#found .call").nth(39).waitFor();
  await page.getByLabel("번호, 이름, 차량, 메모 찾기").fill("0000000");
  await page.getByText("찾는 전화가 없습니다").waitFor();
  await page.getByRole("button", { name: "검색 지우기" }).click();
  await page.locator("#recent").waitFor();
});

test("search finds a number in any form, a name, a car, a note and a service, and shows whose calls they are", async () => {
  const reservation = { customerName: "박서준", carNumber: "78다 9012", service: "광택" };
  const customers = [{ id: "c1", name: "김민수", carNumber: "12가 3456", note: "하부 세차" }];
  shop.server.store(ring("s", "010-5555-1234", 86_400_000, { state: CallState.COMPLETED, customers, note: "뒷좌석 얼룩", reservation }));
  shop.server.store(ring("other", "010-7777-1234", 86_400_000, { state: CallState.COMPLETED }));
  const page = await shop.pad({}, FIRST);
  const search = page.getByLabel("번호, 이름, 차량, 메모 찾기");
  for (const typed of ["010-5555-1234", "010 5555 1234", "０１０５５５５１２３４", "5555", "김민수", "12가 3456", "얼룩", "광택 박서준"]) {
    await search.fill(typed);
    await page.locator('#found [data-call="s"]', { hasText: "김민수" }).waitFor();
    assert.equal(await page.locator("#found .call").count(), 1, typed);
    await search.fill("없는 사람");
    await page.getByText("찾는 전화가 없습니다").waitFor();
  }
  await search.fill("5");
  await page.locator("#recent").waitFor();
  assert.deepEqual(shop.server.actions.searches.slice(0, 5), ["010-5555-1234", "없는 사람", "01055551234", "없는 사람", "01055551234"]);
});

/** Presses Tab until the element has the focus; fails after one round of the page. */
async function tabTo(page: Page, wanted: Locator): Promise<void> {
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press("Tab");
    if (await wanted.evaluate((node) => node === document.activeElement)) return;
  }
  throw new Error(`not reached: ${wanted}`);
}

test("from ring to done with the keyboard alone, in reading order", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 1_000, known), 60_000);
  await popup(page, "a").waitFor();
  const button = (name: string) => popup(page, "a").getByRole("button", { name, exact: true });
  await tabTo(page, button("숨기기"));
  await tabTo(page, button("내가 응대"));
  await page.keyboard.press("Enter");
  await held(page, "a", "me");
  // From the card, where the pressed button was.
  const reached: string[] = [];
  for (const [label, typed] of [["이름", "김민수"], ["차량 번호", "12가 3456"], ["서비스", "실내 세차"], ["메모", "얼룩"]] as const) {
    await tabTo(page, field(page, "a", label));
    await page.keyboard.type(typed);
    reached.push(await field(page, "a", label).inputValue());
  }
  assert.deepEqual(reached, ["김민수", "12가 3456", "실내 세차", "얼룩"]);
  await tabTo(page, button("저장"));
  await page.keyboard.press("Space");
  await popup(page, "a").getByText("저장했습니다").waitFor();
  await tabTo(page, button("응대 취소"));
  await tabTo(page, button("완료"));
  await page.keyboard.press("Enter");
  await popup(page, "a").waitFor({ state: "detached" });
  await until("all three", () => shop.server.actions.sent.length === 3);
  assert.deepEqual(shop.server.actions.sent.map(({ method }) => method), ["ClaimCall", "SaveNote", "CloseCall"]);
});

test("the time of ringing, and then of the conversation, is updated every second", async () => {
  const page = await shop.pad({}, FIRST);
  shop.server.update(ring("a", "010-1234-5678", 65_000), 60_000);
  await runs(page, 65);
  await tap(page, "a", "내가 응대");
  await held(page, "a", "me");
  assert.match(await popup(page, "a").locator(".popup-time").innerText(), /^0:\d\d$/);
  await runs(page, 0);
});

/** Waits until the time on the card has changed three times; it must begin at `from` seconds or more. */
async function runs(page: Page, from: number): Promise<void> {
  for (let [step, last] = [0, from - 1]; step < 3; step += 1) {
    const seconds = await page.waitForFunction((shown) => {
      const [minutes, rest] = (document.querySelector(".popup-time")?.textContent ?? "").split(":").map(Number);
      const now = (minutes ?? NaN) * 60 + (rest ?? NaN);
      return now > shown ? { now } : undefined;
    }, last);
    last = (await seconds.jsonValue())?.now ?? NaN;
  }
}
