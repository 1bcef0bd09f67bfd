// What has just come or moved takes no tap: whoever taps within half a second has aimed at what was there before. Pure:
// time is an argument (ms, monotonic).

/** How long it takes to see what is there now, and to aim anew. */
const SETTLES = 500;
/** Pixels that no finger notices. */
const UNNOTICED = 4;

/** Where something stands on the screen; undefined when it is not shown. */
export interface Place {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** What came or moved less than half a second ago. */
export class Settling<Key> {
  readonly #until = new Map<Key, number>();

  /** The screen was painted: where things stood before, and where they stand now. */
  painted(before: ReadonlyMap<Key, Place>, after: ReadonlyMap<Key, Place>, now: number): void {
    for (const [key, place] of after) {
      const last = before.get(key);
      if (!last || moved(last, place)) this.#until.set(key, now + SETTLES);
    }
    for (const key of this.#until.keys()) if (!after.has(key)) this.#until.delete(key);
  }

  /** What takes no tap. */
  at(now: number): Set<Key> {
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key);
    return new Set(this.#until.keys());
  }

  /** In how many ms the next of them takes taps again; undefined when all do. */
  next(now: number): number | undefined {
    return this.#until.size > 0 ? Math.max(0, Math.min(...this.#until.values()) - now) : undefined;
  }
}

function moved(from: Place, to: Place): boolean {
  const sides = ["left", "top", "right", "bottom"] as const;
  return sides.some((side) => Math.abs(from[side] - to[side]) > UNNOTICED);
}
