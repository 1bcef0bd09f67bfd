// A shop's day on the real services: RabbitMQ, three replicas behind nginx, a pad on each, and a number provider.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import type { Page } from "playwright-core";
import type { ActionError } from "../src/client/action_error.ts";
import { Actions } from "../src/client/actions.ts";
import { browserClock } from "../src/client/clock.ts";
import { Tokens } from "../src/client/tokens.ts";
import { PadService } from "../src/gen/ringpad/v1/pad_pb.ts";
import { screenshot, until } from "./chromium.ts";
import { field, Floor, held, inPhase, ringing, sightings, silent, tap, watchStates } from "./floor.ts";
import { connected, popup, settled } from "./shop.ts";
import type { RealCall } from "./testbed.ts";

const floor = new Floor();

test("three pads on three replicas: ring, claim, release, note, hang-up", async () => {
  const pads: Page[] = [];
  for (const replica of [0, 1, 2]) pads.push(await floor.padOn(replica, `${replica + 1}번 카운터`));
  const [first, second, third] = pads as [Page, Page, Page];

  const call = await floor.store.ring("010-1234-5678");
  for (const page of pads) await ringing(page);
  await tap(second, call.id, "내가 응대");
  await held(second, call.id, "me");
  for (const page of [first, third]) {
    await held(page, call.id, "other");
    assert.match(await popup(page, call.id).innerText(), /2번 카운터에서 응대 중/);
  }
  for (const page of pads) await silent(page);
  await screenshot(first, "floor-claimed-elsewhere");

  await tap(second, call.id, "응대 취소");
  for (const page of pads) await held(page, call.id, "nobody");
  for (const page of pads) await ringing(page);

  await tap(third, call.id, "내가 응대");
  await held(third, call.id, "me");
  await field(third, call.id, "이름").fill("김민수");
  await field(third, call.id, "차량 번호").fill("12가 3456");
  await field(third, call.id, "서비스").fill("실내 세차");
  await field(third, call.id, "날짜").fill("2030-05-04");
  await field(third, call.id, "시간").fill("10:30");
  await field(third, call.id, "메모").fill("흰색 카니발");
  await tap(third, call.id, "저장");
  for (const page of pads) {
    await page.locator(`#recent [data-call="${call.id}"]`, { hasText: "2030년 5월 4일 10:30 · 실내 세차 · 12가 3456 · 김민수" }).waitFor();
  }
  await call.answered();
  for (const page of pads) await inPhase(page, call.id, "ended");
  await tap(third, call.id, "완료");
  await popup(third, call.id).waitFor({ state: "detached" });
  for (const page of pads) assert.equal((await sightings(page, call.id)).shown, 1);

  // The next call of the same caller shows its history.
  const again = await floor.store.ring("010-1234-5678");
  for (const page of pads) {
    await popup(page, again.id).waitFor();
    const text = await popup(page, again.id).innerText();
    assert.match(text, /2번째 전화/);
    assert.match(text, /흰색 카니발/);
    assert.match(text, /예약 2030년 5월 4일 10:30 · 실내 세차 · 12가 3456 · 김민수/);
  }
  await screenshot(first, "floor-known-caller");
});

test("a missed call stops ringing everywhere, is listed, survives a reload, and is closed for all", async () => {
  const pads = [await floor.pad("1번 카운터"), await floor.pad("2번 카운터")] as const;
  const call = await floor.store.ring("02-555-0134");
  for (const page of pads) await ringing(page);
  await call.missed();
  for (const page of pads) {
    await silent(page);
    await inPhase(page, call.id, "missed");
  }
  const [first, second] = pads;
  await first.reload();
  await connected(first);
  const line = first.locator(`#missed [data-call="${call.id}"]`);
  assert.equal(await line.getByRole("link").getAttribute("href"), "tel:+8225550134");
  const gone = async () => {
    for (const page of pads) await page.locator(`#missed [data-call="${call.id}"]`).waitFor({ state: "detached" });
  };
  await line.getByRole("button", { name: "02-555-0134 완료" }).click();
  await gone();
  await first.getByRole("button", { name: "되돌리기" }).click();
  for (const page of pads) await page.locator(`#missed [data-call="${call.id}"]`).waitFor();
  await settled(first);
  await line.getByRole("button", { name: "02-555-0134 완료" }).click();
  await gone();
  assert.match((await second.locator(`#recent [data-call="${call.id}"]`).textContent()) ?? "", /부재중 · 완료/);
  await first.getByLabel("번호, 이름, 차량, 메모 찾기").fill("0134");
  await first.locator(`#found [data-call="${call.id}"]`).waitFor();
});

test("two rings while a form is half typed: nothing typed is lost, also with a reload", async () => {
  const page = await floor.pad("1번 카운터");
  const first = await floor.store.ring("010-1111-2222");
  await tap(page, first.id, "내가 응대");
  await field(page, first.id, "이름").click();
  await page.keyboard.type("김민");
  const second = await floor.store.ring("010-3333-4444");
  await popup(page, second.id).waitFor();
  await page.keyboard.type("수");
  const third = await floor.store.ring("");
  await popup(page, third.id).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.type("12가 3456");
  await screenshot(page, "floor-three-rings-while-writing");
  const typed = async () => [await field(page, first.id, "이름").inputValue(), await field(page, first.id, "차량 번호").inputValue()];
  assert.deepEqual(await typed(), ["김민수", "12가 3456"]);
  await page.reload();
  await connected(page);
  await popup(page, first.id).waitFor();
  assert.deepEqual(await typed(), ["김민수", "12가 3456"]);
  for (const { id } of [second, third]) await popup(page, id).waitFor();
});

test("no sound until the user touches the page, which shows that; then it is audible", async () => {
  const page = await floor.open("1번 카운터");
  await page.addInitScript(countNotes);
  await page.reload();
  await connected(page);
  const call = await floor.store.ring("010-1234-5678");
  await ringing(page);
  await page.locator("#unlock").waitFor();
  assert.equal(await page.evaluate(() => (globalThis as unknown as { notes: number }).notes), 0);
  await screenshot(page, "floor-sound-blocked");
  await page.locator("#unlock").click();
  await page.locator("#unlock").waitFor({ state: "hidden" });
  await page.waitForFunction(() => (globalThis as unknown as { notes: number }).notes > 0);
  await call.missed();
  await silent(page);
});

test("two tabs of one pad use the same replica, and a call that one of them claims belongs to both", async () => {
  const token = await floor.store.token("1번 카운터", "1번 카운터");
  const one = await floor.padOn(0, "1번 카운터", () => floor.pad("1번 카운터", { token }));
  const two = await floor.padOn(0, "1번 카운터", () => floor.tab(one.context(), token));
  const other = await floor.pad("2번 카운터");
  const call = await floor.store.ring("010-1234-5678");
  for (const page of [one, two, other]) await ringing(page);
  await tap(one, call.id, "내가 응대");
  for (const page of [one, two]) await held(page, call.id, "me");
  await held(other, call.id, "other");
  for (const page of [one, two, other]) await silent(page);
  // Neither tab has replaced the other.
  const next = await floor.store.ring("010-7777-8888");
  for (const page of [one, two]) {
    await popup(page, next.id).waitFor();
    assert.equal(await page.locator("#connection").getAttribute("data-state"), "connected");
  }
});

for (const pace of ["one_by_one", "a_second_apart", "all_at_once"] as const) {
  test(`a new version is rolled out, ${pace}: the pad stays connected, and shows each ring once`, async () => {
    // On a busy machine none of the three may be ready when the last one drains. Then the pad waits.
    if (pace === "a_second_apart") floor.expected = /the server responded with a status of 50[23]/;
    const page = await floor.padOn(0, "1번 카운터");
    const states = await watchStates(page);
    let rolling = true;
    const rolledOut = floor.testbed.rollOut(pace).finally(() => (rolling = false));
    const calls: RealCall[] = [];
    const ring = async () => {
      const call = await floor.store.ring(`010-3000-00${10 + calls.length}`);
      await popup(page, call.id).waitFor();
      calls.push(call);
    };
    while (rolling) {
      await ring();
      await Promise.race([rolledOut, sleep(1_000)]);
    }
    await rolledOut;
    await ring();
    for (const { id } of calls) assert.equal((await sightings(page, id)).shown, 1);
    assert.deepEqual(await states(), []);
  });
}

test("two pads claim at the same moment: one wins, the other shows its name", async () => {
  const pads = [await floor.pad("1번 카운터"), await floor.pad("2번 카운터")] as const;
  for (let round = 0; round < 5; round += 1) {
    const call = await floor.store.ring(`010-2000-000${round}`);
    for (const page of pads) await popup(page, call.id).waitFor();
    await Promise.all(pads.map((page) => popup(page, call.id).locator(".popup-claim").dispatchEvent("click")));
    const holders = () => Promise.all(pads.map((page) => popup(page, call.id).getAttribute("data-holder")));
    await until("one has it", async () => (await holders()).sort().join() === "me,other");
    for (const page of pads) await silent(page);
    await call.answered();
    for (const page of pads) await inPhase(page, call.id, "ended");
  }
});

test("the second claim gets the first pad's name from the real server's refusal", async () => {
  const call = await floor.store.ring("010-1234-5678");
  const first = await actionsOf("1번 카운터");
  const second = await actionsOf("2번 카운터");
  assert.equal((await first.claim(call.id)).claim?.padName, "1번 카운터");
  await assert.rejects(second.claim(call.id), ({ kind, claim }: ActionError) => kind === "claimed" && claim?.padName === "1번 카운터");
  await assert.rejects(second.claim(crypto.randomUUID()), ({ kind }: ActionError) => kind === "not-found");
});

/** A pad's actions without a page, over nginx. */
async function actionsOf(name: string): Promise<Actions> {
  const token = await floor.store.token(name, name);
  const client = createClient(PadService, createGrpcWebTransport({ baseUrl: floor.testbed.url, useBinaryFormat: true }));
  const tokens = new Tokens(() => Promise.resolve(token));
  return new Actions({ client, tokens, clock: browserClock, random: Math.random, serverNow: () => Date.now() });
}

/** In the page: counts the notes that are really played. */
function countNotes(): void {
  Object.assign(globalThis, { notes: 0 });
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (...when) {
    if (this.context.state === "running") (globalThis as unknown as { notes: number }).notes += 1;
    return start.apply(this, when);
  };
}
