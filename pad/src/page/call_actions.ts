// The actions on this page. Each one is shown immediately: while it is sent, the call looks as if it had succeeded; afterwards
// the call is shown as the server has it. Saving, closing and reopening can wait for a connection, in `Unsent`.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ActionError, type ActionFailure } from "../client/action_error.ts";
import type { NoteInit } from "../client/actions.ts";
import type { Clock, Timer } from "../client/clock.ts";
import type { Pad } from "../client/connect.ts";
import { ClaimSchema, ReservationSchema, type Call, type Reservation } from "../gen/ringpad/v1/call_pb.ts";
import type { Board } from "./board.ts";
import { Closing, type ClosingAction, type SendOutcome } from "./closing.ts";
import { rebase, sameDraft, type Draft, type Drafts } from "./drafts.ts";
import type { Expectations } from "./expectations.ts";
import { completed, draftOf, isWhole, knownPerson, noteOf } from "./reservation.ts";
import type { Unsent, Waiting } from "./unsent.ts";

/** What an action needs of the page. */
export interface ActionContext {
  pad: Pick<Pad, "claim" | "release" | "close" | "reopen" | "saveNote" | "identity">;
  board: Board;
  expectations: Expectations;
  drafts: Drafts;
  unsent: Unsent;
  clock: Pick<Clock, "after">;
  /** Whether the server can probably be reached. */
  connected(): boolean;
  /** The server's time. */
  now(): number;
  /** The page must be drawn again. */
  changed(): void;
  /** Whether the call's form, if there is one, can be saved: a draft does not have a half-typed date. */
  isWhole(id: string): boolean;
  /** The form cannot be saved: show what is missing. */
  unfinished(id: string): void;
  /** An action failed: show that. */
  failed(action: ActionName, error: ActionError): void;
  /** An action waits for a connection: show that. */
  waits(action: Waiting, id: string): void;
}

/** The actions by name. */
export type ActionName = "claim" | "release" | "close" | "reopen" | "save";

/** Characters; the contract allows no more. */
const LONGEST_NOTE = 2_000;

type Outcome = "done" | ActionFailure;

/** Used as our own id while it is not known from the token. */
const UNKNOWN_SELF = "self";
/** Milliseconds after which waiting actions are sent again, also if the stream was connected all the time. */
const RETRY_AFTER = 15_000;

/** The page's actions. */
export class CallActions {
  readonly #context: ActionContext;
  /** The last action of each call: the next one waits for it, so that they arrive in the order of the taps. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** Our id from one of our claims, for tokens that cannot be read. */
  #learned: string | undefined;
  readonly #closing: Closing;
  #retry: Timer | undefined;
  /** Waiting actions, with their call, that the page has reported to the user. */
  readonly #reported = new Set<string>();

  constructor(context: ActionContext) {
    this.#context = context;
    const { board, clock, drafts, expectations, unsent, changed } = context;
    this.#closing = new Closing({
      clock,
      expectations,
      unsent,
      changed,
      send: (action, id) => this.#sendClosing(action, id),
      waits: (action, id) => this.#wait(action, id),
      // A draft that was typed meanwhile stays, and with it the card.
      finished: (id) => drafts.has(id) || board.dismiss(id),
    });
  }

  /** The last closed call, while the page shows that it can be taken back. */
  get undoable(): string | undefined {
    return this.#closing.undoable;
  }

  /** Whether the call's card is hidden, because it was closed on this pad. */
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
   * Closes the call immediately; that can be taken back for 6 s. What was typed is saved first, also if that takes long: a tap
   * on "done" does not mean to delete it. Without a connection both wait for one.
   */
  close(...ids: string[]): void {
    const { drafts, unfinished, unsent, isWhole: isFormWhole } = this.#context;
    for (const id of ids) {
      const draft = drafts.get(id);
      if (!isFormWhole(id) || (draft && !isWhole(draft))) return unfinished(id);
      if (draft) unsent.add("save", id);
    }
    this.#closing.close(ids);
  }

  /** Adds a line to what is typed into the call's form, also of a call that was only found; nothing if the note would be too long. */
  addToNote(found: Call, line: string): Draft | undefined {
    const { board, drafts, now } = this.#context;
    const { id } = found;
    const call = board.call(id) ?? found;
    const shown = draftOf(call);
    const draft = drafts.get(id) ?? shown;
    const note = [draft.note.trim(), line].filter((part) => part !== "").join("\n");
    if (note.length > LONGEST_NOTE) return undefined;
    this.write(id, { ...draft, note }, shown);
    // With its draft it is kept until that is saved: saving needs to know what the call has.
    board.apply(call, undefined, now());
    return drafts.get(id);
  }

  /** How many calls {@link undo} of this call takes back. */
  undoes(id: string): number {
    return this.#closing.batchOf(id).length;
  }

  /** Takes "done" back. */
  undo(id: string): void {
    this.#closing.undo(id);
  }

  /** The user has opened the call, closed or not. */
  opened(id: string): void {
    this.#closing.show(id);
  }

  /** There is a connection: sends the actions that waited for one. */
  async sendUnsent(): Promise<void> {
    const { drafts, unsent, changed } = this.#context;
    this.#retry?.cancel();
    const saves = unsent.all("save").map(async (id) => {
      const draft = drafts.get(id);
      if (!draft) unsent.drop("save", id);
      else if (isWhole(draft)) await this.save(id, draft);
      // The user has typed further, and the draft cannot be saved now: the form must not show that it will be saved.
      else this.#sent("save", id);
    });
    await Promise.all(saves);
    changed();
    await this.#closing.sendAll();
  }

  /** Keeps what was typed into the form of a call; `shown` is the form without it. */
  write(id: string, draft: Draft, shown: Draft): void {
    const { board, drafts } = this.#context;
    const call = board.call(id);
    // While an action is being sent, a draft equal to the call may still be a change.
    if (call && !this.#last.has(id) && sameDraft(draft, draftOf(call))) drafts.drop(id);
    else drafts.set(id, draft, drafts.base(id) ?? shown);
  }

  /** What was typed, on top of the call's newest version; undefined if there is nothing to save. */
  follow(id: string): Draft | undefined {
    const { board, drafts } = this.#context;
    const call = board.call(id);
    // While an action is being sent, its answer decides what is left to save.
    if (call && !this.#last.has(id)) drafts.follow(id, draftOf(call));
    return drafts.get(id);
  }

  /** True if it was saved. What was typed meanwhile stays a draft. */
  async save(id: string, draft: Draft): Promise<boolean> {
    const { pad, board, drafts, unsent, connected, changed, now } = this.#context;
    const whole = completed(draft, now());
    const base = drafts.base(id);
    if (base && sameDraft(drafts.get(id) ?? whole, draft)) drafts.set(id, whole);
    // Only what was typed here: another pad may have saved the rest since.
    const noteFor = (call: Call | undefined): NoteInit => {
      const typedInto = drafts.base(id) ?? base;
      const wanted = call && typedInto ? rebase(whole, typedInto, draftOf(call)) : whole;
      return noteOf(wanted, now(), call && knownPerson(call));
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
      // The answer to an earlier save may have removed it.
      unsent.add("save", id);
      this.#wait("save", id);
    } else this.#sent("save", id);
    changed();
    return outcome === "done";
  }

  /** Gives the call another reservation, or none. False: it was not done, and the user was told. */
  async setReservation({ id, note }: Call, reservation: Reservation | undefined): Promise<boolean> {
    const change = ({ reservation: _, ...call }: Call): Call => ({ ...call, ...(reservation && { reservation }) });
    const outcome = await this.#act("save", id, change, () => this.#context.pad.saveNote(id, { note, reservation }));
    if (canWait(outcome)) this.#context.failed("save", new ActionError("offline", "no answer to SaveNote"));
    return outcome === "done";
  }

  async #sendClosing(action: ClosingAction, id: string): Promise<SendOutcome> {
    const { unsent, connected, pad } = this.#context;
    // In the order of the taps.
    if (action === "close" && !(await this.#saveAll(id))) return unsent.has("save", id) ? "unsent" : "refused";
    if (!connected() || !this.#closing.isPending(action, id)) return "unsent";
    const outcome = await this.#act(action, id, (call) => ({ ...call, closed: action === "close" }), () => pad[action](id));
    if (canWait(outcome)) return "unanswered";
    this.#reported.delete(`${action} ${id}`);
    return outcome === "done" ? "done" : "refused";
  }

  /** Saves what was typed into a closed call, also what was typed during the save. False: it waits, or was refused. */
  async #saveAll(id: string): Promise<boolean> {
    const { drafts, unsent } = this.#context;
    for (;;) {
      if (unsent.has("save", id)) await this.#last.get(id);
      const draft = drafts.get(id);
      // A draft that cannot be saved yet is kept: the user has opened the call again and is typing.
      if (!draft || !isWhole(draft)) return true;
      if (!(await this.save(id, draft))) return false;
    }
  }

  #sent(what: Waiting, id: string): void {
    this.#context.unsent.drop(what, id);
    this.#reported.delete(`${what} ${id}`);
  }

  #wait(what: Waiting, id: string): void {
    this.#retry?.cancel();
    this.#retry = this.#context.clock.after(RETRY_AFTER, () => void this.sendUnsent());
    // Only once: it may wait for a long time.
    if (!this.#reported.has(`${what} ${id}`)) this.#context.waits(what, id);
    this.#reported.add(`${what} ${id}`);
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
    // The other pad's claim may not have arrived yet: until then the one in the refusal is used.
    const call = board.call(id);
    if (error.kind === "claimed" && error.claim && call && !call.claim) {
      board.apply({ ...call, claim: error.claim }, undefined, now());
    }
    // Closing, reopening and saving are sent again later.
    if (!canWait(error.kind) || name === "claim" || name === "release") failed(name, error);
    return error.kind;
  }
}

/** It was not refused: it may succeed with the next connection, or the next token. */
function canWait(outcome: Outcome): boolean {
  return outcome === "offline" || outcome === "no-token";
}
