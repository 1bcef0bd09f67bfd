// Gets a new token before the current stream's token expires: the server ends a stream when its token expires, and the page
// would show an interruption. Asks the token source in time; its owner then opens the next stream. If that fails, the
// current stream continues until its token expires.

import { backoff } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { expiryOf, type Tokens } from "./tokens.ts";

/** Milliseconds before the expiry. Timers in hidden tabs may be a minute late. */
const LEAD = 60_000;
/** Up to as much more, at random, so that pads whose tokens were signed at the same time do not ask at the same time. */
const LEAD_JITTER = 60_000;
/** Milliseconds; with less time left the token is not renewed. */
const TOO_SHORT = 10_000;
/** Milliseconds after which the server's time is checked again; browsers' timers overflow after 24 days. */
const LOOK_AGAIN = 3_600_000;

/** What {@link Renewal} needs. */
export interface RenewalParts {
  tokens: Tokens;
  clock: Clock;
  random: () => number;
  /**
   * The earliest possible server's time, ms since 1970; tokens expire by the server's time. Not the estimate: if it is hours
   * ahead, the source gives the same token again, and would not be asked in time later.
   */
  serverAtLeast: () => number | undefined;
  /** There is a token that expires later than the current one. */
  onToken: () => void;
}

/** Renews the token of one stream at a time. */
export class Renewal {
  readonly #parts: RenewalParts;
  #timer: Timer | undefined;
  /** Counts streams, so that an answer that arrives late is ignored. */
  #generation = 0;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
  }

  /** A stream with `token` is the current one now. */
  follow(token: string): void {
    this.stop();
    const left = this.#left(token);
    if (left === undefined || left < TOO_SHORT) return;
    // At most half of the time that is left, so that tokens with a short life are not renewed all the time.
    const lead = Math.min(LEAD + this.#parts.random() * LEAD_JITTER, left / 2);
    this.#wait(token, lead);
  }

  /** The stream has ended. */
  stop(): void {
    this.#generation += 1;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(token: string, lead: number): void {
    const wait = (this.#left(token) ?? 0) - lead;
    if (wait <= 0) return void this.#ask(token, 0);
    this.#timer = this.#parts.clock.after(Math.min(wait, LOOK_AGAIN), () => this.#wait(token, lead));
  }

  async #ask(token: string, failures: number): Promise<void> {
    const { tokens, clock, random, onToken } = this.#parts;
    const generation = this.#generation;
    try {
      const next = await tokens.after(token);
      // If the source gives nothing that expires later, asking again would be a loop.
      if (generation === this.#generation && outlives(next, token)) onToken();
    } catch {
      if (generation !== this.#generation || (this.#left(token) ?? 0) <= 0) return;
      this.#timer = clock.after(backoff(failures, random), () => void this.#ask(token, failures + 1));
    }
  }

  /** Milliseconds until the token expires, if it has `exp` and we know the time. */
  #left(token: string): number | undefined {
    const expiry = expiryOf(token);
    const now = this.#parts.serverAtLeast();
    return expiry === undefined || now === undefined ? undefined : expiry - now;
  }
}

function outlives(next: string, token: string): boolean {
  return (expiryOf(next) ?? Infinity) > (expiryOf(token) ?? Infinity);
}
