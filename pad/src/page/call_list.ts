// The lists next to the popups: missed calls, and the recent ones by day.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { button, element, icon, KeyedList, setData, setHidden, setText, type ItemView } from "./dom.ts";
import { callBackLink, callerLabel, callerName, customer, dayName, holderName, names, reservationLine, talkTime, timeOfDay } from "./format.ts";
import { lineName } from "./settings.ts";
import { isOpen, phaseOf, startedAt, type Known, type Phase } from "./phase.ts";
import { text } from "./text.ts";

/** The actions of a list's lines. */
export interface ListContext {
  /** Opens the call to write a reservation or a note. */
  open(call: Call): void;
  /** Marks them as dealt with; absent where a list does not offer that. */
  close?(ids: readonly string[]): void;
  /** Shows the caller's number to call back; the calls are those of this caller in the list. */
  callBack(call: Call, ids: readonly string[]): void;
}

/** A call of a list, or several of the same caller, of which it is the newest. */
export interface Listed extends Known {
  /** Identifies the line while calls are added. */
  key?: string;
  /** All of them. */
  ids?: readonly string[];
}

/** A line of a list: a call, or the day above the calls that follow. */
type Line = { day: string } | { known: Listed; now: number };

/** A list of calls under its days. */
export class CallList {
  readonly #lines: KeyedList<Line>;
  readonly #empty: HTMLElement;

  constructor(container: HTMLElement, empty: HTMLElement, context: ListContext) {
    this.#empty = empty;
    this.#lines = new KeyedList<Line>(
      [container],
      (line) => ("day" in line ? `day ${line.day}` : (line.known.key ?? line.known.call.id)),
      (line) => ("day" in line ? dayView() : callView(line.known.call, context)),
    );
  }

  update(calls: readonly Listed[], now: number): void {
    const lines: Line[] = [];
    let day = "";
    for (const known of calls) {
      const itsDay = dayName(startedAt(known.call), now);
      if (itsDay !== day) lines.push({ day: itsDay });
      day = itsDay;
      lines.push({ known, now });
    }
    this.#lines.update(lines);
    setHidden(this.#empty, calls.length > 0);
  }

  /** Makes all lines again, e.g. in another language. */
  reset(): void {
    this.#lines.update([]);
  }
}

function dayView(): ItemView<Line> {
  const node = element("li", "list-day");
  return {
    node,
    update(line) {
      if ("day" in line) setText(node, line.day);
    },
  };
}

function callView(first: Call, context: ListContext): ItemView<Line> {
  let call = first;
  let ids: readonly string[] = [first.id];
  const time = element("span", "call-time");
  const name = element("span", "call-name");
  const number = element("span", "call-number");
  const count = element("span", "call-count");
  const dialled = element("span", "call-line");
  const phase = element("span", "call-phase");
  const detail = element("span", "call-detail");
  const main = button("call-main", "", () => context.open(call));
  const hint = element("span", "unseen");
  hint.textContent = text.openCall;
  main.append(time, element("span", "call-words", element("span", "call-who", name, number, count, dialled), phase, detail), hint);
  const callBack = element("a", "call-back", icon(HANDSET));
  callBack.addEventListener("click", () => context.callBack(call, ids));
  const done = button("call-done", "", () => context.close?.(ids));
  done.append(icon(CHECK));
  setHidden(done, !context.close);
  const node = element("li", "call", main, callBack, done);
  return {
    node,
    update(line) {
      if ("day" in line) return;
      const { known, now } = line;
      call = known.call;
      ids = known.ids ?? [call.id];
      const itsPhase = phaseOf(known, now);
      setData(node, "phase", call.closed ? "closed" : itsPhase);
      setData(node, "call", call.id);
      setText(time, timeOfDay(startedAt(call)));
      setText(name, names(call));
      setText(number, callerName(call));
      setText(count, ids.length > 1 ? text.timesMissed(ids.length) : "");
      setText(dialled, lineName(call.virtualNumber) ?? "");
      setText(phase, phaseWords(known, now));
      setText(detail, reservationLine(call, now).replaceAll(" · ", DOT) || call.note || callerWords(known, now, context));
      setLabel(done, text.doneWith(callerLabel(call)));
      showLink(callBack, call, itsPhase);
    },
  };
}

function phaseWords(known: Known, now: number): string {
  const phase = phaseOf(known, now);
  if (known.call.claim && isOpen(known.call)) return text.claimedBy(holderName(known.call));
  const words = phase === "ended" ? talkTime(known.call) || text.listed.ended : text.listed[phase];
  return known.call.closed ? `${words} · ${text.closed}` : words;
}

/** The number of this caller's call, never broken over two lines. "First call" only if there is nothing else to show. */
function callerWords({ call }: Known, now: number, { close }: ListContext): string {
  const isTold = close !== undefined || call.history?.calls;
  return isTold ? customer(call, now).headline.replaceAll(" ", "\u00a0").replaceAll("-", "\u2011") : "";
}

function showLink(link: HTMLAnchorElement, call: Call, phase: Phase): void {
  // A caller who is on the phone is not called back.
  const target = phase === "ringing" || phase === "answered" ? undefined : callBackLink(call);
  if (target && link.getAttribute("href") !== target) link.href = target;
  if (target) setLabel(link, text.callBackTo(callerLabel(call)));
  setHidden(link, !target);
}

function setLabel(node: HTMLElement, label: string): void {
  if (node.getAttribute("aria-label") !== label) node.setAttribute("aria-label", label);
}

/** Between a line's parts; no line begins with it. */
const DOT = "\u00a0· ";
const HANDSET =
  "M6.6 10.8a15.1 15.1 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.25 11.4 11.4 0 0 0 3.6.57 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 " +
  "17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1 11.4 11.4 0 0 0 .57 3.6 1 1 0 0 1-.25 1z";
const CHECK = "M9.6 17.6 4 12l1.7-1.7 3.9 3.9 8.7-8.7L20 7.2z";
