// A shop for the page's tests: a fake server, fresh for each test, and pads that open its page.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach } from "node:test";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Browser, Locator, Page } from "playwright-core";
import { CallerKind, CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { launch, openPage, until, type PageMessages } from "./chromium.ts";
import { FakeServer, ring } from "./fake_server.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** Longer than any test lets a paused page's clock run. */
const LONG_HEARTBEAT = 10 * MINUTE;

type ContextOptions = Parameters<Browser["newContext"]>[0];

/** What a test file works with. */
export class Shop {
  browser!: Browser;
  server!: FakeServer;
  url!: string;
  #messages: PageMessages[] = [];

  /** Starts before, and cleans up after, each test of the file. */
  constructor() {
    before(async () => void (this.browser = await launch()));
    after(() => this.browser.close());
    beforeEach(() => this.serve(new FakeServer()));
    afterEach(async () => {
      for (const context of this.browser.contexts()) await context.close();
      await this.server.close();
      const said = this.#messages.flatMap(({ list }) => list);
      this.#messages = [];
      assert.deepEqual(said, []);
    });
  }

  async serve(server: FakeServer): Promise<void> {
    this.server = server;
    this.url = await server.listen();
  }

  /** A pad's page; `prepare` changes what it will find. */
  async open(options: ContextOptions = {}, token = "a.b.c", prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
    const opened = await openPage(this.browser, options);
    this.#messages.push(opened.messages);
    await prepare?.(opened.page);
    await opened.page.goto(`${this.url}/#token=${token}`);
    return opened.page;
  }

  /** A pad's page, connected. */
  async pad(options: ContextOptions = {}, token = "a.b.c", prepare?: (page: Page) => Promise<unknown>): Promise<Page> {
    const page = await this.open(options, token, prepare);
    await connected(page);
    return page;
  }

  /** Waits until the only page has read the day's figures and older missed calls, which it does some time after a snapshot. */
  async hasAsked(): Promise<void> {
    await until("the page's questions", () => this.server.actions.questions >= 2);
  }

  /** An ordinary day so far. */
  storeADay(): void {
    const past = (ago: number) => timestampFromMs(Date.now() - ago);
    const talked = (ago: number, seconds: number) => ({
      state: CallState.COMPLETED,
      answeredAt: past(ago - 8_000),
      endedAt: past(ago - 8_000 - seconds * 1000),
    });
    const missed = { state: CallState.MISSED };
    const withheld = { caller: { display: "발신번호 표시제한", kind: CallerKind.WITHHELD } };
    this.server.store(ring("d1", "010-2345-6789", 12 * MINUTE, talked(12 * MINUTE, 83)));
    this.server.store(ring("d2", "010-8765-4321", 47 * MINUTE, { ...missed, history: { calls: 4 } }));
    this.server.store(ring("d3", "02-555-0134", 75 * MINUTE, talked(75 * MINUTE, 41)));
    this.server.store(ring("d4", "", 2 * 60 * MINUTE, { ...missed, ...withheld }));
    this.server.store(ring("d5", "010-3141-5926", 3 * 60 * MINUTE));
    this.server.store(ring("d6", "010-9999-0000", DAY, talked(DAY, 190)));
    this.server.store(ring("d7", "031-555-0199", DAY + 30 * MINUTE, missed));
    this.server.store(ring("d8", "010-1357-2468", 4 * DAY, talked(4 * DAY, 65)));
  }
}

/** A caller with a history. */
export const known = {
  history: {
    calls: 2,
    lastCallAt: timestampFromMs(Date.now() - 3 * DAY),
    lastNote: "흰색 카니발 · 실내 세차까지, 주말 오전 선호",
    lastReservation: { customerName: "김민수", carNumber: "12가 3456", service: "실내 세차", at: timestampFromMs(Date.now() + DAY) },
  },
  memo: "네이버 예약 문의",
};

/** A customer of the adopter's records, with a history. */
export const regular = {
  ...known,
  customers: [{ id: "c1", name: "김민수", carNumber: "12가 3456", note: "하부 세차 꼭 확인" }],
};

export async function connected(page: Page): Promise<void> {
  await page.locator('#connection[data-state="connected"]').waitFor();
}

export const popup = (page: Page, id: string): Locator => page.locator(`.popup[data-call="${id}"]`);

/** Waits until all elements accept taps: nothing has appeared or moved for half a second. */
export async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => document.querySelector("[data-settling]") === null);
}

/** A pad whose clock runs only in `page.clock.runFor`, with sound on. */
export async function pausedPad(shop: Shop, token: string, options: ContextOptions = {}): Promise<Page> {
  // The page's clock is faster or slower than that of the server, which sends the heartbeats. With a short interval the page
  // may regard the stream as dead during `runFor`, and then never reconnect, because the clock with its back-off is paused.
  shop.server.heartbeatInterval = LONG_HEARTBEAT;
  const page = await shop.pad(options, token, (it) => it.clock.install());
  await withoutSoundBanner(page);
  await settled(page);
  // On a slow machine this moment may be over when the page is paused: then again.
  await until("the pause", async () => {
    const soon = (await page.evaluate(() => Date.now())) + 300;
    return page.clock.pauseAt(soon).then(() => true, () => false);
  });
  await connected(page);
  return page;
}

/** Where to tap it. */
export async function middleOf(node: Locator): Promise<[number, number]> {
  await node.scrollIntoViewIfNeeded();
  const box = (await node.boundingBox()) ?? assert.fail("not shown");
  return [box.x + box.width / 2, box.y + box.height / 2];
}

export async function withoutSoundBanner(page: Page): Promise<void> {
  await page.locator("h1").click();
  await page.locator("#unlock").waitFor({ state: "hidden" });
}

/** What {@link listen} records in the page. */
interface Heard {
  /** Notes that were played. */
  notes: number;
  /** Nodes that are connected to the loudspeaker now. */
  playing: Set<AudioNode>;
}

/** To be run before the page's scripts: records the sound that it plays. */
export function listen(): void {
  const heard: Heard = { notes: 0, playing: new Set() };
  Object.assign(globalThis, { heard });
  const { start } = OscillatorNode.prototype;
  OscillatorNode.prototype.start = function (...when) {
    if (this.context.state === "running") heard.notes += 1;
    return start.apply(this, when);
  };
  const { connect, disconnect } = AudioNode.prototype as { connect(to: AudioNode): AudioNode; disconnect(): void };
  Object.assign(AudioNode.prototype, {
    connect(this: AudioNode, to: AudioNode) {
      if (to === this.context.destination) heard.playing.add(this);
      return connect.call(this, to);
    },
    disconnect(this: AudioNode) {
      heard.playing.delete(this);
      disconnect.call(this);
    },
  });
}

/** Waits until the page, with {@link listen}, is audible or silent. */
export async function sounds(page: Page, wanted: "audible" | "silent"): Promise<void> {
  await page.waitForFunction((audible) => {
    const { notes, playing } = (globalThis as unknown as { heard: Heard }).heard;
    return audible ? notes > 0 && playing.size > 0 : playing.size === 0;
  }, wanted === "audible");
}
