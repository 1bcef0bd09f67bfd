// One popup: who calls, whether the caller is known, how long it has been ringing, and the buttons. Readable from a
// distance.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Spot } from "./arrangement.ts";
import type { Popup } from "./board.ts";
import { button, element, icon, setData, setHidden, setText, type ItemView } from "./dom.ts";
import { bookedLine, callBackLink, callerName, customer, holderName, notesOf, people, stopwatch, talkTime, widthInEm } from "./format.ts";
import { ReservationForm, type FormContext } from "./reservation_form.ts";
import { callerOf } from "./missed_groups.ts";
import { lineName } from "./settings.ts";
import { text } from "./text.ts";

/** A popup, its place on the screen, and the server's time for which it is drawn. */
export interface PopupItem {
  popup: Popup;
  spot: Spot;
  /** The whole text is shown. */
  whole: boolean;
  now: number;
}

/** What a card needs of the page. */
export interface PopupContext extends FormContext {
  claim(id: string): void;
  release(id: string): void;
  close(id: string): void;
  dismiss(id: string): void;
  /** Shows everything of the caller. */
  customer(call: Call): void;
  /** Shows the caller's number to call back. */
  callBack(call: Call, ids: readonly string[]): void;
  /** Shows the whole text, or only three lines again. */
  toggleMore(id: string): void;
  /** Shows the form of a call that is not claimed. */
  open(call: Call): void;
}

type Card = ReturnType<typeof parts>;

/** The parts of a card that change. */
function parts(id: string, context: PopupContext, call: () => Call) {
  const form = new ReservationForm(id, context);
  return {
    form,
    phase: element("span", "popup-phase"),
    time: element("span", "popup-time"),
    people: element("span", "popup-people"),
    number: element("span", "popup-number"),
    headline: element("span", "popup-headline"),
    detail: element("span", "popup-detail"),
    booked: element("p", "popup-booked"),
    note: element("p", "popup-note"),
    more: button("popup-more", text.more, () => context.toggleMore(id)),
    dialled: element("span", "popup-dialled"),
    memo: element("span", "popup-memo"),
    callBack: element("a", "button popup-call-back"),
    customer: button("corner-button popup-customer-record", "", () => context.customer(call())),
    claim: button("button popup-claim", text.claim, () => context.claim(id)),
    write: button("button popup-write", text.write, () => context.open(call())),
    release: button("button popup-release", text.release, () => context.release(id)),
    close: button("button popup-close", text.done, () => {
      if (!context.drafts.has(id) || form.isValid()) context.close(id);
    }),
    dismiss: button("corner-button popup-dismiss", "", () => context.dismiss(id)),
  };
}

/** Makes the card of one call. */
export function popupView(first: Call, context: PopupContext): ItemView<PopupItem> {
  let call = first;
  const card = parts(call.id, context, () => call);
  const who = element("h2", "popup-who", card.people, card.number);
  const node = element(
    "article",
    "popup is-new",
    element("p", "popup-top", element("span", "popup-lamp"), card.phase, card.time, card.customer, card.dismiss),
    who,
    element("p", "popup-customer", card.headline, card.detail),
    card.booked,
    card.note,
    card.more,
    card.form.node,
    element(
      "div",
      "popup-foot",
      element("p", "popup-meta", card.dialled, card.memo),
      element("div", "popup-actions", card.callBack, card.write, card.release, card.close, card.claim),
    ),
  );
  card.callBack.textContent = text.callBack;
  card.callBack.addEventListener("click", () => context.callBack(call, [call.id]));
  card.customer.append(icon(PERSON));
  card.customer.setAttribute("aria-label", text.customerRecord);
  card.dismiss.append(icon(CROSS));
  card.dismiss.setAttribute("aria-label", text.dismiss);
  who.id = `who-${call.id}`;
  node.setAttribute("aria-labelledby", who.id);
  setData(node, "call", call.id);
  node.tabIndex = -1;
  node.addEventListener("animationend", () => node.classList.remove("is-new"));
  return {
    node,
    update(item) {
      call = item.popup.call;
      setData(node, "phase", item.popup.phase);
      setData(node, "holder", item.popup.holder);
      setData(node, "writing", String(item.popup.writing));
      setData(node, "whole", String(item.whole));
      showTexts(card, item);
      const focused = document.activeElement;
      showButtons(card, item);
      keepFocus(node, focused);
    },
  };
}

function showTexts(card: Card, { popup, now }: PopupItem): void {
  const { call } = popup;
  const known = customer(call, now);
  setText(card.phase, headingOf(popup));
  setText(card.time, timeOf(popup, now));
  showPeople(card.people, people(call));
  setText(card.number, callerName(call));
  setWidth(card.number);
  setText(card.headline, known.headline);
  setText(card.detail, known.detail);
  setText(card.booked, bookedLine(call, now));
  setText(card.note, notesOf(call));
  setText(card.dialled, call.virtualNumber && text.dialled(dialledName(call.virtualNumber)));
  setText(card.memo, call.memo);
}

/** The number, after its name if it has one here; then the number is never broken over two lines. */
function dialledName(virtualNumber: string): string {
  const name = lineName(virtualNumber);
  return name === undefined ? virtualNumber : `${name} ${virtualNumber.replaceAll("-", "\u2011")}`;
}

/** Several people may share a number: each has a line. */
function showPeople(node: HTMLElement, lines: readonly string[]): void {
  setHidden(node, lines.length === 0);
  if (node.dataset["people"] === lines.join("\n")) return;
  setData(node, "people", lines.join("\n"));
  setData(node, "several", String(lines.length > 1));
  node.replaceChildren(...lines.map((line) => {
    const person = element("span", "popup-person");
    person.textContent = line;
    setWidth(person);
    return person;
  }));
}

/** For the font's size: the text is as large as fits. */
function setWidth(node: HTMLElement): void {
  const width = String(widthInEm(node.textContent ?? ""));
  if (node.style.getPropertyValue("--width") !== width) node.style.setProperty("--width", width);
}

/** Shows the buttons that make sense now; at most three, and one of them is clearly the first choice. */
function showButtons(card: Card, { popup, spot, now }: PopupItem): void {
  const { call, phase, holder, opened, writing } = popup;
  const live = phase === "ringing" || phase === "answered" || phase === "unknown";
  const link = phase === "missed" && holder !== "other" ? callBackLink(call) : undefined;
  if (link && card.callBack.getAttribute("href") !== link) card.callBack.href = link;
  setHidden(card.callBack, !link);
  setHidden(card.claim, !live || holder !== "nobody" || call.closed);
  setHidden(card.write, writing || live || holder === "other");
  setHidden(card.release, holder !== "me" || call.closed);
  setHidden(card.close, call.closed || holder === "other" || !(writing || !live));
  // In the strip there is one button, so that nobody taps a wrong one.
  setHidden(card.dismiss, spot === "strip" || (holder === "me" && !call.closed && !opened));
  setHidden(card.customer, spot === "strip" || callerOf(call) === undefined);
  setHidden(card.form.node, !writing);
  // The form shows it already.
  setHidden(card.booked, !card.booked.textContent || (writing && call.reservation !== undefined));
  card.form.update(call, writing, now);
}

/** Shows the button "more" on cards whose text is cut off; the cards must be in the document. */
export function offerMore(): void {
  const notes = [...document.querySelectorAll<HTMLElement>(".popup")].map((card) => {
    const texts = [...card.querySelectorAll(":scope > :is(.popup-note, .popup-booked)")];
    const cut = texts.some(({ scrollHeight, clientHeight }) => scrollHeight > clientHeight + 1);
    return { more: card.querySelector<HTMLElement>(".popup-more"), cut, whole: card.dataset["whole"] === "true" };
  });
  for (const { more, cut, whole } of notes) {
    if (!more) continue;
    if (whole || cut) setText(more, whole ? text.less : text.more);
    setHidden(more, !whole && !cut);
  }
}

/** If the focused button was hidden, the card gets the focus. */
function keepFocus(node: HTMLElement, focused: Element | null): void {
  if (focused instanceof HTMLElement && focused.hidden && node.contains(focused)) node.focus({ preventScroll: true });
}

function headingOf({ call, phase, holder }: Popup): string {
  const live = phase === "ringing" || phase === "unknown";
  if (holder === "other") return text.claimedBy(holderName(call));
  return holder === "me" && live ? text.inHand : text.phase[phase];
}

/** How long it rings, or how long people talk or talked; nothing where nobody knows. */
function timeOf({ call, phase, holder, ringingSince }: Popup, now: number): string {
  switch (phase) {
    case "ringing":
    case "unknown":
      if (holder === "me" && call.claim?.at) return stopwatch(now - timestampMs(call.claim.at));
      return phase === "ringing" && holder === "nobody" ? stopwatch(now - ringingSince) : "";
    case "answered":
      return call.answeredAt ? stopwatch(now - timestampMs(call.answeredAt)) : "";
    case "missed":
      return "";
    case "ended":
      return talkTime(call);
  }
}

const PERSON = "M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zm0 2c-4.4 0-8 2.2-8 5v2h16v-2c0-2.8-3.6-5-8-5z";
const CROSS = "M6.4 5 5 6.4 10.6 12 5 17.6 6.4 19l5.6-5.6 5.6 5.6 1.4-1.4-5.6-5.6L19 6.4 17.6 5 12 10.6z";
