// "Done", with 6 s in which it can be taken back. It is sent immediately, so that every pad sees it; to take it back, the server
// is asked to reopen the call. What got no answer waits in `Unsent`, so that a reload loses nothing; a "done" that was never
// sent is only dropped. From the tap on the call is shown as the user wants it, and its card is hidden; if the "done" is
// taken back, the card is shown again as it was.

import type { Clock, Timer } from "../client/clock.ts";
import type { Expectations } from "./expectations.ts";
import type { Unsent, Waiting } from "./unsent.ts";

/** Long enough to notice that it was the wrong call. */
const UNDO_FOR = 6_000;
/** A user who has pressed the button at the last moment may hold it for so long. */
const UNDO_GRACE = 4_000;

/** That a call is done, or that it is not. */
export type ClosingAction = Exclude<Waiting, "save">;

/** What became of an action. Unanswered: it may have been done. */
export type SendOutcome = "done" | "refused" | "unanswered" | "unsent";

/** What closing needs of the page. */
export interface ClosingContext {
  clock: Pick<Clock, "after">;
  expectations: Expectations;
  unsent: Unsent;
  send(action: ClosingAction, id: string): Promise<SendOutcome>;
  /** The action must be sent again. */
  waits(action: ClosingAction, id: string): void;
  /** The call is done, and that cannot be taken back here any more. */
  finished(id: string): void;
  /** Something looks different. */
  changed(): void;
}

/** A call that was closed or reopened on this pad. */
interface Pending {
  action: ClosingAction;
  /** Ends the display of the call as if the action had succeeded. */
  endExpectation(): void;
  /** Whether the server may have received any of these actions. */
  wasSent: boolean;
  sending: boolean;
  /** The server has answered; the action can still be taken back. */
  answered: boolean;
  /** The page shows that it can be taken back. */
  offered: boolean;
  /** The calls that were closed with one tap, this one included. */
  batch: readonly string[];
  hidden: boolean;
  timer: Timer | undefined;
}

/** Calls that are being closed or reopened. */
export class Closing {
  readonly #context: ClosingContext;
  readonly #pending = new Map<string, Pending>();

  constructor(context: ClosingContext) {
    this.#context = context;
    // From before the page was loaded.
    for (const id of context.unsent.all("close")) this.#begin(id, "close").hidden = true;
    for (const id of context.unsent.all("reopen")) this.#begin(id, "reopen").wasSent = true;
  }

  /** The last closed call for which the page shows that it can be taken back. */
  get undoable(): string | undefined {
    return [...this.#pending].filter(([, { offered }]) => offered).at(-1)?.[0];
  }

  /** Whether the call's card is hidden, because it was closed on this pad. */
  isHidden(id: string): boolean {
    return this.#pending.get(id)?.hidden ?? false;
  }

  /** Whether this is the call's last action on this pad, and not finished. */
  isPending(action: ClosingAction, id: string): boolean {
    return this.#pending.get(id)?.action === action;
  }

  /** Shows the call's card although the call was closed. */
  show(id: string): void {
    const pending = this.#pending.get(id);
    if (pending) pending.hidden = false;
  }

  /** The calls that were closed with the same tap as this one, and can be taken back with it. */
  batchOf(id: string): readonly string[] {
    return (this.#pending.get(id)?.batch ?? []).filter((other) => this.#pending.get(other)?.offered);
  }

  /** Closes calls with one tap: they are taken back together. */
  close(batch: readonly string[]): void {
    for (const id of batch) this.#close(id, batch);
    this.#context.changed();
    void this.#sendInTurn(batch);
  }

  #close(id: string, batch: readonly string[]): void {
    const { clock, changed } = this.#context;
    const before = this.#pending.get(id);
    if (before?.action === "close" && !before.answered) return;
    const pending = this.#begin(id, "close");
    Object.assign(pending, { offered: true, hidden: true, batch });
    pending.timer = clock.after(UNDO_FOR, () => {
      pending.offered = false;
      pending.timer = clock.after(UNDO_GRACE, () => this.#tooLate(id));
      changed();
    });
  }

  /** Takes "done" back, for all calls of the same tap, also a little later than that was offered. */
  undo(id: string): void {
    const batch = this.#pending.get(id)?.batch ?? [];
    for (const each of batch) this.#undo(each);
    this.#context.changed();
    void this.#sendInTurn(batch);
  }

  #undo(id: string): void {
    const pending = this.#pending.get(id);
    if (pending?.action !== "close" || !pending.timer) return;
    if (pending.wasSent || pending.sending) this.#begin(id, "reopen");
    else this.#forget(id);
  }

  /** One after the other: a pad may send few requests at a time. */
  async #sendInTurn(ids: readonly string[]): Promise<void> {
    for (const id of ids) await this.#send(id);
  }

  /** Sends everything that the server has not answered. */
  async sendAll(): Promise<void> {
    await Promise.all([...this.#pending.keys()].map((id) => this.#send(id)));
  }

  async #send(id: string): Promise<void> {
    const pending = this.#pending.get(id);
    if (!pending || pending.sending || pending.answered) return;
    pending.sending = true;
    let [action, outcome] = await this.#sendOnce(id, pending);
    // The user may have changed it during the request.
    while (action !== pending.action && mustBeSent(pending)) [action, outcome] = await this.#sendOnce(id, pending);
    pending.sending = false;
    if (action !== pending.action) this.#forget(id);
    else if (outcome === "unanswered" || outcome === "unsent") this.#context.waits(action, id);
    else this.#answered(id, pending, outcome);
    this.#context.changed();
  }

  async #sendOnce(id: string, pending: Pending): Promise<[ClosingAction, SendOutcome]> {
    const { action } = pending;
    const outcome = await this.#context.send(action, id);
    if (outcome !== "unsent") pending.wasSent = true;
    return [action, outcome];
  }

  #answered(id: string, pending: Pending, outcome: SendOutcome): void {
    // From now on the call is shown as the server has it.
    pending.endExpectation();
    this.#context.unsent.drop(pending.action, id);
    pending.answered = true;
    if (pending.action === "reopen" || outcome === "refused") this.#forget(id);
    else if (!pending.timer) this.#finish(id);
  }

  #tooLate(id: string): void {
    const pending = this.#pending.get(id);
    if (pending) pending.timer = undefined;
    if (pending?.answered) this.#finish(id);
  }

  #finish(id: string): void {
    const { finished, changed } = this.#context;
    if (this.isHidden(id)) finished(id);
    this.#forget(id);
    changed();
  }

  /** Begins an action, in place of an earlier one. */
  #begin(id: string, action: ClosingAction): Pending {
    const { expectations, unsent } = this.#context;
    const before = this.#pending.get(id);
    before?.endExpectation();
    before?.timer?.cancel();
    unsent.drop(action === "close" ? "reopen" : "close", id);
    unsent.add(action, id);
    const endExpectation = expectations.expect(id, (call) => ({ ...call, closed: action === "close" }));
    const fresh = { action, endExpectation, answered: false, offered: false, hidden: false, batch: [id], timer: undefined };
    // The same object, because a running `#send` continues with it.
    const pending = Object.assign(before ?? { wasSent: false, sending: false }, fresh);
    // As the last one of the map.
    this.#pending.delete(id);
    this.#pending.set(id, pending);
    return pending;
  }

  #forget(id: string): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    pending.endExpectation();
    pending.timer?.cancel();
    this.#pending.delete(id);
    this.#context.unsent.drop(pending.action, id);
  }
}

/** A "done" that was never sent needs no reopening. */
function mustBeSent({ action, wasSent }: Pending): boolean {
  return action === "close" || wasSent;
}
