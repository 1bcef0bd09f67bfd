// One popup: who calls, whether we know them, and how long it has been ringing. Readable across a counter.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { callBackLink, callerName, customer, stopwatch, talkTime, widthInEm } from "./format.ts";
import { button, element, setHidden, setText, type ItemView } from "./dom.ts";
import type { Popup } from "./board.ts";
import { text } from "./text.ts";

/** A popup and the server's time at which it is drawn. */
export interface PopupItem {
  popup: Popup;
  now: number;
}

/** Makes the card of one call. */
export function popupView(id: string, onDismiss: (id: string) => void): ItemView<PopupItem> {
  const phase = element("span", "popup-phase");
  const time = element("span", "popup-time");
  const number = element("h2", "popup-number");
  const headline = element("span", "popup-headline");
  const detail = element("span", "popup-detail");
  const note = element("p", "popup-note");
  const claim = element("p", "popup-claim");
  const dialled = element("span", "popup-dialled");
  const memo = element("span", "popup-memo");
  const callBack = element("a", "button popup-call-back");
  callBack.textContent = text.callBack;
  const node = element(
    "article",
    "popup is-new",
    element("p", "popup-top", element("span", "popup-lamp"), phase, time),
    number,
    element("p", "popup-customer", headline, detail),
    note,
    claim,
    element(
      "div",
      "popup-foot",
      element("p", "popup-meta", dialled, memo),
      callBack,
      button("button popup-dismiss", text.dismiss, () => onDismiss(id)),
    ),
  );
  node.dataset["call"] = id;
  node.addEventListener("animationend", () => node.classList.remove("is-new"));

  return {
    node,
    update({ popup, now }) {
      const { call } = popup;
      const known = customer(call, now);
      if (node.dataset["phase"] !== popup.phase) node.dataset["phase"] = popup.phase;
      setText(phase, text.phase[popup.phase]);
      setText(time, timeOf(popup, now));
      setText(number, callerName(call));
      number.style.setProperty("--width", String(widthInEm(callerName(call))));
      setText(headline, known.headline);
      setText(detail, known.detail);
      setText(note, call.history?.lastNote ?? "");
      setText(claim, call.claim ? text.claimedBy(call.claim.padName || call.claim.padId) : "");
      setText(dialled, call.virtualNumber && text.dialled(call.virtualNumber));
      setText(memo, call.memo);
      const link = popup.phase === "missed" ? callBackLink(call) : undefined;
      if (link && callBack.getAttribute("href") !== link) callBack.href = link;
      setHidden(callBack, !link);
    },
  };
}

/** How long it rings, or how long people talk or talked; nothing where nobody knows. */
function timeOf({ call, phase, ringingSince }: Popup, now: number): string {
  switch (phase) {
    case "ringing":
      return stopwatch(now - ringingSince);
    case "answered":
      return call.answeredAt ? stopwatch(now - timestampMs(call.answeredAt)) : "";
    case "unknown":
    case "missed":
      return "";
    case "ended":
      return talkTime(call);
  }
}
