// Offers to take an action back, for as long as for "done".

/** Milliseconds. */
const OFFERED_FOR = 6_000;

/** One action that can be taken back. */
export class UndoOffer {
  readonly #changed: () => void;
  #offer: { words: string; undo: () => void } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `changed`: the page must be drawn again. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** What was done, in words; undefined if nothing can be taken back. */
  get words(): string | undefined {
    return this.#offer?.words;
  }

  offer(words: string, undo: () => void): void {
    this.#offer = { words, undo };
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.withdraw(), OFFERED_FOR);
    this.#changed();
  }

  /** Takes it back. */
  take(): void {
    this.#offer?.undo();
    this.withdraw();
  }

  withdraw(): void {
    clearTimeout(this.#timer);
    if (!this.#offer) return;
    this.#offer = undefined;
    this.#changed();
  }
}
