// The visible part of the page: an on-screen keyboard covers the lower part, and some browsers then scroll the page instead
// of making it smaller. The values are CSS variables.

import { setData } from "./dom.ts";

/** Pixels by which a browser's own bars change the height. */
const BARS = 120;
/** Pixels; below this height there is room for little more than the form. */
const LOW = 560;

/** The visible part of the page. */
export class Viewport {
  /** `resized` is called when the browser may have moved everything, `scrolled` when it shows another part. */
  constructor({ resized, scrolled }: { resized(): void; scrolled(): void }) {
    visualViewport?.addEventListener("resize", resized);
    visualViewport?.addEventListener("scroll", scrolled);
  }

  /** Sets the CSS variables. */
  show(): void {
    const { style } = document.documentElement;
    const { height = innerHeight, offsetTop = 0, scale = 1 } = visualViewport ?? {};
    // The user has enlarged a part of the page: keep that.
    const covered = scale === 1 && innerHeight - height > BARS;
    set(style, "--seen-top", covered ? `${Math.round(offsetTop)}px` : "");
    set(style, "--seen-height", covered ? `${Math.round(height)}px` : "");
    setData(document.documentElement, "room", height < LOW && scale === 1 ? "low" : "enough");
  }
}

function set(style: CSSStyleDeclaration, name: string, value: string): void {
  if (style.getPropertyValue(name) !== value) style.setProperty(name, value);
}
