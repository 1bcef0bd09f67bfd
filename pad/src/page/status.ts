// How the connection stands, always in words and colour; and what a person should do about it, when there is something.

import type { ConnectionState } from "../client/connection.ts";
import { byId, setData, setHidden, setText } from "./dom.ts";
import { text } from "./text.ts";
import type { TokenFault } from "./token.ts";

/** A reconnect that takes no longer is nobody's concern. */
const WORTH_ADVICE_AFTER = 2_000;

type Tone = "good" | "waiting" | "bad";

const TONES: Record<ConnectionState["kind"], Tone> = {
  connecting: "waiting",
  connected: "good",
  reconnecting: "waiting",
  "needs-token": "bad",
  forbidden: "bad",
  "no-store": "bad",
  replaced: "bad",
  closed: "bad",
};

/** What the status needs of the page. */
export interface StatusContext {
  retry(): void;
  /** What is wrong with the token, where the server has taken none. */
  tokenFault(): TokenFault;
  /** Something looks different. */
  changed(): void;
}

/** The status in the header and the advice below it. */
export class Status {
  readonly #context: StatusContext;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state: ConnectionState = { kind: "connecting" };
  /** It has stood long enough to be somebody's concern. */
  #worthAdvice = false;

  constructor(context: StatusContext) {
    this.#context = context;
    byId("retry").addEventListener("click", () => context.retry());
  }

  get connected(): boolean {
    return this.#state.kind === "connected";
  }

  /** What people do can be told to the server. Where another screen has taken the stream over, only that is missing. */
  get reachable(): boolean {
    return this.connected || this.#state.kind === "replaced";
  }

  /** What stands in the middle of the screen while nothing else does. */
  get quietWords(): string {
    return this.connected ? text.waiting : text.connection[this.#state.kind];
  }

  set(state: ConnectionState): void {
    this.#state = state;
    clearTimeout(this.#timer);
    this.#worthAdvice = TONES[state.kind] !== "waiting";
    if (!this.#worthAdvice) this.#timer = setTimeout(() => this.#advise(), WORTH_ADVICE_AFTER);
    this.#context.changed();
  }

  /** Brings what is shown up to date. */
  show(): void {
    const { kind } = this.#state;
    const chip = byId("connection");
    setData(chip, "state", kind);
    setData(chip, "tone", TONES[kind]);
    if (this.#state.kind === "connected") setData(chip, "transport", this.#state.transport);
    setText(byId("connection-text"), text.connection[kind]);
    const cutOff = TONES[kind] === "bad";
    const advice = this.#worthAdvice ? this.#advice() : "";
    setText(byId("advice-title"), cutOff ? text.cutOff : "");
    setText(byId("advice-text"), advice);
    setText(byId("advice-meanwhile"), cutOff ? text.meanwhile : "");
    setData(byId("advice"), "tone", TONES[kind]);
    setHidden(byId("advice"), advice === "");
    setHidden(byId("retry"), kind !== "replaced");
    // The message takes the whole screen: nobody must take it for a quiet day.
    for (const id of ["main", "strip"]) byId(id).inert = cutOff;
  }

  /** What is wrong, and what to do about it. */
  #advice(): string {
    const { kind } = this.#state;
    return (kind === "needs-token" ? text.noToken[this.#context.tokenFault()] : text.advice[kind]) ?? "";
  }

  #advise(): void {
    this.#worthAdvice = true;
    this.#context.changed();
  }
}
