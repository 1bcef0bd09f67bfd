// Shared by tests on the real services: one testbed and one browser for each file, and pads on a chosen replica.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { messagesOf, launch, openPage, until, type PageMessages } from "./chromium.ts";
import { connected, popup } from "./shop.ts";
import { Testbed, type RealStore } from "./testbed.ts";

/** nginx uses the replicas one after the other: how often a page is opened until its stream is on the chosen one. */
const ATTEMPTS = 18;

/** The environment of a test file on the real services; everything starts before its first test. */
export class Floor {
  browser!: Browser;
  testbed!: Testbed;
  /** The running test's own store. */
  store!: RealStore;
  /** Messages that pages may show in the running test, in addition to the usual ones. */
  expected: RegExp | undefined;
  #messages: PageMessages[] = [];
  #stores = 0;

  constructor(settings: () => Record<string, string> | Promise<Record<string, string>> = () => ({})) {
    before(async () => void (this.browser = await launch()));
    before(async () => void (this.testbed = await Testbed.start(await settings())));
    after(async () => {
      await this.browser?.close();
      await this.testbed?.stop();
    });
    beforeEach(async () => {
      this.store = await this.testbed.store(`store-${(this.#stores += 1)}`);
    });
    afterEach(async () => {
      for (const context of this.browser.contexts()) await context.close();
      // The next test counts pads.
      await until("all pads are gone", async () => (await this.testbed.pads()).every((count) => !count));
      const said = this.#messages.flatMap(({ list }) => list.filter((line) => !this.expected?.test(line)));
      [this.#messages, this.expected] = [[], undefined];
      assert.deepEqual(said, []);
    });
  }

  /** A pad's page, not yet connected; by default straight to nginx, with a token for an hour. */
  async open(name: string, { url = this.testbed.url, token = "" } = {}): Promise<Page> {
    const { page, messages } = await openPage(this.browser);
    this.#messages.push(messages);
    await page.addInitScript(watchPopups);
    await page.goto(`${url}/#token=${token || (await this.store.token(name, name))}`);
    return page;
  }

  /** A pad's page, connected. */
  async pad(name: string, options: { url?: string; token?: string } = {}): Promise<Page> {
    const page = await this.open(name, options);
    await connected(page);
    return page;
  }

  /** Another tab of the same tablet. */
  async tab(context: BrowserContext, token: string): Promise<Page> {
    const page = await context.newPage();
    this.#messages.push(messagesOf(page));
    await page.goto(`${this.testbed.url}/#token=${token}`);
    await connected(page);
    return page;
  }

  /** A pad whose stream is on `replica`; opened again until it is. */
  async padOn(replica: number, name: string, open = () => this.pad(name)): Promise<Page> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await this.testbed.pads();
      const page = await open();
      const serves = await this.#newPadOf(before);
      if (serves === replica) return page;
      await page.close();
      await until("the pad is gone", async () => same(await this.testbed.pads(), before));
      // If a page makes a multiple of three requests, it stays on one replica; one more request changes that.
      if (attempt % 6 < 3) await fetch(`${this.testbed.url}/livez`);
    }
    throw new Error(`no stream of ${name} came to replica ${replica} in ${ATTEMPTS} attempts`);
  }

  /** Which replica has one pad more than it had. */
  async #newPadOf(before: (number | null)[]): Promise<number> {
    let found = -1;
    await until("the new pad is counted", async () => {
      const now = await this.testbed.pads();
      found = now.findIndex((count, replica) => count === (before[replica] ?? 0) + 1);
      return found >= 0;
    });
    return found;
  }
}

const same = (one: (number | null)[], other: (number | null)[]) => one.every((count, replica) => count === other[replica]);

/** In the page: counts how often each call's popup appeared, and records which were removed. */
function watchPopups(): void {
  const shown: Record<string, number> = {};
  const gone: string[] = [];
  Object.assign(globalThis, { watched: { shown, gone } });
  document.addEventListener("DOMContentLoaded", () => {
    const id = (node: Node) => (node instanceof HTMLElement ? node.dataset["call"] : undefined);
    const known = new WeakSet<Node>();
    const observer = new MutationObserver((changes) => {
      for (const node of changes.flatMap(({ addedNodes, removedNodes }) => [...addedNodes, ...removedNodes])) {
        const call = id(node);
        if (!call) continue;
        // A popup that is only moved is removed and added again.
        if (!known.has(node)) shown[call] = (shown[call] ?? 0) + 1;
        known.add(node);
        if (!node.isConnected) gone.push(call);
      }
    });
    // Cards on the stage, and lines in the strip over it.
    for (const container of ["popups", "strip"]) {
      observer.observe(document.getElementById(container) as HTMLElement, { childList: true });
    }
  });
}

/** How often a call's popup appeared on this page since it was loaded, and whether it was ever removed. */
export async function sightings(page: Page, call: string): Promise<{ shown: number; gone: boolean }> {
  return page.evaluate((id) => {
    const { shown, gone } = (globalThis as unknown as { watched: { shown: Record<string, number>; gone: string[] } }).watched;
    return { shown: shown[id] ?? 0, gone: gone.includes(id) };
  }, call);
}

/** A button of a call's popup. */
export const tap = (page: Page, id: string, name: string): Promise<void> =>
  popup(page, id).getByRole("button", { name, exact: true }).click();

/** Waits until this page shows the holder of the call: `me`, `other` or `nobody`. */
export const held = (page: Page, id: string, holder: string): Promise<void> =>
  page.locator(`.popup[data-call="${id}"][data-holder="${holder}"]`).waitFor();

/** Waits until the popup is in this phase. */
export const inPhase = (page: Page, id: string, phase: string): Promise<void> =>
  page.locator(`.popup[data-call="${id}"][data-phase="${phase}"]`).waitFor();

/** Waits until this page rings, or is silent, by its title. */
export const ringing = (page: Page): Promise<unknown> => page.waitForFunction(() => document.title.startsWith("☎"));
export const silent = (page: Page): Promise<unknown> => page.waitForFunction(() => !document.title.startsWith("☎"));

/** A field of a call's reservation form. */
export const field = (page: Page, id: string, label: string): Locator => popup(page, id).getByLabel(label, { exact: true });

/** What the connection's state changes to from now on. */
export async function watchStates(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const states: string[] = [];
    Object.assign(globalThis, { states });
    const chip = document.getElementById("connection") as HTMLElement;
    let last = chip.dataset["state"];
    new MutationObserver(() => {
      const { state } = chip.dataset;
      if (state !== undefined && state !== last) states.push(state);
      last = state;
    }).observe(chip, { attributes: true, attributeFilter: ["data-state"] });
  });
  return () => page.evaluate(() => (globalThis as unknown as { states: string[] }).states);
}
