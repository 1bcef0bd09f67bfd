// Brings the screen up to date, but never under a finger: while somebody presses, what would move waits; and what has
// moved takes no tap for half a second. Keys and screen readers press no pointer, and are never made to wait.

import { DrawQueue } from "./draw_queue.ts";
import { places } from "./places.ts";
import { Press } from "./press.ts";
import { Settling, type Place } from "./settling.ts";

/** What is painted. */
export interface Painting {
  /** What nobody sees does not wait: a ring is heard also while somebody presses. */
  sound(): void;
  screen(): void;
}

/** Paints. */
export class Painter {
  readonly #painting: Painting;
  readonly #press = new Press();
  readonly #settling = new Settling<Element>();
  readonly #queue = new DrawQueue(() => this.paint());
  /** Where everything stood when the browser last showed it, as far as somebody saw it. */
  #stood: ReadonlyMap<Element, Place> = new Map();
  /** How far the page was scrolled then, and how wide it was. */
  #view = view();
  /** Something waits for the finger to leave. */
  #waits = false;
  /** Paints it. */
  #held: ReturnType<typeof setTimeout> | undefined;
  /** Lets what has settled take taps again. */
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
    // Before any button hears of it: what a tap does shows at once.
    addEventListener("click", () => this.#clicked(), { capture: true });
    // Whoever scrolls sees where things go.
    addEventListener("scroll", () => this.#measure(), { capture: true, passive: true });
  }

  /** Paints once for all the messages of a burst. */
  ask(): void {
    this.#queue.ask();
  }

  /** Paints at once, unless somebody presses: then when the tap is over. */
  paint(): void {
    this.#painting.sound();
    this.#waits = this.#press.heldFor(performance.now()) > 0;
    if (this.#waits) return this.#wait();
    clearTimeout(this.#held);
    // Where nobody looks nobody aims.
    if (document.hidden) return this.#painting.screen();
    const before = places();
    this.#painting.screen();
    this.#settle(before);
  }

  /** The browser may have moved what is on the screen, e.g. since a keyboard came. */
  resized(): void {
    if (this.#userScrolls()) this.#measure();
    else this.#settle(this.#stood);
    this.ask();
  }

  /**
   * The user has scrolled, and the page has not heard of it yet: browsers report the resize of a frame before its scroll,
   * and resize the page during a scroll, since their bars leave. A page at its end may have been scrolled by the browser,
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

  /** Where something waits: for the end of the press, as that now stands. */
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
