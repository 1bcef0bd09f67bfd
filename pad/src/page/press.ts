// Whether somebody is pressing on the screen: until the tap is over, nothing on it may move, or the finger comes down on
// one button and leaves from another. Pure: time is an argument (ms, monotonic).

/** A finger that stays longer rests there, and whoever does so must still see what comes. */
const LONGEST_PRESS = 3_000;
/** A tap's click comes that soon after the finger has left the screen, or not at all: it was no tap. */
const CLICK_COMES = 350;

/** The pointers on the screen. */
export class Press {
  /** When each of them came down. */
  readonly #down = new Map<number, number>();
  /** When the last one left; undefined once its click has come. */
  #lifted: number | undefined;

  down(pointer: number, now: number): void {
    this.#down.set(pointer, now);
  }

  /** The pointer has left the screen; its click is still to come. */
  up(pointer: number, now: number): void {
    if (this.#down.delete(pointer)) this.#lifted = now;
  }

  /** The browser took it for a scroll: no click comes. */
  cancel(pointer: number): void {
    this.#down.delete(pointer);
  }

  /** The tap has done what it does. */
  clicked(): void {
    this.#lifted = undefined;
  }

  /** For how many ms nothing may move at the most; 0 when nobody presses. */
  heldFor(now: number): number {
    const ends = [...this.#down.values()].map((since) => since + LONGEST_PRESS);
    if (this.#lifted !== undefined) ends.push(this.#lifted + CLICK_COMES);
    return Math.max(0, ...ends.map((end) => end - now));
  }
}
