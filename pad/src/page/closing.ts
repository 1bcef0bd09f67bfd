// "Done", with 6 s to think again. The call looks closed at once; the server is told when the time is over, or when the
// page is left, or, where there is no connection, once there is one. Until then it waits in `Unsent`, so that a reload
// forgets nothing. A server that can reopen a call would be told at once, and `undo` would ask it to.

import type { Clock, Timer } from "../client/clock.ts";
import type { Expectations } from "./expectations.ts";
import type { Unsent } from "./unsent.ts";

/** Long enough to notice that it was the wrong call. */
const UNDO_FOR = 6_000;

/** What closing needs of the page. */
export interface ClosingContext {
  clock: Pick<Clock, "after">;
  expectations: Expectations;
  unsent: Unsent;
  /** Tells the server. False: there was no answer, so it has to be told again. */
  send(id: string): Promise<boolean>;
  /** Something looks different. */
  changed(): void;
}

/** A call that looks closed. */
interface Closed {
  /** Ends the time to think again; undefined once that is over. */
  timer: Timer | undefined;
  sending: boolean;
  looksOpen(): void;
}

/** Calls that are being closed. */
export class Closing {
  readonly #context: ClosingContext;
  readonly #closed = new Map<string, Closed>();

  constructor(context: ClosingContext) {
    this.#context = context;
    // From before the page was loaded.
    for (const id of context.unsent.all("close")) this.#look(id);
  }

  /** The last call that can still be taken back. */
  get undoable(): string | undefined {
    return [...this.#closed].filter(([, { timer }]) => timer !== undefined).at(-1)?.[0];
  }

  close(id: string): void {
    if (this.#closed.has(id)) return;
    const { clock, unsent, changed } = this.#context;
    unsent.add("close", id);
    this.#look(id).timer = clock.after(UNDO_FOR, () => void this.#send(id));
    changed();
  }

  /** It never happened. Nothing to do once the server was told. */
  undo(id: string): void {
    const timer = this.#closed.get(id)?.timer;
    if (!timer) return;
    timer.cancel();
    this.#over(id);
    this.#context.changed();
  }

  /** Tells the server of all at once: the page is left, or there is a connection again. */
  async sendAll(): Promise<void> {
    await Promise.all([...this.#closed.keys()].map((id) => this.#send(id)));
  }

  /** Tells the server of those whose time is over. */
  async sendAgain(): Promise<void> {
    const waiting = [...this.#closed].filter(([, { timer }]) => timer === undefined);
    await Promise.all(waiting.map(([id]) => this.#send(id)));
  }

  async #send(id: string): Promise<void> {
    const closed = this.#closed.get(id);
    if (!closed || closed.sending) return;
    closed.timer?.cancel();
    closed.timer = undefined;
    closed.sending = true;
    this.#context.changed();
    const told = await this.#context.send(id);
    closed.sending = false;
    if (told) this.#over(id);
    this.#context.changed();
  }

  #look(id: string): Closed {
    const looksOpen = this.#context.expectations.expect(id, (call) => ({ ...call, closed: true }));
    const closed: Closed = { timer: undefined, sending: false, looksOpen };
    this.#closed.set(id, closed);
    return closed;
  }

  #over(id: string): void {
    this.#closed.get(id)?.looksOpen();
    this.#closed.delete(id);
    this.#context.unsent.drop("close", id);
  }
}
