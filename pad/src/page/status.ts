// The state of the connection, always in words and colour, and advice when a person can do something about it.

import type { ConnectionState } from "../client/listener.ts";
import { byId, setData, setHidden, setText } from "./dom.ts";
import { text } from "./text.ts";
import type { TokenFault } from "./token.ts";

/** Milliseconds; a shorter reconnect needs no advice. */
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
  /** What is wrong with the token, if the server has accepted none. */
  tokenFault(): TokenFault;
  /** What to do with the code of a tablet that is not registered; empty if there is none. */
  pairingWords(): string;
  /** The page must be drawn again. */
  changed(): void;
}

/** The status in the header and the advice below it. */
export class Status {
  readonly #context: StatusContext;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state: ConnectionState = { kind: "connecting" };
  /** The state has lasted long enough for advice. */
  #worthAdvice = false;

  constructor(context: StatusContext) {
    this.#context = context;
    byId("retry").addEventListener("click", () => context.retry());
  }

  get connected(): boolean {
    return this.#state.kind === "connected";
  }

  /** Whether actions can be sent: also if another page has replaced our stream. */
  get reachable(): boolean {
    return this.connected || this.#state.kind === "replaced";
  }

  /** The text in the middle of the screen while there is no popup. */
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

  /** Updates what is shown. */
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
    // The message covers the whole screen: it must not look like a day without calls.
    for (const id of ["main", "strip"]) byId(id).inert = cutOff;
  }

  /** What is wrong, and what to do about it. */
  #advice(): string {
    const { kind } = this.#state;
    if (kind !== "needs-token") return text.advice[kind] ?? "";
    return this.#context.pairingWords() || text.noToken[this.#context.tokenFault()];
  }

  #advise(): void {
    this.#worthAdvice = true;
    this.#context.changed();
  }
}
