// A short message about an action that failed or waits. A live region: screen readers read it.

import { byId } from "./dom.ts";

const STAYS = 6_000;

let timer: ReturnType<typeof setTimeout> | undefined;

export function toast(words: string): void {
  const node = byId("toast");
  node.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(() => (node.textContent = ""), STAYS);
}
