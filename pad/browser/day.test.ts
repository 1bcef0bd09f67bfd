// A pad stays open for months: a day's calls leave no more behind than the lists hold.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CDPSession } from "playwright-core";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { ring } from "./fake_server.ts";
import { connected, popup, Shop } from "./shop.ts";

const shop = new Shop();
const DAY = 500;
const MIB = 1024 * 1024;
/** Makes a call weigh something: a day's are 4 MiB. */
const MEMO = 8 * 1024;
/** What 500 more calls may leave: far below what they would weigh if nothing were let go. */
const HEAP_GROWTH = 1 * MIB;
const NODE_GROWTH = 500;

async function weight(session: CDPSession): Promise<{ heap: number; nodes: number }> {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  // Text that came over the network lies outside the heap itself.
  const { usedSize, backingStorageSize } = await session.send("Runtime.getHeapUsage");
  const nodes = metrics.find(({ name }) => name === "Nodes")?.value ?? NaN;
  return { heap: usedSize + backingStorageSize, nodes };
}

test("a day's 500 calls, twice: the second day weighs nothing", async () => {
  const page = await shop.pad();
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const weights = [];
  for (const day of [1, 2]) {
    for (let i = 0; i < DAY; i += 1) {
      const id = `day${day}-${i}`;
      shop.server.update(ring(id, `010-1234-${String(i).padStart(4, "0")}`, 1_000), 30_000);
      if (i % 10 === 0) await popup(page, id).waitFor();
      shop.server.update({ id, state: CallState.COMPLETED, closed: true, memo: id.padEnd(MEMO, ".") });
    }
    await page.locator(`#recent [data-call="day${day}-${DAY - 1}"]`).waitFor();
    await page.locator(".popup").first().waitFor({ state: "detached" });
    await connected(page);
    weights.push(await weight(session));
  }
  const [first, second] = weights;
  assert.ok(first && second);
  console.log(`heap ${(first.heap / MIB).toFixed(2)} → ${(second.heap / MIB).toFixed(2)} MiB, nodes ${first.nodes} → ${second.nodes}`);
  assert.ok(second.heap - first.heap < HEAP_GROWTH, `heap grew by ${second.heap - first.heap} bytes`);
  assert.ok(second.nodes - first.nodes < NODE_GROWTH, `${second.nodes - first.nodes} more nodes`);
});
