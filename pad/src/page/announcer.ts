// What a screen reader reads, the tab's title, and which card is scrolled into view: each ring once, and who has claimed it.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Popup } from "./board.ts";
import { byId } from "./dom.ts";
import { callerLabel, customer, holderName } from "./format.ts";
import { text } from "./text.ts";

/** Announces rings. */
export class Announcer {
  readonly #onRing: (call: Call) => void;
  readonly #announced: (call: Call) => void;
  /** Calls that were announced as ringing, and then as claimed. */
  readonly #rung = new Set<string>();
  readonly #held = new Set<string>();

  /** `announced` gets each new ring. `onRing` gets the topmost of new rings, also if there are several at the same time. */
  constructor(onRing: (call: Call) => void, announced: (call: Call) => void = () => {}) {
    this.#onRing = onRing;
    this.#announced = announced;
  }

  update(popups: readonly Popup[], title: string, now: number): void {
    const ringing = popups.filter(rings);
    const first = ringing[0];
    const wanted = first ? `☎ ${callerLabel(first.call)}` : title;
    if (document.title !== wanted) document.title = wanted;
    if (first && ringing.some(({ call }) => !this.#rung.has(call.id))) this.#onRing(first.call);
    const announcements: string[] = [];
    for (const { call } of ringing) {
      this.#held.delete(call.id);
      if (this.#rung.has(call.id)) continue;
      this.#rung.add(call.id);
      const { headline, detail } = customer(call, now);
      this.#announced(call);
      announcements.push(text.announce(callerLabel(call), `${headline} ${detail}`.trim()));
    }
    for (const { call, holder } of popups) {
      if (holder !== "other" || !this.#rung.has(call.id) || this.#held.has(call.id)) continue;
      this.#held.add(call.id);
      announcements.push(text.announceHeld(callerLabel(call), holderName(call)));
    }
    // All in one text: a second text would replace the first one before it is read.
    if (announcements.length > 0) byId("announce").textContent = announcements.join(". ");
    this.#forgetAllBut(popups);
  }

  #forgetAllBut(popups: readonly Popup[]): void {
    const ids = new Set(popups.map(({ call }) => call.id));
    for (const announced of [this.#rung, this.#held]) {
      for (const id of announced) if (!ids.has(id)) announced.delete(id);
    }
  }
}

/** Whether the call rings and is not claimed. */
export function rings({ phase, holder }: Popup): boolean {
  return phase === "ringing" && holder === "nobody";
}
