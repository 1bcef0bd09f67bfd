// Pads of the real services whose path to them breaks: a replica that dies, a network that fails, a proxy that holds
// streams back, a token that ends.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { BrowserContext } from "playwright-core";
import { BackEnd } from "./back_end.ts";
import { BufferingProxy } from "./buffering_proxy.ts";
import { openPage, screenshot, until } from "./chromium.ts";
import { Floor, held, inPhase, ringing, sightings, silent, tap, watchStates } from "./floor.ts";
import { connected, popup } from "./shop.ts";

/** From the moment on at which the proxy holds a stream back; 5 s of it are the wait for the first message. */
const FALLS_BACK_WITHIN = 6_000;
const OFFLINE = 60_000;
/** 2.5 heartbeats of 5 s, after which a silent stream is dead; and a busy machine. */
const SAID_WITHIN = 15_000;
/** Seconds that a short token lasts. */
const SHORT = 20;

const backEnd = new BackEnd();
after(() => backEnd.close());
const floor = new Floor(async () => ({ PAD_TOKEN_URL: await backEnd.listen() }));

test("the replica of a pad is killed during a ring: the popup stays, later events come, and nothing twice", async () => {
  const pad = await floor.padOn(0, "1번 카운터");
  const other = await floor.padOn(1, "2번 카운터");
  const call = await floor.store.ring("010-1234-5678");
  await ringing(pad);
  await floor.testbed.kill(0);
  await pad.locator('#connection[data-state="reconnecting"]').waitFor();
  await tap(other, call.id, "내가 응대");
  await connected(pad);
  await held(pad, call.id, "other");
  await silent(pad);
  assert.deepEqual(await sightings(pad, call.id), { shown: 1, gone: false });
  await call.answered();
  await inPhase(pad, call.id, "ended");
  const next = await floor.store.ring("010-7777-8888");
  for (const page of [pad, other]) {
    await popup(page, next.id).waitFor();
    assert.equal((await sightings(page, call.id)).shown, 1);
    assert.equal((await sightings(page, next.id)).shown, 1);
    assert.equal(await page.locator(`#recent [data-call="${call.id}"]`).count(), 1);
  }
  await floor.testbed.revive(0);
});

test("behind a proxy that holds streams back, the pad falls back to WebSocket within 6 s, and its actions work", async () => {
  const proxy = new BufferingProxy(floor.testbed.url);
  const url = await proxy.listen();
  try {
    const pad = await floor.open("1번 카운터", { url });
    await until("a stream held back", () => proxy.swallowed > 0);
    await pad.locator('#connection[data-state="connected"][data-transport="websocket"]').waitFor({ timeout: FALLS_BACK_WITHIN });
    const other = await floor.pad("2번 카운터");
    const call = await floor.store.ring("010-1234-5678");
    for (const page of [pad, other]) await ringing(page);
    await tap(pad, call.id, "내가 응대");
    await held(pad, call.id, "me");
    await held(other, call.id, "other");
    await tap(pad, call.id, "응대 취소");
    await tap(other, call.id, "내가 응대");
    await held(other, call.id, "me");
    await held(pad, call.id, "other");
  } finally {
    await proxy.close();
  }
});

test("a minute without a network is shown within 15 s; afterwards the list is complete, and late calls do not ring", async () => {
  const way = await floor.testbed.link("1번 카운터");
  const pad = await floor.pad("1번 카운터", { url: way.url });
  const before = await floor.store.ring("010-1000-0001");
  await popup(pad, before.id).waitFor();
  await way.blackHole();
  await pad.context().setOffline(true);
  const until60 = Date.now() + OFFLINE;
  await pad.locator('#connection[data-state="reconnecting"]').waitFor({ timeout: SAID_WITHIN });
  await pad.locator("#advice").waitFor();
  await screenshot(pad, "floor-offline");
  await before.missed();
  const late = await floor.store.ring("010-1000-0002");
  await sleep(until60 - Date.now() - 10_000);
  const fresh = await floor.store.ring("010-1000-0003");
  await sleep(until60 - Date.now());
  await way.heal();
  await pad.context().setOffline(false);
  await connected(pad);
  await inPhase(pad, fresh.id, "ringing");
  await pad.locator(`#missed [data-call="${before.id}"]`).waitFor();
  for (const { id } of [before, late, fresh]) assert.equal(await pad.locator(`#recent [data-call="${id}"]`).count(), 1);
  assert.deepEqual([(await sightings(pad, late.id)).shown, (await sightings(pad, fresh.id)).shown], [0, 1]);
});

test("a token is renewed before it expires, without an interruption", async () => {
  const token = await floor.store.token("1번 카운터", "1번 카운터", SHORT);
  const ends = Date.now() + SHORT * 1_000;
  backEnd.asked = 0;
  backEnd.token = await floor.store.token("1번 카운터", "1번 카운터");
  const pad = await floor.tab(await loggedIn(), token);
  const states = await watchStates(pad);
  await until("the next token is fetched", () => backEnd.asked > 0);
  await sleep(ends + 2_000 - Date.now());
  const call = await floor.store.ring("010-1234-5678");
  await popup(pad, call.id).waitFor();
  await tap(pad, call.id, "내가 응대");
  await held(pad, call.id, "me");
  assert.deepEqual(await states(), []);
  assert.equal(backEnd.asked, 1);
});

test("a page that was opened without a link gets its token from the adopter's back end, by the cookie it has there", async () => {
  backEnd.token = await floor.store.token("1번 카운터", "1번 카운터");
  const page = await (await loggedIn()).newPage();
  await page.goto(floor.testbed.url);
  await connected(page);
  const call = await floor.store.ring("010-1234-5678");
  await popup(page, call.id).waitFor();
});

/** A browser that has the back end's cookie. */
async function loggedIn(): Promise<BrowserContext> {
  const { page } = await openPage(floor.browser);
  await backEnd.logIn(page.context());
  return page.context();
}
