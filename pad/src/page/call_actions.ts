// What people do to calls on this page. Every action shows at once and corrects itself: while it is under way the call
// looks as if it had worked, afterwards it is what the server says.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ActionError } from "../client/action_error.ts";
import type { NoteInit } from "../client/actions.ts";
import type { Pad } from "../client/connect.ts";
import { ClaimSchema, ReservationSchema, type Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Board } from "./board.ts";
import { rebase, sameDraft, type Draft, type Drafts } from "./drafts.ts";
import type { Expectations } from "./expectations.ts";
import { completed, draftOf, isWhole, noteOf } from "./reservation.ts";

/** What an action needs of the page. */
export interface ActionContext {
  pad: Pick<Pad, "claim" | "release" | "close" | "saveNote" | "identity">;
  board: Board;
  expectations: Expectations;
  drafts: Drafts;
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
}

/** The actions by name. */
export type ActionName = "claim" | "release" | "close" | "save";

/** Stands for our own id while the token does not tell it. */
const UNKNOWN_SELF = "self";

/** The page's actions. */
export class CallActions {
  readonly #context: ActionContext;
  /** The last action of each call: the next one waits for it, so that they arrive in the order of the taps. */
  readonly #last = new Map<string, Promise<unknown>>();
  /** Our id as a claim of ours had it, for tokens that cannot be read. */
  #learned: string | undefined;

  constructor(context: ActionContext) {
    this.#context = context;
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

  /** Done. What was typed is saved first: nobody who taps "done" means to throw it away. */
  async close(id: string): Promise<void> {
    const { drafts, unfinished } = this.#context;
    for (let draft = drafts.get(id); ; draft = drafts.get(id)) {
      if (!this.#context.isWhole(id) || (draft && !isWhole(draft))) return unfinished(id);
      if (!draft) break;
      if (!(await this.save(id, draft))) return;
    }
    const closed = await this.#act("close", id, (call) => ({ ...call, closed: true }), () => this.#context.pad.close(id));
    if (!closed) return;
    drafts.drop(id);
    this.#context.board.dismiss(id);
    this.#context.changed();
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
    const { pad, board, drafts, now } = this.#context;
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
    return this.#act("save", id, (call) => written(call, noteFor(call)), async () => {
      const call = await pad.saveNote(id, noteFor(board.call(id)));
      const typed = drafts.get(id);
      if (typed && sameDraft(typed, whole)) drafts.drop(id);
      else if (typed) drafts.set(id, typed, whole);
      return call;
    });
  }

  async #act(name: ActionName, id: string, change: (call: Call) => Call, send: () => Promise<Call>): Promise<boolean> {
    const { board, expectations, changed, now } = this.#context;
    const settled = expectations.expect(id, change);
    changed();
    const before = this.#last.get(id);
    const sent = (async () => {
      await before;
      try {
        board.apply(await send(), undefined, now());
        return true;
      } catch (error) {
        this.#failed(name, id, error);
        return false;
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

  #failed(name: ActionName, id: string, cause: unknown): void {
    const { board, failed, now } = this.#context;
    const error = cause instanceof ActionError ? cause : new ActionError("refused", String(cause), { cause });
    // The winner's update may be behind: until it comes, what the refusal said stands.
    const call = board.call(id);
    if (error.kind === "claimed" && error.claim && call && !call.claim) {
      board.apply({ ...call, claim: error.claim }, undefined, now());
    }
    failed(name, error);
  }
}
