// What a screen reader says, and the tab's title: each ring once, and who took it.

import type { Popup } from "./board.ts";
import { byId } from "./dom.ts";
import { callerName, customer, holderName } from "./format.ts";
import { text } from "./text.ts";

/** Announces rings. */
export class Announcer {
  /** Calls that were announced as ringing, and then as taken. */
  readonly #rung = new Set<string>();
  readonly #held = new Set<string>();

  update(popups: readonly Popup[], title: string, now: number): void {
    const ringing = popups.filter(rings);
    const first = ringing[0];
    const wanted = first ? `☎ ${callerName(first.call)}` : title;
    if (document.title !== wanted) document.title = wanted;
    for (const { call } of ringing) {
      this.#held.delete(call.id);
      if (this.#rung.has(call.id)) continue;
      this.#rung.add(call.id);
      const { headline, detail } = customer(call, now);
      say(text.announce(callerName(call), `${headline} ${detail}`));
    }
    for (const { call, holder } of popups) {
      if (holder !== "other" || !this.#rung.has(call.id) || this.#held.has(call.id)) continue;
      this.#held.add(call.id);
      say(text.announceHeld(callerName(call), holderName(call)));
    }
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

function say(words: string): void {
  byId("announce").textContent = words;
}
