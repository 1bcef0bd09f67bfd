// What people do to calls on this page. Every action shows at once and corrects itself: while it is under way the call
// looks as if it had worked, afterwards it is what the server says. What can wait for a connection does: see `Unsent`.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ActionError, type ActionFailure } from "../client/action_error.ts";
import type { NoteInit } from "../client/actions.ts";
import type { Clock, Timer } from "../client/clock.ts";
import type { Pad } from "../client/connect.ts";
import { ClaimSchema, ReservationSchema, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Board } from "./board.ts";
import { Closing, type Told, type Wish } from "./closing.ts";
import { rebase, sameDraft, type Draft, type Drafts } from "./drafts.ts";
import type { Expectations } from "./expectations.ts";
import { completed, draftOf, isWhole, noteOf } from "./reservation.ts";
import type { Unsent, Waiting } from "./unsent.ts";

/** What an action needs of the page. */
export interface ActionContext {
  pad: Pick<Pad, "claim" | "release" | "close" | "reopen" | "saveNote" | "identity">;
  board: Board;
  expectations: Expectations;
  drafts: Drafts;
  unsent: Unsent;
  clock: Pick<Clock, "after">;
  /** Whether the server can be told what people do, as far as we know. Only what it has refused then is given up. */
  connected(): boolean;
  /** The server's time. */
  now(): number;
  /** Something looks different. */
  changed(): void;
  /** Whether what stands in the call's form, if there is one, is fit to be saved: a half-typed date is in no draft. */
  isWhole(id: string): boolean;
  /** It is not: people should see what is missing. */
  unfinished(id: string): void;
  /** An action came to nothing; people should know. */
  failed(action: ActionName, error: ActionError): void;
  /** An action waits for a connection; people should know. */
  waits(action: Waiting, id: string): void;
}

/** The actions by name. */
export type ActionName = "claim" | "release" | "close" | "reopen" | "save";

type Outcome = "done" | ActionFailure;

/** Stands for our own id while the token does not tell it. */
const UNKNOWN_SELF = "self";
/** Milliseconds after which what waits is tried again without a word of a connection: only the stream may be well. */
const AGAIN = 15_000;

/** The page's actions. */
export class CallActions {
  readonly #context: ActionContext;
  /** The last action of each call: the next one waits for it, so that they arrive in the order of the taps. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** Our id as a claim of ours had it, for tokens that cannot be read. */
  #learned: string | undefined;
  readonly #closing: Closing;
  #again: Timer | undefined;
  /** What people know to wait: what, and of which call. */
  readonly #told = new Set<string>();

  constructor(context: ActionContext) {
    this.#context = context;
    const { board, clock, drafts, expectations, unsent, changed } = context;
    this.#closing = new Closing({
      clock,
      expectations,
      unsent,
      changed,
      send: (wish, id) => this.#sendWish(wish, id),
      waits: (wish, id) => this.#wait(wish, id),
      // What was typed meanwhile stays, and with it the card.
      over: (id) => drafts.has(id) || board.dismiss(id),
    });
  }

  /** The last call that was closed, while it is offered to take that back. */
  get undoable(): string | undefined {
    return this.#closing.undoable;
  }

  /** Whether the call's card stays away, since somebody here has said that it is done. */
  isDone(id: string): boolean {
    return this.#closing.isHidden(id);
  }

  /** This pad's id. */
  me(): string {
    return this.#context.pad.identity()?.id ?? this.#learned ?? UNKNOWN_SELF;
  }

  async claim(id: string): Promise<void> {
    const { pad, now } = this.#context;
    const padName = pad.identity()?.name ?? "";
    const claim = create(ClaimSchema, { padId: this.me(), padName, at: timestampFromMs(now()) });
    await this.#act("claim", id, (call) => ({ ...call, claim: call.claim ?? claim }), async () => {
      const call = await pad.claim(id);
      this.#learned = call.claim?.padId;
      return call;
    });
  }

  async release(id: string): Promise<void> {
    const without = ({ claim: _, ...call }: Call): Call => call;
    await this.#act("release", id, without, () => this.#context.pad.release(id));
  }

  /**
   * Done at once, which can be taken back for 6 s. What was typed is saved first, however long that takes: nobody who taps
   * "done" means to throw it away. Where there is no connection both wait for one.
   */
  close(id: string): void {
    const { drafts, unfinished, unsent, isWhole: isFormWhole } = this.#context;
    const draft = drafts.get(id);
    if (!isFormWhole(id) || (draft && !isWhole(draft))) return unfinished(id);
    if (draft) unsent.add("save", id);
    this.#closing.close(id);
  }

  /** Takes it back that the call is done. */
  undo(id: string): void {
    this.#closing.undo(id);
  }

  /** Somebody opened the call, done or not. */
  opened(id: string): void {
    this.#closing.show(id);
  }

  /** There is a connection: what waited for one is done. */
  async sendUnsent(): Promise<void> {
    const { drafts, unsent, changed } = this.#context;
    this.#again?.cancel();
    const saves = unsent.all("save").map(async (id) => {
      const draft = drafts.get(id);
      if (!draft) unsent.drop("save", id);
      else if (isWhole(draft)) await this.save(id, draft);
      // Somebody has gone on typing, and what they have so far cannot be saved: the form must not say that it will be.
      else this.#sent("save", id);
    });
    await Promise.all(saves);
    changed();
    await this.#closing.sendAll();
  }

  /** Keeps what was typed into the form of a call, which was `shown` without it. */
  write(id: string, draft: Draft, shown: Draft): void {
    const { board, drafts } = this.#context;
    const call = board.call(id);
    // While something is under way, to be as it was may be a change.
    if (call && !this.#last.has(id) && sameDraft(draft, draftOf(call))) drafts.drop(id);
    else drafts.set(id, draft, drafts.base(id) ?? shown);
  }

  /** What was typed, in the form as the call has it by now; undefined if there is nothing to save. */
  follow(id: string): Draft | undefined {
    const { board, drafts } = this.#context;
    const call = board.call(id);
    // The answer of what is under way says what of it is still to be saved.
    if (call && !this.#last.has(id)) drafts.follow(id, draftOf(call));
    return drafts.get(id);
  }

  /** True if it is saved. What was typed meanwhile stays a draft. */
  async save(id: string, draft: Draft): Promise<boolean> {
    const { pad, board, drafts, unsent, connected, changed, now } = this.#context;
    const whole = completed(draft, now());
    const base = drafts.base(id);
    if (base && sameDraft(drafts.get(id) ?? whole, draft)) drafts.set(id, whole);
    // Only what was typed here: the rest may have been saved elsewhere since.
    const noteFor = (call: Call | undefined): NoteInit => {
      const typedInto = drafts.base(id) ?? base;
      return noteOf(call && typedInto ? rebase(whole, typedInto, draftOf(call)) : whole, now());
    };
    const written = ({ reservation: _, ...call }: Call, { note, reservation }: NoteInit): Call => ({
      ...call,
      note,
      ...(reservation && { reservation: create(ReservationSchema, reservation) }),
    });
    unsent.add("save", id);
    const outcome = connected() ? await this.#act("save", id, (call) => written(call, noteFor(call)), async () => {
      const call = await pad.saveNote(id, noteFor(board.call(id)));
      const typed = drafts.get(id);
      if (typed && sameDraft(typed, whole)) drafts.drop(id);
      else if (typed) drafts.set(id, typed, whole);
      return call;
    }) : "offline";
    if (canWait(outcome)) {
      // The answer to an earlier one may have taken it away.
      unsent.add("save", id);
      this.#wait("save", id);
    } else this.#sent("save", id);
    changed();
    return outcome === "done";
  }

  async #sendWish(wish: Wish, id: string): Promise<Told> {
    const { unsent, connected, pad } = this.#context;
    // In the order in which they were done.
    if (wish === "close" && !(await this.#saveAll(id))) return unsent.has("save", id) ? "unsent" : "refused";
    if (!connected() || !this.#closing.wants(wish, id)) return "unsent";
    const outcome = await this.#act(wish, id, (call) => ({ ...call, closed: wish === "close" }), () => pad[wish](id));
    if (canWait(outcome)) return "unanswered";
    this.#told.delete(`${wish} ${id}`);
    return outcome === "done" ? "done" : "refused";
  }

  /** Saves what was typed into a call that is done, also while it was being saved. False: it waits, or is refused. */
  async #saveAll(id: string): Promise<boolean> {
    const { drafts, unsent } = this.#context;
    for (;;) {
      if (unsent.has("save", id)) await this.#last.get(id);
      const draft = drafts.get(id);
      // Whoever has opened it again and goes on typing keeps what they have.
      if (!draft || !isWhole(draft)) return true;
      if (!(await this.save(id, draft))) return false;
    }
  }

  #sent(what: Waiting, id: string): void {
    this.#context.unsent.drop(what, id);
    this.#told.delete(`${what} ${id}`);
  }

  #wait(what: Waiting, id: string): void {
    this.#again?.cancel();
    this.#again = this.#context.clock.after(AGAIN, () => void this.sendUnsent());
    // Once: it may wait for long.
    if (!this.#told.has(`${what} ${id}`)) this.#context.waits(what, id);
    this.#told.add(`${what} ${id}`);
  }

  async #act(name: ActionName, id: string, change: (call: Call) => Call, send: () => Promise<Call>): Promise<Outcome> {
    const { board, expectations, changed, now } = this.#context;
    const settled = expectations.expect(id, change);
    changed();
    const before = this.#last.get(id);
    const sent = (async (): Promise<Outcome> => {
      await before;
      try {
        board.apply(await send(), undefined, now());
        return "done";
      } catch (error) {
        return this.#failed(name, id, error);
      } finally {
        settled();
      }
    })();
    this.#last.set(id, sent);
    const done = await sent;
    if (this.#last.get(id) === sent) this.#last.delete(id);
    changed();
    return done;
  }

  #failed(name: ActionName, id: string, cause: unknown): ActionFailure {
    const { board, failed, now } = this.#context;
    const error = cause instanceof ActionError ? cause : new ActionError("refused", String(cause), { cause });
    // The winner's update may be behind: until it comes, what the refusal said stands.
    const call = board.call(id);
    if (error.kind === "claimed" && error.claim && call && !call.claim) {
      board.apply({ ...call, claim: error.claim }, undefined, now());
    }
    // Closing and saving are done again.
    if (!canWait(error.kind) || name === "claim" || name === "release") failed(name, error);
    return error.kind;
  }
}

/** It was not refused: with the next connection, or the next token, it may be done. */
function canWait(outcome: Outcome): boolean {
  return outcome === "offline" || outcome === "no-token";
}
