// "Done", with 6 s to think again. The server is told at once, so that every pad sees it; whoever takes it back asks the
// server to reopen the call. What got no answer waits in `Unsent`, so that a reload forgets nothing; a "done" that was
// never sent is just taken back. The call looks as people want it from the tap on, and its card stays away while the
// "done" can be taken back: then it comes back as it was.

import type { Clock, Timer } from "../client/clock.ts";
import type { Expectations } from "./expectations.ts";
import type { Unsent, Waiting } from "./unsent.ts";

/** Long enough to notice that it was the wrong call. */
const UNDO_FOR = 6_000;
/** Whoever has pressed the button in the last moment may take so long to let it go. */
const HONOURED_FOR = 4_000;

/** That a call is done, or that it is not after all. */
export type Wish = Exclude<Waiting, "save">;

/** What came of telling the server. Unanswered: it may have happened. */
export type Told = "done" | "refused" | "unanswered" | "unsent";

/** What closing needs of the page. */
export interface ClosingContext {
  clock: Pick<Clock, "after">;
  expectations: Expectations;
  unsent: Unsent;
  /** Tells the server. */
  send(wish: Wish, id: string): Promise<Told>;
  /** It has to be told again. */
  waits(wish: Wish, id: string): void;
  /** The call is done, and nobody can take that back here any more. */
  over(id: string): void;
  /** Something looks different. */
  changed(): void;
}

/** A call that somebody here has closed or reopened. */
interface Wanted {
  wish: Wish;
  looks(): void;
  /** Whether the server may have heard of any of it. */
  heard: boolean;
  sending: boolean;
  /** The server has answered, and only the time to think again is left. */
  told: boolean;
  offered: boolean;
  hidden: boolean;
  timer: Timer | undefined;
}

/** Calls that are being closed or reopened. */
export class Closing {
  readonly #context: ClosingContext;
  readonly #wanted = new Map<string, Wanted>();

  constructor(context: ClosingContext) {
    this.#context = context;
    // From before the page was loaded.
    for (const id of context.unsent.all("close")) this.#want(id, "close").hidden = true;
    for (const id of context.unsent.all("reopen")) this.#want(id, "reopen").heard = true;
  }

  /** The last call that is offered to be taken back. */
  get undoable(): string | undefined {
    return [...this.#wanted].filter(([, { offered }]) => offered).at(-1)?.[0];
  }

  /** Whether the call's card stays away, since somebody here has said that it is done. */
  isHidden(id: string): boolean {
    return this.#wanted.get(id)?.hidden ?? false;
  }

  /** Whether that is what somebody here wants of the call now. */
  wants(wish: Wish, id: string): boolean {
    return this.#wanted.get(id)?.wish === wish;
  }

  /** Somebody wants to see the call all the same. */
  show(id: string): void {
    const wanted = this.#wanted.get(id);
    if (wanted) wanted.hidden = false;
  }

  close(id: string): void {
    const { clock, changed } = this.#context;
    const before = this.#wanted.get(id);
    if (before?.wish === "close" && !before.told) return;
    const wanted = this.#want(id, "close");
    [wanted.offered, wanted.hidden] = [true, true];
    wanted.timer = clock.after(UNDO_FOR, () => {
      wanted.offered = false;
      wanted.timer = clock.after(HONOURED_FOR, () => this.#tooLate(id));
      changed();
    });
    changed();
    void this.#send(id);
  }

  /** It is not done after all. Also a little later than that was offered. */
  undo(id: string): void {
    const wanted = this.#wanted.get(id);
    if (wanted?.wish !== "close" || !wanted.timer) return;
    if (wanted.heard || wanted.sending) {
      this.#want(id, "reopen");
      void this.#send(id);
    } else this.#forget(id);
    this.#context.changed();
  }

  /** Tells the server of all that it has not answered. */
  async sendAll(): Promise<void> {
    await Promise.all([...this.#wanted.keys()].map((id) => this.#send(id)));
  }

  async #send(id: string): Promise<void> {
    const wanted = this.#wanted.get(id);
    if (!wanted || wanted.sending || wanted.told) return;
    wanted.sending = true;
    let [wish, told] = await this.#tell(id, wanted);
    // Somebody has thought again meanwhile.
    while (wish !== wanted.wish && needsTelling(wanted)) [wish, told] = await this.#tell(id, wanted);
    wanted.sending = false;
    if (wish !== wanted.wish) this.#forget(id);
    else if (told === "unanswered" || told === "unsent") this.#context.waits(wish, id);
    else this.#answered(id, wanted, told);
    this.#context.changed();
  }

  async #tell(id: string, wanted: Wanted): Promise<[Wish, Told]> {
    const { wish } = wanted;
    const told = await this.#context.send(wish, id);
    if (told !== "unsent") wanted.heard = true;
    return [wish, told];
  }

  #answered(id: string, wanted: Wanted, told: Told): void {
    // From now on the call is what the server says.
    wanted.looks();
    this.#context.unsent.drop(wanted.wish, id);
    wanted.told = true;
    if (wanted.wish === "reopen" || told === "refused") this.#forget(id);
    else if (!wanted.timer) this.#over(id);
  }

  #tooLate(id: string): void {
    const wanted = this.#wanted.get(id);
    if (wanted) wanted.timer = undefined;
    if (wanted?.told) this.#over(id);
  }

  #over(id: string): void {
    const { over, changed } = this.#context;
    if (this.isHidden(id)) over(id);
    this.#forget(id);
    changed();
  }

  /** What people want of the call from now on, whatever they wanted before. */
  #want(id: string, wish: Wish): Wanted {
    const { expectations, unsent } = this.#context;
    const before = this.#wanted.get(id);
    before?.looks();
    before?.timer?.cancel();
    unsent.drop(wish === "close" ? "reopen" : "close", id);
    unsent.add(wish, id);
    const looks = expectations.expect(id, (call) => ({ ...call, closed: wish === "close" }));
    const anew = { wish, looks, told: false, offered: false, hidden: false, timer: undefined };
    // Whoever is telling the server of it goes on with the same.
    const wanted = Object.assign(before ?? { heard: false, sending: false }, anew);
    // Behind the others: it is the last.
    this.#wanted.delete(id);
    this.#wanted.set(id, wanted);
    return wanted;
  }

  #forget(id: string): void {
    const wanted = this.#wanted.get(id);
    if (!wanted) return;
    wanted.looks();
    wanted.timer?.cancel();
    this.#wanted.delete(id);
    this.#context.unsent.drop(wanted.wish, id);
  }
}

/** A "done" of which the server never heard needs no reopening. */
function needsTelling({ wish, heard }: Wanted): boolean {
  return wish === "close" || heard;
}
