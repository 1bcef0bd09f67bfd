// The server's time, estimated: pads compare `pop_until` with this and never with their own clock, which may be
// wrong by hours.
//
// Each message with a `server_time` is a sample of (server time − monotonic time). What delays a message on its way
// only makes its sample smaller, so the largest of the last samples is the nearest to the truth.
//
// Many machines' monotonic clock stands still while they sleep. What the machine's own clock has moved on more since the
// last sample was sleep, unless it is little: then somebody has set that clock. Somebody may have set it by hours as well,
// which looks like sleep until the next sample. So there are two answers: what the time is, as far as can be told, by which
// things are shown; and what it is at least, by which they are forgotten.

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

  /** The server's time at `monotonic` at the earliest, however the machine's own clock was set: by the samples alone. */
  atLeast(monotonic: number): number | undefined {
    return this.#samples.length === 0 ? undefined : monotonic + Math.max(...this.#samples);
  }

  /** The server's time at `monotonic`, which is `wall`, ms since 1970; undefined before the first sample. */
  at(monotonic: number, wall: number): number | undefined {
    const atLeast = this.atLeast(monotonic);
    if (atLeast === undefined) return undefined;
    const slept = wall - monotonic - this.#ahead;
    return atLeast + (slept >= SLEPT_AT_LEAST ? slept : 0);
  }
}
