// Keeps the field that somebody is typing into visible: rings that make the strip grow would push it under the keyboard. If
// the user has scrolled away from it, the page stays where it is.

import { byId } from "./dom.ts";

/** Whether somebody is typing: then the page does not scroll. */
export function isTyping(): boolean {
  return document.activeElement?.matches("input, textarea") ?? false;
}

/** Stores the place of the focused field; the returned function is to be called after the screen was painted. */
export function keepWritingInSight(): () => void {
  const field = document.activeElement;
  if (!(field instanceof HTMLElement) || !field.matches(".popup-form :is(input, textarea)") || !isInSight(field)) {
    return () => {};
  }
  return () => {
    if (field === document.activeElement && !isInSight(field)) field.scrollIntoView({ block: "nearest" });
  };
}

/** By rectangles, and not with elementFromPoint: elements that have just moved take no taps. */
function isInSight(field: HTMLElement): boolean {
  const { top, bottom } = field.getBoundingClientRect();
  const stage = byId("popups").parentElement?.getBoundingClientRect();
  const foot = field.closest(".popup")?.querySelector(".popup-foot")?.getBoundingClientRect();
  const { offsetTop = 0, height = innerHeight } = visualViewport ?? {};
  const from = Math.max(offsetTop, stage?.top ?? 0, byId("strip").getBoundingClientRect().bottom);
  const to = Math.min(offsetTop + height, stage?.bottom ?? Infinity, foot?.top ?? Infinity);
  return top >= from - 1 && bottom <= to + 1;
}
