// The places of all controls on the screen. They are measured at each painting, so only the visible ones: a list may have
// hundreds of lines, and few of them are visible.

import type { Place } from "./settling.ts";

/** Selects the controls that a user can tap. */
const CONTROLS = ":is(button, a, input, textarea)";

/** The place of every visible control. */
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

/** The visible lines of a list. Its lines are one below the other. */
function* inSight(lines: HTMLCollection): Iterable<Element> {
  for (let at = firstInSight(lines); at < lines.length; at += 1) {
    const line = lines[at];
    if (!line || line.getBoundingClientRect().top >= innerHeight) return;
    yield line;
  }
}

/** The index of the first line that does not end above the screen, by binary search. */
function firstInSight(lines: HTMLCollection): number {
  let [from, to] = [0, lines.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((lines[middle]?.getBoundingClientRect().bottom ?? 0) > 0) to = middle;
    else from = middle + 1;
  }
  return from;
}
