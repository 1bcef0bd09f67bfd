// A control that has just appeared or moved accepts no tap for half a second: a user who taps within that time meant what
// was there before. Pure: time is an argument (ms, monotonic).

/** Milliseconds that a user needs to see the change. */
const SETTLES = 500;
/** Pixels; a smaller move does not matter to a tap. */
const UNNOTICED = 4;

/** Where a control is on the screen. */
export interface Place {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The controls that appeared or moved less than half a second ago. */
export class Settling<Key> {
  readonly #until = new Map<Key, number>();

  /** The screen was painted: where the controls were before, and where they are now. */
  painted(before: ReadonlyMap<Key, Place>, after: ReadonlyMap<Key, Place>, now: number): void {
    for (const [key, place] of after) {
      const last = before.get(key);
      if (!last || moved(last, place)) this.#until.set(key, now + SETTLES);
    }
    for (const key of this.#until.keys()) if (!after.has(key)) this.#until.delete(key);
  }

  /** The controls that accept no tap. */
  at(now: number): Set<Key> {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key);
    return new Set(this.#until.keys());
  }

  /** In how many ms the next of them accepts taps again; undefined when all do. */
  next(now: number): number | undefined {
    return this.#until.size > 0 ? Math.max(0, Math.min(...this.#until.values()) - now) : undefined;
  }
}

function moved(from: Place, to: Place): boolean {
  const sides = ["left", "top", "right", "bottom"] as const;
  return sides.some((side) => Math.abs(from[side] - to[side]) > UNNOTICED);
}
