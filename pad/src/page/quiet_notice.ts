// Says in the bar why no call rings, and until when; after do-not-disturb it says how many calls came meanwhile, until
// somebody taps it: a silent page must not look like a quiet phone.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { byId, setData, setText } from "./dom.ts";
import { untilWhen } from "./format.ts";
import { change, settings } from "./settings.ts";
import { isOpenAt, isDisturbOn, nextOpening, silencedBy } from "./silence.ts";
import { deviceStorage } from "./storage.ts";
import { text } from "./text.ts";

/** What the notice needs of the page. */
export interface QuietNoticeContext {
  /** The server's time. */
  now(): number;
  /** The calls that the page has. */
  calls(): Call[];
  showSettings(): void;
  /** The page must be drawn again. */
  changed(): void;
}

/** The notice in the bar. */
export class QuietNotice {
  readonly #context: QuietNoticeContext;

  constructor(context: QuietNoticeContext) {
    this.#context = context;
    byId("silence").addEventListener("click", () => this.#tapped());
  }

  /** Updates what is shown. */
  show(now: number): void {
    const over = this.#callsMeanwhile(now);
    setText(byId("silence-text"), over > 0 ? text.disturbOver(over) : reason(now));
    setData(byId("silence"), "over", String(over > 0));
    byId("silence").hidden = byId("silence-text").hidden;
  }

  #tapped(): void {
    if (this.#callsMeanwhile(this.#context.now()) === 0) return this.#context.showSettings();
    change(deviceStorage(), { disturb: null });
    this.#context.changed();
  }

  /** How many calls came during do-not-disturb, once it is over. */
  #callsMeanwhile(now: number): number {
    const { disturb } = settings;
    return disturb && !isDisturbOn(settings, now) ? silencedBy(disturb, this.#context.calls(), settings) : 0;
  }
}

function reason(now: number): string {
  const { disturb, hours } = settings;
  if (disturb && isDisturbOn(settings, now)) return text.disturbUntil(untilWhen(disturb.until, now));
  if (isOpenAt(hours, now)) return "";
  const opens = nextOpening(hours, now);
  return opens === undefined ? text.closedNow : text.closedUntil(untilWhen(opens, now));
}
