// A fresh token before the living stream's expires: the server ends a stream at its token's expiry, which a shop would
// see as a cut. Asks the token source in time and tells its owner, who opens the next stream beside. What comes of it
// is never worse than no renewal: then the stream lives until its token's expiry.

import { backoff } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { expiryOf, type Tokens } from "./tokens.ts";

/** Milliseconds before the expiry. More than a minute: hidden tabs' timers may be as late as that. */
const LEAD = 60_000;
/** As much more, at random, so that pads whose tokens were made together do not ask together. */
const LEAD_JITTER = 60_000;
/** Milliseconds; a token with less left is not worth another question. */
const TOO_SHORT = 10_000;
/** Milliseconds until the server's time is looked at again; browsers' timers overflow after 24 days. */
const LOOK_AGAIN = 3_600_000;

/** What a renewal is made of. */
export interface RenewalParts {
  tokens: Tokens;
  clock: Clock;
  random: () => number;
  /**
   * The server's time at the earliest, ms since 1970; the one that tokens expire by. Not a guess: a token that was asked for
   * hours too early and is the same again would not be asked for in time.
   */
  serverAtLeast: () => number | undefined;
  /** There is a token that outlives the one followed. */
  onToken: () => void;
}

/** Renews the token of one stream at a time. */
export class Renewal {
  readonly #parts: RenewalParts;
  #timer: Timer | undefined;
  /** Counts streams, so that an answer that comes late is for nobody. */
  #turn = 0;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
  }

  /** A stream with `token` lives now, instead of the one before. */
  follow(token: string): void {
    this.stop();
    const left = this.#left(token);
    if (left === undefined || left < TOO_SHORT) return;
    // Half of a short life, so that each token is used for as long as it is renewed ahead.
    const lead = Math.min(LEAD + this.#parts.random() * LEAD_JITTER, left / 2);
    this.#wait(token, lead);
  }

  /** The stream is over. */
  stop(): void {
    this.#turn += 1;
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
    const turn = this.#turn;
    try {
      const next = await tokens.after(token);
      // The same again, or no better, is all there is: asking on would be a loop.
      if (turn === this.#turn && outlives(next, token)) onToken();
    } catch {
      if (turn !== this.#turn || (this.#left(token) ?? 0) <= 0) return;
      this.#timer = clock.after(backoff(failures, random), () => void this.#ask(token, failures + 1));
    }
  }

  /** Milliseconds until the token expires, if it says when and we know the time. */
  #left(token: string): number | undefined {
    const expiry = expiryOf(token);
    const now = this.#parts.serverAtLeast();
    return expiry === undefined || now === undefined ? undefined : expiry - now;
  }
}

function outlives(next: string, token: string): boolean {
  return (expiryOf(next) ?? Infinity) > (expiryOf(token) ?? Infinity);
}
