// Whether a pointer is down: until the tap is over, no control may move, because otherwise the press and the
// release would be on different buttons. Pure: time is an argument (ms, monotonic).

/** Milliseconds; a finger that stays longer is no tap, and the screen is updated. */
const LONGEST_PRESS = 3_000;
/** Milliseconds in which a tap's click comes after the release; otherwise it was not a tap. */
const CLICK_COMES = 350;

/** The pointers on the screen. */
export class Press {
  /** When each of them was pressed. */
  readonly #down = new Map<number, number>();
  /** When the last one was released; undefined after its click. */
  #lifted: number | undefined;

  down(pointer: number, now: number): void {
    this.#down.set(pointer, now);
  }

  /** The pointer was released; its click may still come. */
  up(pointer: number, now: number): void {
    if (this.#down.delete(pointer)) this.#lifted = now;
  }

  /** The browser has recognised a scroll: no click comes. */
  cancel(pointer: number): void {
    this.#down.delete(pointer);
  }

  /** The tap's click has come. */
  clicked(): void {
    this.#lifted = undefined;
  }

  /** For how many ms no control may move, at most; 0 if no pointer is down. */
  heldFor(now: number): number {
    const ends = [...this.#down.values()].map((since) => since + LONGEST_PRESS);
    if (this.#lifted !== undefined) ends.push(this.#lifted + CLICK_COMES);
    return Math.max(0, ...ends.map((end) => end - now));
  }
}
