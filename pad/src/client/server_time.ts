// The server's time, estimated: pads compare `pop_until` with this and never with their own clock, which may be
// wrong by hours.
//
// Each message with a `server_time` is a sample of (server time − monotonic time). What delays a message on its way
// only makes its sample smaller, so the largest of the last samples is the nearest to the truth.

const SAMPLES = 12;

/** An estimate of the server's clock. */
export class ServerTime {
  #samples: number[] = [];

  /** A message said that it was `server` (ms since 1970) at the sender, and arrived at `monotonic`. */
  sample(server: number, monotonic: number): void {
    this.#samples.push(server - monotonic);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** The server's time at `monotonic`, ms since 1970; undefined before the first sample. */
  at(monotonic: number): number | undefined {
    if (this.#samples.length === 0) return undefined;
    return monotonic + Math.max(...this.#samples);
  }
}
