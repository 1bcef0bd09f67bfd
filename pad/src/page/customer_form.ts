// Who the caller is, to be corrected: name and car of each customer of the number, or of a new one.

import type { Pad } from "../client/connect.ts";
import type { Call, Customer } from "../gen/ringpad/v1/call_pb.ts";
import { button, element } from "./dom.ts";
import { text } from "./text.ts";

/** Characters, as the contract allows. */
const LONGEST = { name: 100, carNumber: 40 };

/** The forms of a caller's customers; `newest` is the call that a change is written to. */
export function customerForms(call: Call, newest: () => Call, save: Pad["saveCustomer"]): HTMLElement[] {
  const customers = call.customers.length > 0 ? call.customers : [undefined];
  return customers.map((customer) => form(customer, newest, save));
}

function form(customer: Customer | undefined, newest: () => Call, save: Pad["saveCustomer"]): HTMLElement {
  // A customer who is made here gets an id with the first answer, and is changed from then on.
  let id = customer?.id ?? "";
  const name = field(text.customerName, customer?.name ?? "", LONGEST.name);
  const carNumber = field(text.carNumber, customer?.carNumber ?? "", LONGEST.carNumber);
  const submit = button("button", text.save, () => {});
  submit.type = "submit";
  const words = element("p", "panel-words");
  words.setAttribute("role", "status");
  const node = element("form", "customer-form", name.node, carNumber.node, element("div", "panel-actions", submit), words);
  node.autocomplete = "off";
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const written = { id, name: name.input.value.trim(), carNumber: carNumber.input.value.trim(), note: customer?.note ?? "" };
    if (submit.disabled || (written.name === "" && written.carNumber === "")) return;
    submit.disabled = true;
    words.textContent = text.saving;
    try {
      const saved = await save(newest().id, written);
      id ||= saved.customers.find((it) => it.name === written.name && it.carNumber === written.carNumber)?.id ?? "";
      words.textContent = text.saved;
    } catch {
      words.textContent = text.failed.offline;
    }
    submit.disabled = false;
  });
  return node;
}

function field(label: string, value: string, longest: number): { node: HTMLElement; input: HTMLInputElement } {
  const name = element("span", "form-label");
  name.textContent = label;
  const input = element("input", "form-input");
  input.type = "text";
  input.maxLength = longest;
  input.value = value;
  return { node: element("label", "form-field", name, input), input };
}
