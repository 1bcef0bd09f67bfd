// One customer in one place: who it is, what the shop noted, the reservations to come, and all calls with their notes and
// reservations. Read from the server when it is opened, and kept true by updates.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Pad } from "../client/connect.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { CallList, type ListContext } from "./call_list.ts";
import { customerForms } from "./customer_form.ts";
import { button, element, setHidden, setText } from "./dom.ts";
import { callerName, notesOf, people, reservationLine } from "./format.ts";
import { callerOf } from "./missed_groups.ts";
import { callerField } from "./number_settings.ts";
import type { PanelView } from "./panel.ts";
import { startedAt, type Known } from "./phase.ts";
import type { Change, Field } from "./setting_fields.ts";
import { text } from "./text.ts";

const PAGE = 50;

/** What the panel needs of the page. */
export interface CustomerContext extends ListContext {
  listCalls: Pad["listCalls"];
  saveCustomer: Pad["saveCustomer"];
  /** The newest known version of a call. */
  current(known: Known): Known;
  /** Changes this device's settings. */
  set: Change;
  /** The page must be drawn again. */
  changed(): void;
}

/** The panel of the caller of a call that has a number. */
export class CustomerPanel implements PanelView {
  readonly node: HTMLElement;
  readonly #context: CustomerContext;
  readonly #first: Call;
  readonly #calls = new Map<string, Call>();
  readonly #list: CallList;
  /** What this device knows of the number. */
  readonly #here: Field;
  readonly #parts = {
    person: element("p", "panel-person"),
    number: element("p", "panel-number"),
    note: element("p", "popup-note"),
    coming: element("p", "popup-booked"),
    words: element("p", "empty"),
    more: button("button", text.more, () => void this.#ask()),
  };
  #nextPage: string | undefined = "";
  /** Counts questions: an answer to an older one is ignored. */
  #asked = 0;
  #state: "loading" | "known" | "failed" = "loading";

  constructor(call: Call, context: CustomerContext) {
    this.#context = context;
    this.#first = call;
    this.#calls.set(call.id, call);
    const list = element("ul", "customer-calls");
    const { person, number, note, coming, words, more } = this.#parts;
    this.#list = new CallList(list, element("p", ""), context);
    this.#here = callerField(call, context.set);
    words.setAttribute("role", "status");
    const forms = customerForms(call, () => this.#newest(), context.saveCustomer);
    this.node = element("div", "customer", person, number, ...forms, this.#here.node, coming, note, list, words, more);
    void this.#ask();
  }

  title(): string {
    return text.customerRecord;
  }

  /** A call's newest version. */
  add(call: Call): void {
    const known = this.#calls.get(call.id);
    if (callerOf(call) === callerOf(this.#first) && (known?.revision ?? -1n) <= call.revision) this.#calls.set(call.id, call);
  }

  /** Reads the newest calls again: a snapshot may have replaced updates, or there was no answer. */
  reload(): void {
    this.#nextPage = "";
    void this.#ask();
  }

  update(now: number): void {
    const known = [...this.#calls.values()].map((call) => this.#context.current({ call, popUntil: undefined }));
    known.sort((a, b) => startedAt(b.call) - startedAt(a.call));
    const newest = known[0]?.call ?? this.#first;
    const coming = known.map(({ call }) => call).filter(({ reservation }) => reservation?.at && timestampMs(reservation.at) >= now);
    const { person, number, note, words, more } = this.#parts;
    setText(person, people(newest).join(", "));
    setText(number, callerName(newest));
    setText(note, notesOf(newest));
    setText(this.#parts.coming, coming.map((call) => text.booked(reservationLine(call, now))).join("\n"));
    this.#here.show(now);
    this.#list.update(known, now);
    setText(words, { loading: text.searching, failed: text.customerFailed, known: "" }[this.#state]);
    setText(more, this.#state === "failed" ? text.tryAgain : text.more);
    setHidden(more, this.#nextPage === undefined || this.#state === "loading");
  }

  #newest(): Call {
    return [...this.#calls.values()].reduce((newest, call) => (startedAt(call) > startedAt(newest) ? call : newest));
  }

  async #ask(): Promise<void> {
    const asked = (this.#asked += 1);
    const pageToken = this.#nextPage ?? "";
    const callerSuffix = (callerOf(this.#first) ?? "").replace("+", "");
    this.#state = "loading";
    this.#context.changed();
    try {
      const { calls, nextPageToken } = await this.#context.listCalls({ callerSuffix, pageSize: PAGE, pageToken });
      if (asked !== this.#asked) return;
      for (const call of calls) this.add(call);
      this.#nextPage = nextPageToken === "" ? undefined : nextPageToken;
      this.#state = "known";
      // The server reads a limited number of calls for a page, and none of these is the customer's.
      if (calls.length === 0 && nextPageToken !== "") return await this.#ask();
    } catch {
      if (asked !== this.#asked) return;
      this.#state = "failed";
    }
    this.#context.changed();
  }
}
