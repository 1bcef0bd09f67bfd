// Updates the screen, but never during a tap: while a pointer is down, the update waits; and a control that has moved
// accepts no tap for half a second. Keys and screen readers use no pointer, and never wait.

import { DrawQueue } from "./draw_queue.ts";
import { places } from "./places.ts";
import { Press } from "./press.ts";
import { Settling, type Place } from "./settling.ts";

/** What is painted. */
export interface Painting {
  /** Sound does not wait: a ring is heard also while a pointer is down. */
  sound(): void;
  screen(): void;
}

/** Paints. */
export class Painter {
  readonly #painting: Painting;
  readonly #press = new Press();
  readonly #settling = new Settling<Element>();
  readonly #queue = new DrawQueue(() => this.paint());
  /** Where each visible control was when the page was last painted, scrolled or resized. */
  #stood: ReadonlyMap<Element, Place> = new Map();
  /** How far the page was scrolled then, and how wide it was. */
  #view = view();
  /** An update waits until the tap is over. */
  #waits = false;
  /** Paints the update that waits. */
  #held: ReturnType<typeof setTimeout> | undefined;
  /** Lets the controls that moved accept taps again. */
  #settles: ReturnType<typeof setTimeout> | undefined;

  constructor(painting: Painting) {
    this.#painting = painting;
    const on = (type: "pointerdown" | "pointerup" | "pointercancel", react: (pointer: number) => void) =>
      addEventListener(type, ({ pointerId }) => react(pointerId), { capture: true });
    on("pointerdown", (pointer) => this.#press.down(pointer, performance.now()));
    on("pointerup", (pointer) => {
      this.#press.up(pointer, performance.now());
      this.#wait();
    });
    on("pointercancel", (pointer) => {
      this.#press.cancel(pointer);
      this.#wait();
    });
    // In the capture phase, so before any button's own listener: the result of a tap is painted immediately.
    addEventListener("click", () => this.#clicked(), { capture: true });
    // A user who scrolls sees the controls move, so they accept taps immediately.
    addEventListener("scroll", () => this.#measure(), { capture: true, passive: true });
  }

  /** Paints once for all the messages of a burst. */
  ask(): void {
    this.#queue.ask();
  }

  /** Paints immediately, or, while a pointer is down, when the tap is over. */
  paint(): void {
    this.#painting.sound();
    this.#waits = this.#press.heldFor(performance.now()) > 0;
    if (this.#waits) return this.#wait();
    clearTimeout(this.#held);
    // Nobody taps on a hidden page, so no control has to settle.
    if (document.hidden) return this.#painting.screen();
    const before = places();
    this.#painting.screen();
    this.#settle(before);
  }

  /** The browser may have moved the controls, e.g. because a keyboard was opened. */
  resized(): void {
    if (this.#userScrolls()) this.#measure();
    else this.#settle(this.#stood);
    this.ask();
  }

  /**
   * The user has scrolled, and the page has had no scroll event yet: browsers report the resize of a frame before its scroll,
   * and resize the page during a scroll, because their bars disappear. A page at its end may have been scrolled by the browser,
   * which had to fill a larger view.
   */
  #userScrolls(): boolean {
    const { scrolled, width } = view();
    const { scrollHeight } = document.documentElement;
    return scrolled !== this.#view.scrolled && width === this.#view.width && scrolled + innerHeight < scrollHeight - 1;
  }

  #clicked(): void {
    this.#press.clicked();
    if (this.#waits) this.ask();
  }

  /** If an update waits: plans it for the end of the press. */
  #wait(): void {
    if (!this.#waits) return;
    clearTimeout(this.#held);
    this.#held = setTimeout(() => this.paint(), this.#press.heldFor(performance.now()));
  }

  #settle(before: ReadonlyMap<Element, Place>): void {
    this.#measure();
    this.#settling.painted(before, this.#stood, performance.now());
    this.#mark();
  }

  #measure(): void {
    this.#stood = places();
    this.#view = view();
  }

  #mark(): void {
    const now = performance.now();
    const settling = this.#settling.at(now);
    for (const node of document.querySelectorAll("[data-settling]")) {
      if (!settling.has(node)) node.removeAttribute("data-settling");
    }
    for (const node of settling) node.setAttribute("data-settling", "");
    clearTimeout(this.#settles);
    const next = this.#settling.next(now);
    if (next !== undefined) this.#settles = setTimeout(() => this.#mark(), next);
  }
}

function view(): { scrolled: number; width: number } {
  return { scrolled: scrollY, width: innerWidth };
}
