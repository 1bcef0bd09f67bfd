// Reads a QR code as a camera does: from the pixels that the page shows.

import assert from "node:assert/strict";
import jsQR from "jsqr";
import type { Locator } from "playwright-core";

/** What the shown code says. */
export async function qrContent(code: Locator): Promise<string> {
  await code.scrollIntoViewIfNeeded();
  const png = (await code.screenshot()).toString("base64");
  // Chromium decodes its own screenshot, so that no other decoder of images is needed.
  const { pixels, width, height } = await code.page().evaluate(async (base64) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
    const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
    if (!canvas) throw new Error("no canvas");
    canvas.drawImage(image, 0, 0);
    const { data } = canvas.getImageData(0, 0, image.width, image.height);
    return { pixels: [...data], width: image.width, height: image.height };
  }, png);
  const read = jsQR(Uint8ClampedArray.from(pixels), width, height, { inversionAttempts: "dontInvert" });
  return read?.data ?? assert.fail(`no QR code in ${width} × ${height} pixels`);
}
