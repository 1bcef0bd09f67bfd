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

/** The parts of a card that change. */
function parts() {
  return {
    phase: element("span", "popup-phase"),
    time: element("span", "popup-time"),
    number: element("h2", "popup-number"),
    headline: element("span", "popup-headline"),
    detail: element("span", "popup-detail"),
    note: element("p", "popup-note"),
    claim: element("p", "popup-claim"),
    dialled: element("span", "popup-dialled"),
    memo: element("span", "popup-memo"),
    callBack: element("a", "button popup-call-back"),
  };
}

/** Makes the card of one call. */
export function popupView(id: string, onDismiss: (id: string) => void): ItemView<PopupItem> {
  const card = parts();
  card.callBack.textContent = text.callBack;
  const foot = element(
    "div",
    "popup-foot",
    element("p", "popup-meta", card.dialled, card.memo),
    card.callBack,
    button("button popup-dismiss", text.dismiss, () => onDismiss(id)),
  );
  const node = element(
    "article",
    "popup is-new",
    element("p", "popup-top", element("span", "popup-lamp"), card.phase, card.time),
    card.number,
    element("p", "popup-customer", card.headline, card.detail),
    card.note,
    card.claim,
    foot,
  );
  node.dataset["call"] = id;
  node.addEventListener("animationend", () => node.classList.remove("is-new"));
  return {
    node,
    update(item) {
      if (node.dataset["phase"] !== item.popup.phase) node.dataset["phase"] = item.popup.phase;
      fill(card, item);
    },
  };
}

function fill(card: ReturnType<typeof parts>, { popup, now }: PopupItem): void {
  const { call } = popup;
  const known = customer(call, now);
  setText(card.phase, text.phase[popup.phase]);
  setText(card.time, timeOf(popup, now));
  setText(card.number, callerName(call));
  card.number.style.setProperty("--width", String(widthInEm(callerName(call))));
  setText(card.headline, known.headline);
  setText(card.detail, known.detail);
  setText(card.note, call.history?.lastNote ?? "");
  setText(card.claim, call.claim ? text.claimedBy(call.claim.padName || call.claim.padId) : "");
  setText(card.dialled, call.virtualNumber && text.dialled(call.virtualNumber));
  setText(card.memo, call.memo);
  const link = popup.phase === "missed" ? callBackLink(call) : undefined;
  if (link && card.callBack.getAttribute("href") !== link) card.callBack.href = link;
  setHidden(card.callBack, !link);
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
