// What a screen reader says, the tab's title, and what comes into sight: each ring once, and who took it.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Popup } from "./board.ts";
import { byId } from "./dom.ts";
import { callerName, customer, holderName } from "./format.ts";
import { text } from "./text.ts";

/** Announces rings. */
export class Announcer {
  readonly #onRing: (call: Call) => void;
  /** Calls that were announced as ringing, and then as taken. */
  readonly #rung = new Set<string>();
  readonly #held = new Set<string>();

  /** `onRing` is told of new rings: of the uppermost, however many come at once. */
  constructor(onRing: (call: Call) => void) {
    this.#onRing = onRing;
  }

  update(popups: readonly Popup[], title: string, now: number): void {
    const ringing = popups.filter(rings);
    const first = ringing[0];
    const wanted = first ? `☎ ${callerName(first.call)}` : title;
    if (document.title !== wanted) document.title = wanted;
    if (first && ringing.some(({ call }) => !this.#rung.has(call.id))) this.#onRing(first.call);
    const said: string[] = [];
    for (const { call } of ringing) {
      this.#held.delete(call.id);
      if (this.#rung.has(call.id)) continue;
      this.#rung.add(call.id);
      const { headline, detail } = customer(call, now);
      said.push(text.announce(callerName(call), `${headline} ${detail}`.trim()));
    }
    for (const { call, holder } of popups) {
      if (holder !== "other" || !this.#rung.has(call.id) || this.#held.has(call.id)) continue;
      this.#held.add(call.id);
      said.push(text.announceHeld(callerName(call), holderName(call)));
    }
    // All at once: the next words would take the place of the last ones before they are read.
    if (said.length > 0) byId("announce").textContent = said.join(". ");
    this.#forgetAllBut(popups);
  }

  #forgetAllBut(popups: readonly Popup[]): void {
    const ids = new Set(popups.map(({ call }) => call.id));
    for (const announced of [this.#rung, this.#held]) {
      for (const id of announced) if (!ids.has(id)) announced.delete(id);
    }
  }
}

/** Whether the call wants somebody: it rings, and nobody has taken it. */
export function rings({ phase, holder }: Popup): boolean {
  return phase === "ringing" && holder === "nobody";
}
