// Reservations by day: today, tomorrow, the next days, or any day. Read from the server when a day is chosen and with each
// new connection, and kept true by updates.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Pad } from "../client/connect.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { DayBook } from "./day_book.ts";
import { button, element, KeyedList, setText, type ItemView } from "./dom.ts";
import { callerName, dayName, timeOfDay, weekday } from "./format.ts";
import { callerOf } from "./missed_groups.ts";
import type { PanelView } from "./panel.ts";
import { dayOf } from "./reservation.ts";
import { text } from "./text.ts";

const DAYS = 7;
const PAGE = 500;
/** No shop has more reservations in a day. */
const PAGES = 4;

/** What the panel needs of the page. */
export interface ReservationsContext {
  listReservations: Pad["listReservations"];
  /** The call as it will be when this pad's actions succeed. */
  current(call: Call): Call;
  /** Opens the call's form, to change its reservation. */
  change(call: Call): void;
  /** Shows everything of the caller. */
  customer(call: Call): void;
  /** Removes the reservation; that can be taken back. */
  cancel(call: Call): void;
  now(): number;
  /** The page must be drawn again. */
  changed(): void;
}

/** The panel. */
export class ReservationsPanel implements PanelView {
  readonly node: HTMLElement;
  readonly #context: ReservationsContext;
  readonly #picker = element("input", "form-input day-picker");
  readonly #days: KeyedList<{ date: string; words: string; chosen: boolean }>;
  readonly #lines: KeyedList<Call>;
  readonly #words = element("p", "empty");
  #date: string;
  #book: DayBook;
  #state: "loading" | "known" | "failed" = "loading";

  constructor(context: ReservationsContext) {
    this.#context = context;
    this.#date = dayOf(new Date(context.now()));
    this.#book = bookOf(this.#date);
    const days = element("div", "form-chips");
    days.setAttribute("role", "group");
    days.setAttribute("aria-label", text.days);
    this.#days = new KeyedList([days], ({ date }) => date, ({ date }) => dayView(() => this.#choose(date)));
    const list = element("ul", "reservations");
    this.#lines = new KeyedList([list], ({ id }) => id, (call) => lineView(call, context));
    this.#picker.type = "date";
    this.#picker.max = "9999-12-31";
    this.#picker.setAttribute("aria-label", text.days);
    this.#picker.addEventListener("change", () => this.#picker.value && this.#choose(this.#picker.value));
    this.#words.setAttribute("role", "status");
    this.node = element("div", "reservations-panel", element("div", "panel-days", days, this.#picker), this.#words, list);
    this.reload();
  }

  title(): string {
    return text.reservations;
  }

  /** A call's newest version. */
  add(call: Call): void {
    this.#book.add(call);
  }

  /** Reads the day again: a snapshot may have replaced updates, or there was no answer. */
  reload(): void {
    void this.#load(this.#book);
  }

  update(now: number): void {
    const today = new Date(now);
    const days = Array.from({ length: DAYS }, (_, on) => new Date(today.getFullYear(), today.getMonth(), today.getDate() + on));
    const wordsOf = (day: Date, on: number) => (on < 2 ? dayName(day.getTime(), now) : weekday(day.getTime()));
    this.#days.update(days.map((day, on) => ({ date: dayOf(day), words: wordsOf(day, on), chosen: dayOf(day) === this.#date })));
    if (this.#picker !== document.activeElement && this.#picker.value !== this.#date) this.#picker.value = this.#date;
    const calls = this.#book.calls((call) => this.#context.current(call));
    this.#lines.update(calls);
    const known = calls.length > 0 ? text.reservationsOf(dayName(this.#book.from, now), calls.length) : text.noReservations;
    setText(this.#words, { loading: text.searching, failed: text.reservationsFailed, known }[this.#state]);
  }

  #choose(date: string): void {
    this.#date = date;
    this.#book = bookOf(date);
    this.reload();
    this.#context.changed();
  }

  async #load(book: DayBook): Promise<void> {
    this.#state = "loading";
    // What is known is shown until the answer comes.
    const fresh = new DayBook(book.from, book.until, book.calls());
    this.#book = fresh;
    try {
      const found = await this.#ask(fresh);
      if (this.#book !== fresh) return;
      fresh.keepOnly(found);
      this.#state = "known";
    } catch {
      if (this.#book !== fresh) return;
      this.#state = "failed";
    }
    this.#context.changed();
  }

  async #ask({ from, until }: DayBook): Promise<Call[]> {
    const found: Call[] = [];
    let pageToken = "";
    for (let page = 0; page < PAGES; page += 1) {
      const answer = await this.#context.listReservations({ from, until, pageSize: PAGE, pageToken });
      found.push(...answer.calls);
      pageToken = answer.nextPageToken;
      if (pageToken === "") return found;
    }
    throw new Error("the day has more reservations than are read");
  }
}

function bookOf(date: string): DayBook {
  const day = new Date(`${date}T00:00`);
  return new DayBook(day.getTime(), new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1).getTime());
}

function dayView(choose: () => void): ItemView<{ words: string; chosen: boolean }> {
  const node = button("chip", "", choose);
  return {
    node,
    update({ words, chosen }) {
      setText(node, words);
      node.setAttribute("aria-pressed", String(chosen));
    },
  };
}

function lineView(first: Call, { change, cancel, customer }: ReservationsContext): ItemView<Call> {
  let call = first;
  const time = element("span", "reservation-time");
  const who = element("span", "reservation-who");
  const what = element("span", "reservation-what");
  const words = button("reservation-words", "", () => customer(call));
  words.append(who, what);
  const node = element(
    "li",
    "reservation",
    time,
    words,
    button("button", text.change, () => change(call)),
    button("button", text.cancelReservation, () => cancel(call)),
  );
  node.dataset["call"] = first.id;
  return {
    node,
    update(newest) {
      call = newest;
      const { at, customerName = "", carNumber = "", service = "" } = call.reservation ?? {};
      words.disabled = callerOf(call) === undefined;
      setText(time, at ? timeOfDay(timestampMs(at)) : "");
      setText(who, [customerName, carNumber].filter((part) => part !== "").join(" · ") || callerName(call));
      setText(what, [service, customerName || carNumber ? callerName(call) : "", call.note].filter((part) => part !== "").join(" · "));
    },
  };
}
