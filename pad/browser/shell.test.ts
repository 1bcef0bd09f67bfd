// The page opens without its server: the shell only, which says that it is not connected, and comes back by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { connected, popup, Shop } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");

/** In the page: the addresses of all that its origin keeps. */
async function kept(): Promise<string[]> {
  const all = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
  return all.flat().map(({ url }) => new URL(url).pathname).sort();
}

async function withWorker(): Promise<Page> {
  const page = await shop.pad({ serviceWorkers: "allow" }, FIRST);
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await until("the worker", () => page.evaluate(() => navigator.serviceWorker.controller !== null));
  return page;
}

test("a page that is loaded while the server is away says so, and shows calls as soon as it is back", async () => {
  shop.storeADay();
  const page = await withWorker();
  shop.server.away = true;
  shop.server.cut();
  await page.reload();
  await page.locator('#connection[data-state="reconnecting"]').waitFor();
  await page.locator("#advice").waitFor();
  assert.equal(await page.locator("#lists").isVisible(), false);
  await looksRight(page, "shell-away");
  shop.server.away = false;
  await connected(page);
  shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
  await popup(page, "a").waitFor();
});

for (const where of ["before the headers", "before the body"] as const) {
  test(`a page whose server hangs ${where} is made of the kept files`, async () => {
    shop.storeADay();
    const page = await withWorker();
    shop.server.filesHang = where;
    await page.reload();
    await connected(page);
    shop.server.update(ring("a", "010-1234-5678", 0), 60_000);
    await popup(page, "a").waitFor();
    shop.server.filesHang = undefined;
  });
}

test("only the page's own files are kept, and the server's newer ones are used", async () => {
  shop.storeADay();
  const page = await withWorker();
  await page.locator("#search").fill("5678");
  await page.locator("#found-box").waitFor();
  await page.reload();
  await connected(page);
  assert.deepEqual(await page.evaluate(kept), ["/", "/icon-192.png", "/icon.svg", "/manifest.webmanifest", "/pad.css", "/pad.js"]);
  shop.server.files.set("pad.css", Buffer.from("h1 { letter-spacing: 7px }"));
  await page.reload();
  assert.equal(await page.locator("h1").evaluate((node) => getComputedStyle(node).letterSpacing), "7px");
  shop.server.away = true;
  shop.server.cut();
  await page.reload();
  assert.equal(await page.locator("h1").evaluate((node) => getComputedStyle(node).letterSpacing), "7px");
});
