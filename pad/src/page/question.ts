// A question about calls that a snapshot does not have. Asked once after each snapshot, but not at once: a fleet of pads
// that came back together must not ask as one. Where no answer came, again later.

import type { Clock, Timer } from "../client/clock.ts";

/** Milliseconds over which pads spread their questions. */
const SPREAD = 2_000;
/** Milliseconds before asking again where no answer came: up to twice as many. */
const AGAIN = 60_000;

/** What a question waits with. */
export interface QuestionTiming {
  clock: Pick<Clock, "after">;
  /** 0 to 1. */
  random(): number;
}

/** Asks. True if there was an answer; has to stop once `wanted` says no. */
export type Ask = (wanted: () => boolean) => Promise<boolean>;

/** One question, and when it is asked. */
export class Question {
  readonly #ask: Ask;
  readonly #timing: QuestionTiming;
  /** Counts snapshots: an answer to a question before the last one may be of another log. */
  #snapshots = 0;
  /** To be asked, being asked, or to be asked again. */
  #open = false;
  #timer: Timer | undefined;

  constructor(ask: Ask, timing: QuestionTiming) {
    this.#ask = ask;
    this.#timing = timing;
  }

  /** A snapshot replaced all. */
  begin(): void {
    this.#snapshots += 1;
    this.#timer?.cancel();
    this.#open = false;
    this.again();
  }

  /** The answer no longer holds. Asks nothing before the first snapshot, and not twice at a time. */
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
    // Whatever went wrong, there is no answer yet.
    const answered = await this.#ask(wanted).catch(() => false);
    if (!wanted()) return;
    if (answered) this.#open = false;
    else this.#askIn(AGAIN * (1 + this.#timing.random()));
  }
}
