// How long a ring takes from its number provider to the screen: over 200 calls, from the moment the request is sent to
// nginx (the provider's clock and the page's are one machine's) to the frame after the one that painted the popup.
//
// It prints, and asserts only that each call was painted. `make bench ONLY=painted` runs it on the release build.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { Floor } from "./floor.ts";

const floor = new Floor();
const RINGS = 200;

/** Marks each popup when it has been painted. */
async function watchPaints(page: Page): Promise<void> {
  await page.evaluate(() => {
    new MutationObserver((changes) => {
      for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes])) {
        if (!(node instanceof HTMLElement) || !node.dataset["call"]) continue;
        const { call } = node.dataset;
        // The frame that paints it, and then the task after that frame.
        requestAnimationFrame(() => setTimeout(() => performance.mark(`painted ${call}`)));
      }
    }).observe(document.getElementById("popups") as HTMLElement, { childList: true });
  });
}

test("200 rings from their provider's request to the screen", async () => {
  const page = await floor.pad("1번 카운터");
  await watchPaints(page);
  const took: number[] = [];
  for (let i = 0; i < RINGS; i += 1) {
    const sent = Date.now();
    const { id } = await floor.store.ring(`010-1234-${String(i).padStart(4, "0")}`);
    await page.waitForFunction((name) => performance.getEntriesByName(name).length > 0, `painted ${id}`);
    const painted = await page.evaluate((name) => {
      const [mark] = performance.getEntriesByName(name);
      document.querySelector<HTMLElement>(".popup-dismiss")?.click();
      return performance.timeOrigin + (mark?.startTime ?? NaN);
    }, `painted ${id}`);
    took.push(painted - sent);
  }
  // Each card was hidden before the next ring, so that all were painted alike.
  await page.locator("#quiet").waitFor();
  took.sort((a, b) => a - b);
  assert.equal(took.filter(Number.isFinite).length, RINGS);
  const at = (share: number) => took[Math.ceil(share * RINGS) - 1]?.toFixed(1);
  console.log(`ring to painted, ${RINGS} rings: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, most ${at(1)} ms`);
});
