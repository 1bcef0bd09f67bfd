// The server's time, estimated: pads compare `pop_until` with this and never with their own clock, which may be
// wrong by hours.
//
// Each message with a `server_time` is a sample of (server time − monotonic time). What delays a message on its way
// only makes its sample smaller, so the largest of the last samples is the nearest to the truth.
//
// Many machines' monotonic clock stands still while they sleep. What the machine's own clock has moved on more since the
// last sample was sleep, unless it is little: then somebody has set that clock.

const SAMPLES = 12;
/** Milliseconds. */
const SLEPT_AT_LEAST = 10_000;

/** An estimate of the server's clock. */
export class ServerTime {
  #samples: number[] = [];
  /** Wall clock less monotonic at the last sample. */
  #ahead = 0;

  /** A message said that it was `server` (ms since 1970) at the sender, and arrived at `monotonic`, which was `wall`. */
  sample(server: number, monotonic: number, wall: number): void {
    this.#samples.push(server - monotonic);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#ahead = wall - monotonic;
  }

  /** The server's time at `monotonic`, which is `wall`, ms since 1970; undefined before the first sample. */
  at(monotonic: number, wall: number): number | undefined {
    if (this.#samples.length === 0) return undefined;
    const slept = wall - monotonic - this.#ahead;
    return monotonic + Math.max(...this.#samples) + (slept >= SLEPT_AT_LEAST ? slept : 0);
  }
}
