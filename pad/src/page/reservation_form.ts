// The form of one call: who, which car, what, when, and a note. Updates do not change a field that somebody has typed into;
// the other fields follow what other pads save.

import { button, element, setData, setHidden, setText } from "./dom.ts";
import { Chips } from "./chips.ts";
import { draftOf } from "./reservation.ts";
import { emptyDraft, FIELDS, type Draft, type Drafts } from "./drafts.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { text } from "./text.ts";
import type { Unsent } from "./unsent.ts";

type Field = (typeof FIELDS)[number];
type Input = HTMLInputElement | HTMLTextAreaElement;

/** Lengths that the contract allows, in characters. */
const LONGEST: Partial<Record<Field, number>> = { name: 100, car: 40, service: 200, note: 2_000 };
const SAVED_SHOWS = 4_000;

/** What a form needs of the page. */
export interface FormContext {
  drafts: Drafts;
  /** Keeps what was typed; `shown` is the form without it. */
  write(id: string, draft: Draft, shown: Draft): void;
  /** What was typed, on top of the call's newest version. */
  follow(id: string): Draft | undefined;
  /** True if it was saved. */
  save(id: string, draft: Draft): Promise<boolean>;
  /** The services of the store's reservations, the most frequent first. */
  services(): string[];
  /** The actions that wait for a connection. */
  unsent: Unsent;
  /** A draft was begun or dropped. */
  changed(): void;
}

/** The form of one call. */
export class ReservationForm {
  readonly node: HTMLFormElement;
  readonly #id: string;
  readonly #context: FormContext;
  readonly #inputs: Record<Field, Input>;
  readonly #status = element("p", "form-status");
  readonly #save: HTMLButtonElement;
  readonly #chips: Chips;
  /** The form as the call has it. */
  #shown = emptyDraft();
  #state: "idle" | "saving" | "saved" = "idle";

  constructor(id: string, context: FormContext) {
    this.#id = id;
    this.#context = context;
    this.#inputs = {
      name: textInput("name"),
      car: textInput("car"),
      service: textInput("service"),
      date: typed("date"),
      time: typed("time"),
      note: element("textarea", "form-input"),
    };
    this.#save = button("button form-save", text.save, () => {});
    this.#save.type = "submit";
    this.#status.setAttribute("role", "status");
    this.#chips = new Chips((chosen) => this.#choose(chosen));
    this.node = this.#build();
    const draft = context.drafts.get(id);
    if (draft) this.#fill(draft);
  }

  /** Fields that were not typed follow the call. */
  update(call: Call, visible: boolean, now: number): void {
    this.#shown = draftOf(call);
    const { drafts, follow, changed } = this.#context;
    const had = drafts.has(this.#id);
    const draft = follow(this.#id);
    this.#fill(draft ?? this.#shown);
    // What is offered stays the same while the form is open: nobody taps on a chip that has just become another one.
    if (visible) this.#chips.offer(call, this.#context.services, now);
    this.#show();
    if (had && !draft) changed();
  }

  /** Shows what is wrong with what was typed. */
  isValid(): boolean {
    return this.node.reportValidity();
  }

  #build(): HTMLFormElement {
    const labels: Record<Field, string> = {
      name: text.customerName,
      car: text.carNumber,
      service: text.service,
      date: text.date,
      time: text.time,
      note: text.note,
    };
    const fields: HTMLElement[] = FIELDS.map((field) => {
      const label = element("span", "form-label");
      label.textContent = labels[field];
      return element("label", `form-field form-${field}`, label, this.#inputs[field]);
    });
    fields.splice(FIELDS.indexOf("service"), 0, this.#chips.people);
    fields.splice(fields.findIndex((field) => field.className.includes("form-note")), 0, this.#chips.services, this.#chips.days, this.#chips.times);
    const form = element("form", "popup-form", ...fields, element("div", "form-foot", this.#status, this.#save));
    form.setAttribute("aria-label", text.write);
    setData(form, "form", this.#id);
    form.autocomplete = "off";
    for (const field of FIELDS) {
      const input = this.#inputs[field];
      input.name = field;
      const longest = LONGEST[field];
      if (longest !== undefined) input.maxLength = longest;
    }
    form.addEventListener("input", () => this.#typed());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    return form;
  }

  #draft(): Draft {
    const draft = {} as Draft;
    for (const field of FIELDS) draft[field] = this.#inputs[field].value;
    return draft;
  }

  #fill(draft: Draft): void {
    for (const field of FIELDS) {
      const input = this.#inputs[field];
      // A space alone is not saved, but the next word may follow it.
      const typing = input === document.activeElement && input.value.trim() === draft[field].trim();
      if (!typing && input.value !== draft[field]) input.value = draft[field];
    }
    this.#requireTime();
  }

  #typed(): void {
    this.#context.write(this.#id, this.#draft(), this.#shown);
    this.#requireTime();
    this.#state = "idle";
    this.#show();
    this.#context.changed();
  }

  #choose(chosen: Partial<Draft>): void {
    for (const field of FIELDS) {
      const value = chosen[field];
      if (value !== undefined) this.#inputs[field].value = value;
    }
    this.#typed();
  }

  /** A day without a time cannot be saved as an instant. */
  #requireTime(): void {
    const time = this.#inputs.time as HTMLInputElement;
    time.required = this.#inputs.date.value !== "";
  }

  async #submit(): Promise<void> {
    if (this.#state === "saving") return;
    this.#state = "saving";
    this.#show();
    const saved = await this.#context.save(this.#id, this.#draft());
    this.#state = saved ? "saved" : "idle";
    this.#show();
    setTimeout(() => {
      if (this.#state === "saved") this.#state = "idle";
      this.#show();
    }, SAVED_SHOWS);
  }

  #show(): void {
    const { drafts, unsent } = this.#context;
    const waits = this.#state !== "saving" && unsent.has("save", this.#id);
    const unsaved = drafts.has(this.#id) ? (waits ? text.savedLater : text.unsaved) : "";
    const status = { idle: unsaved, saving: text.saving, saved: unsaved || text.saved }[this.#state];
    setText(this.#status, status);
    this.#chips.show(this.#draft());
    // A live region must exist before its text is set.
    setHidden(this.#status, false);
  }
}

/** The form of a call that is on the screen. */
export function formOf(id: string): HTMLFormElement | undefined {
  return [...document.forms].find((form) => form.dataset["form"] === id);
}

function textInput(field: Field): HTMLInputElement {
  const input = element("input", "form-input");
  input.type = "text";
  input.enterKeyHint = "next";
  if (field === "car") input.spellcheck = false;
  return input;
}

function typed(type: "date" | "time"): HTMLInputElement {
  const input = element("input", "form-input");
  input.type = type;
  // Without this a year may have six digits.
  if (type === "date") input.max = "9999-12-31";
  return input;
}
