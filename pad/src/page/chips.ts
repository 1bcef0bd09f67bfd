// What a form offers for one tap: the people who share the caller's number, the shop's services, days and times.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { button, element, setHidden } from "./dom.ts";
import type { Draft } from "./drafts.ts";
import { dayName, weekday } from "./format.ts";
import { dayOf } from "./reservation.ts";
import { MOST_SERVICES, settings } from "./settings.ts";
import { text } from "./text.ts";

const DAYS = 5;
/** The hours in which shops take cars. */
const FROM_HOUR = 9;
const UNTIL_HOUR = 19;

type Values = Partial<Draft>;

interface Chip {
  node: HTMLButtonElement;
  values: Values;
}

/** The chips of one form. */
export class Chips {
  readonly people = row("people");
  readonly services = row("services");
  readonly days = row("days");
  readonly times = row("times");
  readonly #choose: (values: Values) => void;
  #chips: Chip[] = [];
  #draft: Draft | undefined;

  /** `choose` gets the fields of the chip that was tapped; empty ones if it was chosen already. */
  constructor(choose: (values: Values) => void) {
    this.#choose = choose;
  }

  /** Makes the chips, when the form is shown for the first time. */
  offer(call: Call, services: () => readonly string[], now: number): void {
    if (this.#chips.length > 0) return;
    if (call.customers.length > 1) this.#fill(this.people, text.whoCalls, peopleChips(call));
    this.#fill(this.services, text.services, serviceChips(call, services()));
    this.#fill(this.days, text.days, dayChips(now));
    this.#fill(this.times, text.times, timeChips());
  }

  /** Shows which chips are chosen. */
  show(draft: Draft): void {
    this.#draft = draft;
    for (const { node, values } of this.#chips) node.setAttribute("aria-pressed", String(isChosen(values, draft)));
  }

  #fill(container: HTMLElement, label: string, offered: readonly (readonly [string, Values])[]): void {
    setHidden(container, offered.length === 0);
    container.setAttribute("aria-label", label);
    for (const [words, values] of offered) {
      const node = button("chip", words, () => this.#tapped(values));
      // With the keyboard the fields are faster: Tab goes from one to the next.
      node.tabIndex = -1;
      container.append(node);
      this.#chips.push({ node, values });
    }
  }

  #tapped(values: Values): void {
    const chosen = this.#draft !== undefined && isChosen(values, this.#draft);
    this.#choose(chosen ? Object.fromEntries(Object.keys(values).map((field) => [field, ""])) : values);
  }
}

function peopleChips(call: Call): [string, Values][] {
  return call.customers.map((customer) => [
    [customer.name, customer.carNumber].filter((part) => part !== "").join(" · ") || customer.id,
    { name: customer.name, car: customer.carNumber },
  ]);
}

/** The caller's last service first, then those of the settings. */
function serviceChips({ history }: Call, services: readonly string[]): [string, Values][] {
  const all = new Set([history?.lastReservation?.service ?? "", ...settings.services, ...services]);
  all.delete("");
  return [...all].slice(0, MOST_SERVICES).map((service) => [service, { service }]);
}

function dayChips(now: number): [string, Values][] {
  const today = new Date(now);
  return Array.from({ length: DAYS }, (_, days) => {
    const day = new Date(today.getFullYear(), today.getMonth(), today.getDate() + days);
    const words = days < 2 ? dayName(day.getTime(), now) : weekday(day.getTime());
    return [words, { date: dayOf(day) }];
  });
}

function timeChips(): [string, Values][] {
  return Array.from({ length: UNTIL_HOUR - FROM_HOUR + 1 }, (_, at) => {
    const hour = FROM_HOUR + at;
    return [text.hour(hour), { time: `${String(hour).padStart(2, "0")}:00` }];
  });
}

function isChosen(values: Values, draft: Draft): boolean {
  return Object.entries(values).every(([field, value]) => draft[field as keyof Draft] === value);
}

function row(name: string): HTMLElement {
  const made = element("div", `form-chips form-chips-${name}`);
  made.setAttribute("role", "group");
  made.hidden = true;
  return made;
}
