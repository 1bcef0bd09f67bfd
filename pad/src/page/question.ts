// A query for calls that a snapshot does not have. Sent once after each snapshot, after a random wait: many pads that
// reconnect at the same time must not send it at the same time. Without an answer it is sent again later.

import type { Clock, Timer } from "../client/clock.ts";

/** Milliseconds over which pads spread their queries. */
const SPREAD = 2_000;
/** Milliseconds before the next try without an answer; up to twice as many, at random. */
const AGAIN = 60_000;

/** What {@link Question} needs. */
export interface QuestionTiming {
  clock: Pick<Clock, "after">;
  /** 0 to 1. */
  random(): number;
}

/** Sends the query. True if there was an answer; must stop when `wanted` returns false. */
export type Ask = (wanted: () => boolean) => Promise<boolean>;

/** One query, and when it is sent. */
export class Question {
  readonly #ask: Ask;
  readonly #timing: QuestionTiming;
  /** Counts snapshots: an answer to a query before the last one may be from another log. */
  #snapshots = 0;
  /** It waits to be sent, was sent, or waits to be sent again. */
  #open = false;
  #timer: Timer | undefined;

  constructor(ask: Ask, timing: QuestionTiming) {
    this.#ask = ask;
    this.#timing = timing;
  }

  /** A snapshot has replaced all calls. */
  begin(): void {
    this.#snapshots += 1;
    this.#timer?.cancel();
    this.#open = false;
    this.again();
  }

  /** The answer is out of date. Not before the first snapshot, and not twice at a time. */
  again(): void {
    if (this.#open || this.#snapshots === 0) return;
    this.#open = true;
    this.#askIn(SPREAD * this.#timing.random());
  }

  #askIn(milliseconds: number): void {
    this.#timer = this.#timing.clock.after(milliseconds, () => void this.#askNow());
  }

  async #askNow(): Promise<void> {
    const asked = this.#snapshots;
    const wanted = () => asked === this.#snapshots;
    // Any error means: no answer yet.
    const answered = await this.#ask(wanted).catch(() => false);
    if (!wanted()) return;
    if (answered) this.#open = false;
    else this.#askIn(AGAIN * (1 + this.#timing.random()));
  }
}
