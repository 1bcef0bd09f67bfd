// An estimate of the server's time. Pads compare `pop_until` with it, and not with their own clock, which may be wrong by
// hours.
//
// Each message with a `server_time` is a sample of (server time − monotonic time). Delays in the network only make a
// sample smaller, so the largest of the last samples is the best one.
//
// On many machines the monotonic clock stops while they sleep. If the wall clock has advanced by more than the monotonic
// one since the last sample, the machine slept; if only by a little, somebody has set the clock. It may also have been
// set by hours, which looks like sleep until the next sample. So there are two values: the estimate, by which things are
// shown, and the earliest possible time, by which they are deleted.

const SAMPLES = 12;
/** Milliseconds. */
const SLEPT_AT_LEAST = 10_000;

/** An estimate of the server's clock. */
export class ServerTime {
  #samples: number[] = [];
  /** Wall clock minus monotonic clock at the last sample. */
  #ahead = 0;

  /** A message with the server's time `server` (ms since 1970) arrived when our clocks showed `monotonic` and `wall`. */
  sample(server: number, monotonic: number, wall: number): void {
    this.#samples.push(server - monotonic);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#ahead = wall - monotonic;
  }

  /** The earliest possible server's time at `monotonic`: by the samples only, and independent of the wall clock. */
  atLeast(monotonic: number): number | undefined {
    return this.#samples.length === 0 ? undefined : monotonic + Math.max(...this.#samples);
  }

  /** The estimated server's time when our clocks show `monotonic` and `wall`, ms since 1970; undefined before the first sample. */
  at(monotonic: number, wall: number): number | undefined {
    const atLeast = this.atLeast(monotonic);
    if (atLeast === undefined) return undefined;
    const slept = wall - monotonic - this.#ahead;
    return atLeast + (slept >= SLEPT_AT_LEAST ? slept : 0);
  }
}
