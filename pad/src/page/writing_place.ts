// The field that somebody is writing into stays in sight, whatever comes: rings that make the strip grow would push it
// under the keyboard. Whoever has scrolled away from it is left where they are.

import { byId } from "./dom.ts";

/** Notes where somebody is writing; gives back what to do once the screen was painted. */
export function keepWritingInSight(): () => void {
  const field = document.activeElement;
  if (!(field instanceof HTMLElement) || !field.matches(".popup-form :is(input, textarea)") || !isInSight(field)) {
    return () => {};
  }
  return () => {
    if (field === document.activeElement && !isInSight(field)) field.scrollIntoView({ block: "nearest" });
  };
}

/** By places, not by what a tap would hit: what has just moved takes none. */
function isInSight(field: HTMLElement): boolean {
  const { top, bottom } = field.getBoundingClientRect();
  const stage = byId("popups").parentElement?.getBoundingClientRect();
  const foot = field.closest(".popup")?.querySelector(".popup-foot")?.getBoundingClientRect();
  const { offsetTop = 0, height = innerHeight } = visualViewport ?? {};
  const from = Math.max(offsetTop, stage?.top ?? 0, byId("strip").getBoundingClientRect().bottom);
  const to = Math.min(offsetTop + height, stage?.bottom ?? Infinity, foot?.top ?? Infinity);
  return top >= from - 1 && bottom <= to + 1;
}
