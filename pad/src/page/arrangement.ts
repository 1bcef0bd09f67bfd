// Where a popup stands. Whoever is at work on a call keeps the screen for it: what rings meanwhile stands in the strip,
// one line each, always in sight. By what the board knows alone, never by where the focus is: a tap moves that, and
// nothing may move under a tap.

import { rings } from "./announcer.ts";
import type { Popup } from "./board.ts";

/** Cards on the stage, or lines in the strip above it. */
export type Spot = "stage" | "strip";

/** Where each popup stands. */
export function arrange(popups: readonly Popup[]): Map<Popup, Spot> {
  const atWork = popups.some(({ writing }) => writing);
  return new Map(popups.map((popup) => [popup, atWork && rings(popup) && !popup.writing ? "strip" : "stage"]));
}
