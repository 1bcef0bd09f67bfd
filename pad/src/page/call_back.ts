// Calling back: the number, large; a QR code that opens the dialler of a member of staff's own phone, where this device cannot
// dial; and what came of it, which closes the caller's missed calls or is noted on them.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { button, element } from "./dom.ts";
import { callBackLink, callerLabel, callerName, people, timeOfDay } from "./format.ts";
import type { PanelView } from "./panel.ts";
import { qrCode } from "./qr.ts";
import { text } from "./text.ts";

/** What calling back needs of the page. */
export interface CallBackContext {
  /** Somebody has spoken with the caller. */
  reached(note: string): void;
  /** Nobody answered. */
  notReached(note: string): void;
  /** The server's time. */
  now(): number;
  close(): void;
}

/** The panel that calls `call` back. */
export function callBackView(call: Call, { reached, notReached, now, close }: CallBackContext): PanelView {
  const person = element("p", "panel-person");
  person.textContent = people(call).join(", ");
  const number = element("p", "panel-number");
  number.textContent = callerName(call);
  const link = callBackLink(call) ?? "";
  const dial = element("a", "button");
  dial.href = link;
  dial.textContent = text.dialHere;
  const hint = element("p", "panel-hint");
  hint.textContent = text.scanToDial;
  const said = (words: string) => `${timeOfDay(now())} ${words}`;
  const results = element(
    "div",
    "panel-actions",
    button("button first", text.reached, () => (close(), reached(said(text.reachedNote)))),
    button("button", text.notReached, () => (close(), notReached(said(text.notReachedNote)))),
  );
  const words = element("div", "call-back-words", person, number, dial, results);
  const code = element("div", "call-back-code", qrCode(link, text.callBackTo(callerLabel(call))), hint);
  return { title: () => text.callBack, node: element("div", "call-back-panel", words, code), update() {} };
}
