// How the connection stands, always in words and colour; and what a person should do about it, when there is something.

import type { ConnectionState } from "../client/connection.ts";
import { byId, setHidden, setText } from "./dom.ts";
import { text } from "./text.ts";

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

/** The status in the header and the advice below it. */
export class Status {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state: ConnectionState = { kind: "connecting" };

  constructor(onRetry: () => void) {
    byId("retry").addEventListener("click", onRetry);
  }

  get connected(): boolean {
    return this.#state.kind === "connected";
  }

  /** What stands in the middle of the screen while nothing else does. */
  get quietWords(): string {
    return this.connected ? text.waiting : text.connection[this.#state.kind];
  }

  /** The same in the language that was just chosen. */
  translate(): void {
    this.show(this.#state);
  }

  show(state: ConnectionState): void {
    this.#state = state;
    const chip = byId("connection");
    chip.dataset["state"] = state.kind;
    chip.dataset["tone"] = TONES[state.kind];
    if (state.kind === "connected") chip.dataset["transport"] = state.transport;
    setText(byId("connection-text"), text.connection[state.kind]);
    clearTimeout(this.#timer);
    const advice = text.advice[state.kind] ?? "";
    if (TONES[state.kind] === "waiting") {
      this.#timer = setTimeout(() => this.#advise(advice, state), WORTH_ADVICE_AFTER);
    } else {
      this.#advise(advice, state);
    }
  }

  #advise(advice: string, state: ConnectionState): void {
    setText(byId("advice-text"), advice);
    byId("advice").dataset["tone"] = TONES[state.kind];
    setHidden(byId("advice"), advice === "");
    setHidden(byId("retry"), state.kind !== "replaced");
  }
}
