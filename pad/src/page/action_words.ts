// What the page says about an action that failed, or waits.

import type { ActionError } from "../client/action_error.ts";
import type { ActionName } from "./call_actions.ts";
import { formOf } from "./reservation_form.ts";
import { text } from "./text.ts";
import { toast } from "./toast.ts";
import type { Waiting } from "./unsent.ts";

/** Why an action failed. */
export function wordsOf(action: ActionName, { kind, claim }: ActionError): string {
  if (kind !== "claimed") return text.failed[kind];
  if (claim?.padName) return text.claimedBy(claim.padName);
  // Closing and saving never fail with "claimed".
  return action === "claim" ? text.lost.claim : text.lost.release;
}

export function sayThatItWaits(action: Waiting, id: string): void {
  // The form shows it next to its button.
  if (action === "save" && formOf(id)?.getClientRects().length) return;
  toast({ save: text.savedLater, close: text.closedLater, reopen: text.reopenedLater }[action]);
}
