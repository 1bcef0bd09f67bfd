// Checks of a page in any state: nothing is cut off, everything is large enough to touch, nothing serious for axe.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { screenshot } from "./chromium.ts";

const AXE = readFileSync("node_modules/axe-core/axe.min.js", "utf8");

interface AxeResults {
  violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
}

/** What axe finds that is serious or worse. */
export async function accessible(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(
    () => (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run(),
  );
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 120)} ${failureSummary}`).join("; ")}`);
  assert.deepEqual(serious, []);
}

/** Elements that are outside of the page, cut off, or too small for a finger, and numbers that are broken over lines. */
async function fits(page: Page): Promise<void> {
  assert.deepEqual(await page.evaluate(cutOff), []);
  const layout = await page.evaluate(() => ({
    scrolls: document.documentElement.scrollWidth > innerWidth,
    small: [...document.querySelectorAll("button, a, input, textarea")]
      .filter((node) => node.checkVisibility())
      .map((node) => ({ node: node.outerHTML.slice(0, 60), ...node.getBoundingClientRect().toJSON() }))
      .filter(({ width, height }) => width < 44 || height < 44),
    wrapped: [...document.querySelectorAll(".popup-number")].filter(
      (node) => node.getBoundingClientRect().height > parseFloat(getComputedStyle(node).fontSize) * 1.5,
    ).length,
  }));
  assert.deepEqual(layout, { scrolls: false, small: [], wrapped: 0 });
}

/** In the page: texts that are cut off without scrolling. Ellipses are allowed. */
function cutOff(): string[] {
  const cut: string[] = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const parent = node.parentElement;
    if (!parent?.checkVisibility() || node.textContent?.trim() === "" || parent.closest(".unseen, noscript")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const lines = [...range.getClientRects()];
    // A line's box is higher than its letters.
    const half = parseFloat(getComputedStyle(parent).fontSize) * 0.4;
    const middles = lines.map(({ top, bottom }) => (top + bottom) / 2);
    let box = {
      left: Math.min(...lines.map(({ left }) => left)),
      right: Math.max(...lines.map(({ right }) => right)),
      top: Math.min(...middles) - half,
      bottom: Math.max(...middles) + half,
    };
    for (let clip: Element | null = parent; clip; clip = clip.parentElement) {
      const { overflowX, overflowY, textOverflow, clipPath, position, webkitLineClamp } = getComputedStyle(clip);
      if (clipPath !== "none") break;
      // So are a few lines, of which there is more on request.
      if (webkitLineClamp !== "none") {
        box = clip.getBoundingClientRect();
        continue;
      }
      const edge = clip.getBoundingClientRect();
      const sideways = ["hidden", "clip"].includes(overflowX) && textOverflow !== "ellipsis" && (box.left < edge.left - 1 || box.right > edge.right + 1);
      const down = ["hidden", "clip"].includes(overflowY) && (box.top < edge.top - 1 || box.bottom > edge.bottom + 1);
      if (sideways || down) cut.push(`${node.textContent} by ${clip.tagName}.${clip.className}`);
      if (sideways || down || position === "fixed") break;
      if (["auto", "scroll"].includes(overflowX) || ["auto", "scroll"].includes(overflowY) || textOverflow === "ellipsis") box = edge;
    }
  }
  return cut;
}

/** Saves a screenshot for people, and runs the automatic checks. */
export async function looksRight(page: Page, name: string): Promise<void> {
  await screenshot(page, name);
  await fits(page);
  await accessible(page);
}
