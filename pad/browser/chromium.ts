// Debian's Chromium, and where its screenshots go: never into the repository.

import { chromium, type Browser, type Page } from "playwright-core";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SCREENS = process.env["SCREENSHOT_DIR"] ?? join(tmpdir(), "ringpad-screens");

/** Upper bound for every wait, in milliseconds. */
export const SOON = 30_000;

/** Waits for a condition in the test's process. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + SOON;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${SOON} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A tablet in landscape. */
export const TABLET = { width: 1280, height: 800 };

export async function launch(): Promise<Browser> {
  const executablePath = process.env["CHROMIUM_BIN"] ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ARGS });
}

/** Unwanted messages of a page: errors, refused resources, requests to other hosts. */
export interface PageMessages {
  readonly list: string[];
}

/** A new page with the settings of a shop in Korea. */
export async function openPage(
  browser: Browser,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<{ page: Page; messages: PageMessages }> {
  const context = await browser.newContext({
    locale: "ko-KR",
    timezoneId: "Asia/Seoul",
    viewport: TABLET,
    // Only the tests of the service worker have one.
    serviceWorkers: "block",
    ...options,
  });
  const page = await context.newPage();
  return { page, messages: messagesOf(page) };
}

/** Collects the page's messages from now on. */
export function messagesOf(page: Page): PageMessages {
  page.setDefaultTimeout(SOON);
  const list: string[] = [];
  page.on("pageerror", (error) => list.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // Chromium reports each broken connection, and tests break connections.
    const broken = /net::ERR_|WebSocket connection to/.test(message.text());
    if (message.type() === "error" && !broken) list.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { hostname } = new URL(request.url());
    if (hostname !== "127.0.0.1") list.push(`request to ${hostname}`);
  });
  return { list };
}

export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENS, { recursive: true });
  await page.screenshot({ path: join(SCREENS, `${name}.png`), animations: "disabled" });
}
