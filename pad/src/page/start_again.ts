// A tablet that may not show calls any more forgets the store's callers.

import { change } from "./settings.ts";
import { deviceStorage, tabStorage } from "./storage.ts";

/** Forgets all callers: what the tab and this device keep of them, and with the page everything on the screen and in memory. */
export function startAgain(): void {
  change(deviceStorage(), { callers: new Map() });
  tabStorage()?.clear();
  location.reload();
}
