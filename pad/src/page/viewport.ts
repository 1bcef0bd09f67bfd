// What of the page can be seen: an on-screen keyboard covers its lower part, and some browsers then show another part of
// it instead of making the page smaller. Styles use what stands here.

import { setData } from "./dom.ts";

/** Pixels by which a browser's own bars come and go. */
const BARS = 120;
/** Below that there is room for the form, and for little else. */
const LOW = 560;

/** The part of the page that can be seen. */
export class Viewport {
  /** `resized` is told when the browser may have moved everything, `scrolled` when it shows another part. */
  constructor({ resized, scrolled }: { resized(): void; scrolled(): void }) {
    visualViewport?.addEventListener("resize", resized);
    visualViewport?.addEventListener("scroll", scrolled);
  }

  /** Tells the styles. */
  show(): void {
    const { style } = document.documentElement;
    const { height = innerHeight, offsetTop = 0, scale = 1 } = visualViewport ?? {};
    // Whoever enlarges a part of the page sees what they chose.
    const covered = scale === 1 && innerHeight - height > BARS;
    set(style, "--seen-top", covered ? `${Math.round(offsetTop)}px` : "");
    set(style, "--seen-height", covered ? `${Math.round(height)}px` : "");
    setData(document.documentElement, "room", height < LOW && scale === 1 ? "low" : "enough");
  }
}

function set(style: CSSStyleDeclaration, name: string, value: string): void {
  if (style.getPropertyValue(name) !== value) style.setProperty(name, value);
}
