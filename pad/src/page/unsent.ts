// Actions that could not be sent, until there is a connection. They are in the tab's session storage, like the drafts, so
// that a reload loses nothing; only call ids are stored.

import type { DraftStorage } from "./drafts.ts";

const STORED = "ringpad.unsent";

/** Actions that can wait until there is a connection. A claim cannot: another pad may have claimed the call by then. */
export type Waiting = "save" | "close" | "reopen";

/** The waiting actions, in the order of the taps. */
export class Unsent {
  readonly #storage: DraftStorage | undefined;
  #waiting: [Waiting, string][];

  constructor(storage: DraftStorage | undefined) {
    this.#storage = storage;
    this.#waiting = read(storage);
  }

  has(what: Waiting, id: string): boolean {
    return this.all(what).includes(id);
  }

  /** The calls for which this action waits. */
  all(what: Waiting): string[] {
    return this.#waiting.filter(([waits]) => waits === what).map(([, id]) => id);
  }

  add(what: Waiting, id: string): void {
    if (this.has(what, id)) return;
    this.#waiting.push([what, id]);
    this.#write();
  }

  drop(what: Waiting, id: string): void {
    if (!this.has(what, id)) return;
    this.#waiting = this.#waiting.filter(([waits, its]) => waits !== what || its !== id);
    this.#write();
  }

  #write(): void {
    try {
      this.#storage?.setItem(STORED, JSON.stringify(this.#waiting));
    } catch {
      // Full or not allowed: then it waits until the page is closed.
    }
  }
}

function read(storage: DraftStorage | undefined): [Waiting, string][] {
  try {
    return JSON.parse(storage?.getItem(STORED) ?? "[]") as [Waiting, string][];
  } catch {
    // Not written by this page.
    return [];
  }
}
