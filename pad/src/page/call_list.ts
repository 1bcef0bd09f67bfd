// The lists beside the popups: missed calls, to be called back, and the recent ones, by day.

import { element, icon, KeyedList, setHidden, setText, type ItemView } from "./dom.ts";
import { callBackLink, callerName, customer, dayName, talkTime, timeOfDay } from "./format.ts";
import { phaseOf, startedAt, type Known } from "./board.ts";
import { text } from "./text.ts";

/** A line of a list: a call, or the day above the calls that follow. */
type Line = { day: string } | { known: Known; now: number };

/** A list of calls under its days. */
export class CallList {
  readonly #lines: KeyedList<Line>;
  readonly #empty: HTMLElement;

  constructor(container: HTMLElement, empty: HTMLElement) {
    this.#empty = empty;
    this.#lines = new KeyedList<Line>(
      container,
      (line) => ("day" in line ? `day ${line.day}` : line.known.call.id),
      (line) => ("day" in line ? dayView() : callView()),
    );
  }

  update(calls: readonly Known[], now: number): void {
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

function callView(): ItemView<Line> {
  const time = element("span", "call-time");
  const number = element("span", "call-number");
  const phase = element("span", "call-phase");
  const detail = element("span", "call-detail");
  const callBack = element("a", "call-back", icon(HANDSET));
  const node = element("li", "call", time, element("p", "call-main", number, phase, detail), callBack);
  return {
    node,
    update(line) {
      if ("day" in line) return;
      const { known, now } = line;
      const { call } = known;
      const itsPhase = phaseOf(known, now);
      if (node.dataset["phase"] !== itsPhase) node.dataset["phase"] = itsPhase;
      node.dataset["call"] = call.id;
      setText(time, timeOfDay(startedAt(call)));
      setText(number, callerName(call));
      setText(phase, itsPhase === "ended" ? talkTime(call) || text.listed.ended : text.listed[itsPhase]);
      setText(detail, customer(call, now).headline);
      const link = callBackLink(call);
      if (link && callBack.getAttribute("href") !== link) {
        callBack.href = link;
        callBack.setAttribute("aria-label", text.callBackTo(callerName(call)));
      }
      setHidden(callBack, !link);
    },
  };
}

const HANDSET =
  "M6.6 10.8a15.1 15.1 0 0 0 6.6 6.6l2.2-2.2a1 1 0 0 1 1-.25 11.4 11.4 0 0 0 3.6.57 1 1 0 0 1 1 1V20a1 1 0 0 1-1 1A17 " +
  "17 0 0 1 3 4a1 1 0 0 1 1-1h3.5a1 1 0 0 1 1 1 11.4 11.4 0 0 0 .57 3.6 1 1 0 0 1-.25 1z";
