// The place of each popup. While somebody works on a call, its card keeps the screen, and calls that ring meanwhile are in
// the strip, one line each, always visible. Only the board's state decides, not the focus: a tap changes the focus, and
// nothing may move under a tap.

import { rings } from "./announcer.ts";
import type { Popup } from "./board.ts";

/** Cards on the stage, or lines in the strip above it. */
export type Spot = "stage" | "strip";

/** The place of each popup. */
export function arrange(popups: readonly Popup[]): Map<Popup, Spot> {
  const atWork = popups.some(({ writing }) => writing);
  return new Map(popups.map((popup) => [popup, atWork && rings(popup) && !popup.writing ? "strip" : "stage"]));
}
