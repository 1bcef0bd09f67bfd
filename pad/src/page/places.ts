// Where everything that a finger can hit stands. Measured at each painting, so only what is in sight: of the lists' hundreds
// of lines a few are.

import type { Place } from "./settling.ts";

/** Whatever a finger can hit. */
const CONTROLS = ":is(button, a, input, textarea)";

/** Where every control in sight stands. */
export function places(): Map<Element, Place> {
  const shown = new Map<Element, Place>();
  const measure = (nodes: Iterable<Element>): void => {
    for (const node of nodes) {
      const place = node.getBoundingClientRect();
      if (place.width > 0) shown.set(node, place);
    }
  };
  measure(document.querySelectorAll(`${CONTROLS}:not(.list *)`));
  for (const list of document.querySelectorAll(".list")) {
    for (const line of inSight(list.children)) measure(line.querySelectorAll(CONTROLS));
  }
  return shown;
}

/** Of the lines of a list, which stand one below the other, those in sight. */
function* inSight(lines: HTMLCollection): Iterable<Element> {
  for (let at = firstInSight(lines); at < lines.length; at += 1) {
    const line = lines[at];
    if (!line || line.getBoundingClientRect().top >= innerHeight) return;
    yield line;
  }
}

/** Which line is the first that does not end above the screen: found by halves. */
function firstInSight(lines: HTMLCollection): number {
  let [from, to] = [0, lines.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((lines[middle]?.getBoundingClientRect().bottom ?? 0) > 0) to = middle;
    else from = middle + 1;
  }
  return from;
}
