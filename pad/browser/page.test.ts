// The page alone, against a fake server: what it shows in each state, and that it looks right (screenshots are for
// people to open).

import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { openPage, screenshot, until } from "./chromium.ts";
import { FakeServer, ring } from "./fake_server.ts";
import { connected, known, popup, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();

test("without a ring: store, connection and lists; the token is removed from the address immediately", async () => {
  shop.storeADay();
  const page = await shop.open();
  await connected(page);
  assert.equal(await page.locator("#store").textContent(), "반짝 손세차 강남점");
  assert.equal((await page.locator("#connection").textContent())?.trim(), "연결됨");
  assert.equal(page.url(), `${shop.url}/`);
  assert.equal(shop.server.requests[0]?.token, "a.b.c");
  assert.equal(await page.locator("#missed-count").textContent(), "3");
  assert.match((await page.locator('#recent [data-call="d1"]').textContent()) ?? "", /010-2345-6789.*1분 23초/);
  assert.match((await page.locator('#recent [data-call="d5"]').textContent()) ?? "", /통화 여부 확인 안 됨/);
  assert.equal(await page.locator('#missed [data-call="d2"] a').getAttribute("href"), "tel:+821087654321");
  assert.equal(await page.locator('#missed [data-call="d4"] a').isVisible(), false);
  await page.locator("#unlock").waitFor();
  await screenshot(page, "quiet-sound-blocked");
  await withoutSoundBanner(page);
  await shop.hasAsked();
  await screenshot(page, "quiet");
});

test("the first touch anywhere turns sound on; then the switch works, and its state is stored", async () => {
  const page = await shop.open();
  await connected(page);
  const sound = page.locator("#sound");
  assert.equal((await sound.innerText()).trim(), "소리 꺼짐");
  await sound.click();
  await page.locator("#unlock").waitFor({ state: "hidden" });
  await page.locator('#sound[aria-pressed="true"]').waitFor();
  await sound.click();
  await page.locator('#sound[aria-pressed="false"]').waitFor();
  await page.reload();
  await connected(page);
  assert.equal(await sound.getAttribute("aria-pressed"), "false");
  assert.equal(await page.locator("#unlock").isVisible(), false);
});

test("a reload keeps the token", async () => {
  const page = await shop.open();
  await connected(page);
  await page.reload();
  await connected(page);
  assert.equal(shop.server.requests.at(-1)?.token, "a.b.c");
});

test("one ring, from ringing to its end", async () => {
  shop.storeADay();
  const page = await shop.open();
  await connected(page);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 7_500, known), 22_500);
  await popup(page, "a").waitFor();
  const text = (await popup(page, "a").innerText()).replaceAll(/\s+/g, " ");
  for (const part of ["전화가 왔습니다", "010-1234-5678", "3번째 전화", "지난 통화", "흰색 카니발", "0507-1234-5678", "네이버 예약 문의"]) {
    assert.ok(text.includes(part), `${part} in ${text}`);
  }
  assert.match(text, /\b0:(0[5-9]|[1-5]\d)\b/);
  assert.match((await page.locator("#announce").textContent()) ?? "", /010-1234-5678/);
  assert.match(await page.title(), /010-1234-5678/);
  await screenshot(page, "one-ring");
  shop.server.update({ id: "a", state: CallState.ANSWERED, answeredAt: timestampFromMs(Date.now()) });
  await page.locator('.popup[data-phase="answered"]').waitFor();
  await screenshot(page, "one-answered");
  shop.server.update({ id: "a", state: CallState.COMPLETED, endedAt: timestampFromMs(Date.now() + 83_000) });
  await page.locator('.popup[data-phase="ended"]').waitFor();
  await popup(page, "a").getByRole("button", { name: "숨기기" }).click();
  await page.locator("#quiet").waitFor();
  assert.equal(await page.locator("#recent .call").first().getAttribute("data-call"), "a");
});

test("with three rings, what is typed into one of them survives the others", async () => {
  shop.storeADay();
  const page = await shop.open();
  await connected(page);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 21_000, known), 9_000);
  await popup(page, "a").waitFor();
  await popup(page, "a").getByRole("button", { name: "내가 응대" }).click();
  const car = popup(page, "a").getByLabel("차량 번호");
  await car.click();
  await page.keyboard.type("12가 ");
  const withheld = { caller: { display: "발신번호 표시제한", kind: CallerKind.WITHHELD } };
  shop.server.update(ring("b", "", 9_000, withheld), 21_000);
  await popup(page, "b").waitFor();
  shop.server.update(ring("c", "0507-1234-5678", 1_000), 29_000);
  await popup(page, "c").waitFor();
  await page.keyboard.type("3456");
  assert.equal(await car.inputValue(), "12가 3456");
  const order = await page.locator(".popup").evaluateAll((all) => all.map((node) => node.getAttribute("data-call")));
  assert.deepEqual(order, ["b", "c", "a"]);
  await screenshot(page, "three-rings-while-writing");
  shop.server.update({ id: "b", state: CallState.MISSED, endedAt: timestampFromMs(Date.now()) });
  await page.locator('.popup[data-phase="missed"]').waitFor();
  await screenshot(page, "three-mixed");
});

test("the day in a line: more calls than a snapshot has, then updates; nothing while the page is cut off", async () => {
  const missed = { state: CallState.MISSED };
  for (let i = 0; i < 600; i += 1) shop.server.store(ring(`t${i}`, "010-2345-6789", 0, missed));
  shop.server.store(ring("old", "010-2345-6789", 86_400_000, missed));
  shop.server.snapshotHas = 100;
  const page = await shop.open();
  const day = page.locator("#day");
  await day.getByText("오늘 전화 600 · 받음 0 · 부재중 600 · 예약 잡은 전화 0", { exact: true }).waitFor();
  shop.server.update(ring("a", "010-1234-5678", 0), 30_000);
  await popup(page, "a").waitFor();
  assert.equal(await day.isVisible(), false);
  shop.server.update({ id: "a", state: CallState.COMPLETED, reservation: { carNumber: "12가 3456", service: "손세차" } });
  await popup(page, "a").getByRole("button", { name: "숨기기" }).click();
  await day.getByText("오늘 전화 601 · 받음 1 · 부재중 600 · 예약 잡은 전화 1", { exact: true }).waitFor();
  shop.server.away = true;
  shop.server.cut();
  await day.waitFor({ state: "hidden" });
  shop.server.away = false;
  await day.getByText("오늘 전화 601", { exact: false }).waitFor();
});

test("a ring whose end is not reported stops ringing, and is shown as unknown", async () => {
  const page = await shop.open();
  await connected(page);
  shop.server.update(ring("a", "010-1234-5678", 1_000), 1_500);
  await page.locator('.popup[data-phase="ringing"]').waitFor();
  await page.locator('.popup[data-phase="unknown"]').waitFor();
  assert.match(await popup(page, "a").innerText(), /통화 여부 확인 안 됨/);
  assert.equal(await page.title(), "반짝 손세차 강남점");
});

for (const hours of [3, -3]) {
  test(`a tablet whose clock is ${hours} h off: popups and times follow the server's time`, async () => {
    const page = await shop.pad({}, "a.b.c", (it) => it.addInitScript(shiftClock, hours * 3_600_000));
    assert.ok(Math.abs((await page.evaluate(() => Date.now())) - Date.now() - hours * 3_600_000) < 60_000);
    const until = Date.now() + 4_000;
    shop.server.update(ring("a", "010-1234-5678", 1_000), 4_000);
    await page.locator('.popup[data-phase="ringing"]').waitFor();
    assert.match(await page.title(), /☎/);
    assert.match(await popup(page, "a").locator(".popup-time").innerText(), /^0:0\d$/);
    await page.locator('.popup[data-phase="unknown"]').waitFor();
    assert.ok(Date.now() >= until, `${until - Date.now()} ms early`);
    assert.equal(await page.title(), "반짝 손세차 강남점");
  });
}

for (const hours of [5, -5]) {
  test(`a tablet whose clock is set ${hours} h off while the phone rings: a ring continues, and the next calls pop up`, async () => {
    const page = await shop.pad();
    shop.server.update(ring("a", "010-1234-5678", 0), 30_000);
    await popup(page, "a").waitFor();
    await page.evaluate(shiftClock, hours * 3_600_000);
    shop.server.update(ring("b", "010-7777-8888", 0), 30_000);
    for (const id of ["a", "b"]) await page.locator(`.popup[data-call="${id}"][data-phase="ringing"]`).waitFor();
    assert.match(await page.title(), /☎/);
  });
}

/** In the page: a clock that somebody has set wrong. */
function shiftClock(by: number): void {
  const Right = Date;
  class Wrong extends Right {
    constructor(...parts: unknown[]) {
      super(...((parts.length > 0 ? parts : [Right.now() + by]) as []));
    }
    static override now(): number {
      return Right.now() + by;
    }
  }
  globalThis.Date = Wrong as DateConstructor;
}

test("a lost connection is shown and replaced, and calls from that time are shown once", async () => {
  shop.storeADay();
  const page = await shop.open();
  await connected(page);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 1_000, known), 30_000);
  await popup(page, "a").waitFor();
  shop.server.away = true;
  shop.server.cut();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await page.locator("#advice").waitFor();
  assert.match((await page.locator("#advice").textContent()) ?? "", /다시 연결/);
  await screenshot(page, "reconnecting");
  shop.server.update(ring("b", "010-7777-8888", 1_000), 30_000);
  shop.server.away = false;
  await connected(page);
  await popup(page, "b").waitFor();
  assert.equal(await page.locator(".popup").count(), 2);
  assert.equal(shop.server.requests.at(-1)?.request.afterPosition, 1n);
  await page.locator("#advice").waitFor({ state: "hidden" });
});

test("a missing token and a refused one are explained", async () => {
  const { page } = await openPage(shop.browser);
  await page.goto(`${shop.url}/`);
  await page.locator('#connection[data-state="needs-token"]').waitFor();
  assert.equal(shop.server.requests.length, 0);
  // Without a snapshot the lists are hidden.
  assert.equal(await page.locator("#lists").isVisible(), false);
  assert.match(await page.locator("#quiet").innerText(), /태블릿 등록이 필요합니다/);
  await screenshot(page, "needs-token");
  shop.server.refuseWith = 16;
  await page.evaluate(() => void (location.hash = "token=a.b.expired"));
  await page.waitForFunction(() => location.hash === "");
  await until("a request with the new token", () => shop.server.requests.length > 0);
  await page.locator('#connection[data-state="needs-token"]').waitFor();
  shop.server.refuseWith = undefined;
  await page.evaluate(() => void (location.hash = "token=a.b.good"));
  await connected(page);
  assert.equal(shop.server.requests.at(-1)?.token, "a.b.good");
});

test("a refused token is followed by one from the token URL", async () => {
  await shop.server.close();
  await shop.serve(new FakeServer("/next-token"));
  shop.server.refuseWith = 16;
  const page = await shop.open();
  await until("a second request", () => shop.server.requests.length >= 2);
  assert.deepEqual(shop.server.requests.slice(0, 2).map(({ token }) => token), ["a.b.c", "a.b.fresh"]);
  shop.server.refuseWith = undefined;
  await page.reload();
  await connected(page);
});

/** A token as the server would have signed it, valid until then. */
const validUntil = (seconds: number) => `a.${Buffer.from(JSON.stringify({ sub: "p1", exp: seconds })).toString("base64url")}.c`;

for (const [what, token, words] of [
  ["no token", "", /등록이 필요합니다/],
  ["an expired token", validUntil(1_700_000_000), /등록 기간이 끝났습니다/],
  ["a wrong token", "a.b.c", /등록 정보가 맞지 않습니다/],
] as const) {
  test(`${what}: the whole screen says that this tablet shows no calls, why, and what to do; no clock`, async () => {
    shop.server.refuseWith = 16;
    const page = await shop.open({}, token);
    const message = page.locator("#advice");
    await message.getByText("지금 이 태블릿에는 전화가 표시되지 않습니다").waitFor();
    assert.match(await message.innerText(), words);
    assert.match(await message.innerText(), /접속 링크/);
    const covered = await page.evaluate(() =>
      [[0.1, 0.3], [0.5, 0.5], [0.9, 0.95]].every(([x = 0, y = 0]) =>
        document.elementFromPoint(innerWidth * x, innerHeight * y)?.closest("#advice") !== null));
    assert.ok(covered);
    await page.getByRole("button", { name: "English" }).click();
    await message.getByText("This tablet shows no calls now").waitFor();
    shop.server.refuseWith = undefined;
    await page.evaluate(() => void (location.hash = "token=a.b.good"));
    await connected(page);
    await message.waitFor({ state: "hidden" });
    assert.equal(await page.locator("#main").evaluate((node: HTMLElement) => node.inert), false);
  });
}

test("an unknown store is shown in words", async () => {
  shop.server.refuseWith = 5;
  const page = await shop.open();
  await page.locator('#connection[data-state="no-store"]').waitFor();
  assert.match((await page.locator("#advice").textContent()) ?? "", /매장/);
});
