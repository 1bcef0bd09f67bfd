// A short word about a tap that came to nothing. A live region: it is also read out.

import { byId } from "./dom.ts";

const STAYS = 6_000;

let timer: ReturnType<typeof setTimeout> | undefined;

export function toast(words: string): void {
  const node = byId("toast");
  node.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(() => (node.textContent = ""), STAYS);
}
