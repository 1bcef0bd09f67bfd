// `ringpad dev` in Chromium, as in the README: open the printed pages, run the printed command, see the popup.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, afterEach, before, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { BufferingProxy } from "./buffering_proxy.ts";
import { launch, openPage, screenshot, until, type PageMessages } from "./chromium.ts";
import { DevServer } from "./dev_server.ts";

/** The number of the demo store that the printed command does not ring. */
const OTHER_NUMBER = "0507-2345-6789";
/** Milliseconds from the held-back request on; 5 s of it are the wait for the first message. */
const FALLS_BACK_WITHIN = 8_000;

let browser: Browser;
let dev: DevServer;
let messages: PageMessages[] = [];

before(async () => {
  [browser, dev] = await Promise.all([launch(), DevServer.start()]);
});
after(async () => {
  await browser?.close();
  assert.equal(await dev?.stop(), 0, "ringpad dev exits with 0");
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
  for (const { list } of messages) assert.deepEqual(list, []);
  messages = [];
});

async function pad(url: string): Promise<Page> {
  const opened = await openPage(browser);
  messages.push(opened.messages);
  await opened.page.goto(url);
  return opened.page;
}

async function connected(page: Page, transport: "grpc-web" | "websocket"): Promise<void> {
  await page.locator(`#connection[data-state="connected"][data-transport="${transport}"]`).waitFor();
}

/** Runs the printed command; gives the call's id. */
function ring(curl = dev.curl): string {
  const answer = JSON.parse(execFileSync("sh", ["-c", `${curl} --silent --show-error`]).toString()) as {
    call_id: string;
    status: string;
  };
  assert.equal(answer.status, "accepted");
  return answer.call_id;
}

const popup = (page: Page, id: string) => page.locator(`.popup[data-call="${id}"]`);
const popups = (page: Page) =>
  page.locator(".popup").evaluateAll((all) => all.map((node) => node.getAttribute("data-call")));

/** The demo stores: the one that the command rings, and the other. */
function stores(): { called: string[]; other: string[] } {
  const names = [...new Set(dev.pads.map(({ store }) => store))];
  const [called, other] = [dev.pagesOf(names[0] ?? ""), dev.pagesOf(names[1] ?? "")];
  assert.deepEqual([names.length, called.length, other.length], [2, 2, 2], JSON.stringify(names));
  return { called, other };
}

test("the printed command pops up on both replicas' pages of its store, and on no other store's", async () => {
  const { called, other } = stores();
  const pages = await Promise.all([...called, ...other].map(pad));
  for (const page of pages) await connected(page, "grpc-web");
  const [first, second, ...others] = pages as [Page, Page, ...Page[]];

  const call = ring();
  for (const page of [first, second]) {
    await popup(page, call).waitFor();
    const text = await popup(page, call).innerText();
    assert.match(text, /전화가 왔습니다/);
    assert.match(text, /010-\d{4}-\d{4}/);
    assert.match(text, /처음 전화한 손님/);
    assert.match(text, /0507-1234-5678/);
  }
  await screenshot(first, "dev-replica-1");
  await screenshot(second, "dev-replica-2");

  // The next call shows that the first one never came to them.
  const sentinel = ring(dev.curl.replace(/vn=[\d-]+/, `vn=${OTHER_NUMBER}`));
  for (const page of others) {
    await popup(page, sentinel).waitFor();
    assert.deepEqual(await popups(page), [sentinel]);
    assert.equal(await page.locator(`[data-call="${call}"]`).count(), 0);
  }
  await screenshot(others[0] as Page, "dev-other-store");

  const next = ring();
  for (const page of [first, second]) {
    await popup(page, next).waitFor();
    // The one that rings longest stays where it is.
    assert.deepEqual(await popups(page), [call, next]);
    assert.equal(await page.locator(`[data-call="${sentinel}"]`).count(), 0);
  }
  await screenshot(first, "dev-two-rings");
});

test("a page that is loaded later, or again, lists earlier calls", async () => {
  const call = ring();
  const page = await pad(stores().called[0] ?? "");
  await connected(page, "grpc-web");
  await page.locator(`#recent [data-call="${call}"]`).waitFor();
  await page.reload();
  await connected(page, "grpc-web");
  await page.locator(`#recent [data-call="${call}"]`).waitFor();
});

test("behind a proxy that holds streams back, the page falls back to WebSocket, and stays with it", async () => {
  const url = new URL(stores().called[0] ?? "");
  const proxy = new BufferingProxy(url.origin);
  const address = await proxy.listen();
  try {
    const page = await pad(`${address}/${url.hash}`);
    await until("a stream held back", () => proxy.swallowed > 0);
    const connection = page.locator('#connection[data-state="connected"][data-transport="websocket"]');
    await connection.waitFor({ timeout: FALLS_BACK_WITHIN });
    const call = ring();
    await popup(page, call).waitFor();
    await page.reload();
    await connected(page, "websocket");
    assert.equal(proxy.swallowed, 1);
    await page.locator(`#recent [data-call="${call}"]`).waitFor();
  } finally {
    await proxy.close();
  }
});
