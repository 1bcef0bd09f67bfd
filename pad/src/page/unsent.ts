// What people did that the server has not heard of: told once there is a connection. In the tab's session storage, beside
// the drafts, so that a reload forgets nothing; call ids only.

import type { DraftStorage } from "./drafts.ts";

const STORED = "ringpad.unsent";

/** What can wait until there is a connection. A claim cannot: by then somebody else may have the call. */
export type Waiting = "save" | "close" | "reopen";

/** What waits, in the order in which it was done. */
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

  /** The calls of which that waits. */
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
      // Full or forbidden: then it waits as long as the page lives.
    }
  }
}

function read(storage: DraftStorage | undefined): [Waiting, string][] {
  try {
    return JSON.parse(storage?.getItem(STORED) ?? "[]") as [Waiting, string][];
  } catch {
    // Not ours.
    return [];
  }
}
