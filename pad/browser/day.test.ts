// A pad stays open for months: after a day's calls over the real services it keeps only what the lists show.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { CDPSession, Page } from "playwright-core";
import { Floor } from "./floor.ts";
import { connected, popup } from "./shop.ts";

const floor = new Floor();
const DAY = 500;
const MIB = 1024 * 1024;
/** Makes calls large: those of a day are 4 MiB. */
const MEMO = 8 * 1024;
/** Memory that 500 more calls may add: far less than if all of them were kept. */
const HEAP_GROWTH = 1 * MIB;
const NODE_GROWTH = 500;

interface Weight {
  heap: number;
  nodes: number;
}

/** What is left when nothing more is freed: closed cards are kept for some seconds. */
async function weight(session: CDPSession): Promise<Weight> {
  let least = await collected(session);
  for (let unchanged = 0, looks = 0; unchanged < 6 && looks < 60; looks += 1) {
    await sleep(1_000);
    const now = await collected(session);
    unchanged = now.nodes < least.nodes ? 0 : unchanged + 1;
    if (now.nodes <= least.nodes) least = now;
  }
  return least;
}

async function collected(session: CDPSession): Promise<Weight> {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  // Text that came over the network lies outside the heap itself.
  const { usedSize, backingStorageSize } = await session.send("Runtime.getHeapUsage");
  const nodes = metrics.find(({ name }) => name === "Nodes")?.value ?? NaN;
  return { heap: usedSize + backingStorageSize, nodes };
}

/** Dismisses popups instead of waiting until they are removed. */
async function dismissAll(page: Page): Promise<void> {
  await page.evaluate(() => document.querySelectorAll<HTMLElement>(".popup-dismiss").forEach((button) => button.click()));
}

test("500 calls on each of two days: the second day adds nothing", async () => {
  const page = await floor.pad("1번 카운터");
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const weights = [];
  for (const day of [1, 2]) {
    for (let i = 0; i < DAY; i += 1) {
      const memo = `${day}-${i}-`.padEnd(MEMO, ".");
      const call = await floor.store.ring(`010-1234-${String(i).padStart(4, "0")}`, { memo });
      if (i % 10 === 9) await popup(page, call.id).waitFor();
      await call.answered();
      if (i % 10 === 9) await dismissAll(page);
      if (i === DAY - 1) await page.locator(`#recent [data-call="${call.id}"]`).waitFor();
    }
    await dismissAll(page);
    await page.locator("#quiet").waitFor();
    await connected(page);
    weights.push(await weight(session));
  }
  const [first, second] = weights;
  assert.ok(first && second);
  console.log(`heap ${(first.heap / MIB).toFixed(2)} → ${(second.heap / MIB).toFixed(2)} MiB, nodes ${first.nodes} → ${second.nodes}`);
  assert.ok(second.heap - first.heap < HEAP_GROWTH, `heap grew by ${second.heap - first.heap} bytes`);
  assert.ok(second.nodes - first.nodes < NODE_GROWTH, `${second.nodes - first.nodes} more nodes`);
});
