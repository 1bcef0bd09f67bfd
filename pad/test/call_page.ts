// A page that shows one ringing call, with a pad whose answers come when a test gives them.

import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { ActionError, type ActionFailure } from "../src/client/action_error.ts";
import type { NoteInit } from "../src/client/actions.ts";
import type { PadIdentity } from "../src/client/tokens.ts";
import { CallSchema, CallState, ClaimSchema, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { Board } from "../src/page/board.ts";
import { CallActions, type ActionContext } from "../src/page/call_actions.ts";
import { Drafts, emptyDraft, type Draft } from "../src/page/drafts.ts";
import { Expectations } from "../src/page/expectations.ts";
import { draftOf } from "../src/page/reservation.ts";
import { Unsent, type Waiting } from "../src/page/unsent.ts";
import { FakeClock, settle } from "./fakes.ts";

/** The server's time in these tests. */
export const T = Date.parse("2025-11-23T05:00:00Z");
/** Another pad's claim. */
export const THEIRS = create(ClaimSchema, { padId: "p2", padName: "2번 카운터" });

let revisions = 0n;
/** The next version of the call. */
export function call(more: MessageInitShape<typeof CallSchema> = {}): Call {
  revisions += 1n;
  return create(CallSchema, { id: "a", state: CallState.RINGING, revision: revisions, ...more } as MessageInitShape<typeof CallSchema>);
}

/** An action that waits for its answer. */
interface Sent {
  action: string;
  note?: NoteInit;
  answer(call: Call): Promise<void>;
  refuse(error: Error): Promise<void>;
}

/** A page that shows one ringing call. */
export class Page {
  identity: PadIdentity | undefined = { id: "p1", name: "1번 카운터" };
  readonly sent: Sent[] = [];
  readonly failures: string[] = [];
  /** Calls whose forms people were asked to complete. */
  readonly unfinished: string[] = [];
  formIsWhole = true;
  connected = true;
  readonly clock = new FakeClock();
  readonly unsent: Unsent;
  readonly drafts = new Drafts(undefined);
  readonly #expectations = new Expectations();
  readonly board: Board = new Board({
    me: () => this.actions.me(),
    expected: (it) => this.#expectations.of(it),
    hasDraft: (id) => this.drafts.has(id),
    isDone: (id) => this.actions.isDone(id),
  });
  readonly actions: CallActions;

  constructor(unsent = new Unsent(undefined)) {
    this.unsent = unsent;
    this.actions = new CallActions({
      pad: this.#pad(),
      board: this.board,
      expectations: this.#expectations,
      drafts: this.drafts,
      unsent: this.unsent,
      clock: this.clock,
      connected: () => this.connected,
      now: () => T,
      changed: () => {},
      isWhole: () => this.formIsWhole,
      unfinished: (id) => this.unfinished.push(id),
      failed: (action, { kind }) => this.failures.push(`${action} ${kind}`),
      waits: (action) => this.failures.push(`${action} waits`),
    });
    this.board.apply(call(), T + 30_000, T);
  }

  /** What has been asked of the server so far. */
  get asked(): string[] {
    return this.sent.map(({ action }) => action);
  }

  last(): Sent {
    return this.sent.at(-1) ?? assert.fail("nothing was sent");
  }

  /** Who has the call, as people see it; undefined when it is not on the screen. */
  get holder(): string | undefined {
    return this.board.popups(T)[0]?.holder;
  }

  /** Answers the last action with the next version of the call. */
  answer(more?: MessageInitShape<typeof CallSchema>): Promise<void> {
    return this.last().answer(call(more));
  }

  /** The last action fails. */
  refuse(kind: ActionFailure): Promise<void> {
    return this.last().refuse(new ActionError(kind, ""));
  }

  /** The calls for which this action waits. */
  waiting(action: Waiting): string[] {
    return this.unsent.all(action);
  }

  /** An update of the call arrives. */
  update(more: MessageInitShape<typeof CallSchema>): void {
    this.board.apply(call(more), undefined, T);
  }

  /** The user opens the call's form. */
  open(): void {
    this.board.open(this.board.call("a") ?? assert.fail("no call"), T);
  }

  /** The user taps "done". */
  async close(): Promise<void> {
    this.actions.close("a");
    await settle();
  }

  /** The form has this text, and is otherwise empty. */
  type(typed: Partial<Draft>): void {
    this.drafts.set("a", { ...emptyDraft(), ...typed });
  }

  /** The user types this into the form of the call as this page has it. */
  typeInto(typed: Partial<Draft>): void {
    const shown = draftOf(this.board.call("a") ?? assert.fail("no call"));
    this.actions.write("a", { ...(this.drafts.get("a") ?? shown), ...typed }, shown);
  }

  draft(): Draft {
    return this.drafts.get("a") ?? assert.fail("no draft");
  }

  #pad(): ActionContext["pad"] {
    const send = (action: string, note?: NoteInit) =>
      new Promise<Call>((resolve, reject) => {
        const answer = (it: Call) => (resolve(it), settle());
        const refuse = (error: Error) => (reject(error), settle());
        this.sent.push({ action, ...(note && { note }), answer, refuse });
      });
    return {
      claim: () => send("claim"),
      release: () => send("release"),
      close: () => send("close"),
      reopen: () => send("reopen"),
      saveNote: (_, note) => send("save", note),
      identity: () => this.identity,
    };
  }
}
