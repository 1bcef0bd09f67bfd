// `npm run icons`: the installed page's icons, drawn from src/page/icon.svg by Chromium. Only when the drawing changes:
// the pictures are committed, since another Chromium may draw them differently.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const page = join(fileURLToPath(new URL("..", import.meta.url)), "src/page");
const svg = await readFile(join(page, "icon.svg"), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  for (const [name, size, drawing] of [
    ["icon-192.png", 192, svg],
    ["icon-512.png", 512, svg],
    // Launchers cut it to their own shape: no corners of ours, and all that matters within the middle 80 %.
    ["icon-maskable.png", 512, svg.replace('viewBox="0 0 64 64"', 'viewBox="-6 -6 76 76"').replace('<rect width="64" height="64" rx="15"', '<rect x="-6" y="-6" width="76" height="76"')],
  ]) {
    const tab = await browser.newPage({ viewport: { width: size, height: size } });
    await tab.setContent(`<style>body{margin:0}svg{display:block;width:100vw;height:100vh}</style>${drawing}`);
    await writeFile(join(page, name), await tab.screenshot({ omitBackground: true }));
  }
} finally {
  await browser.close();
}
