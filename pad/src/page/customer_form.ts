// Who the caller is, to be corrected: name and car of each customer of the number, or of a new one.

import { ActionError } from "../client/action_error.ts";
import type { Pad } from "../client/connect.ts";
import type { Call, Customer } from "../gen/ringpad/v1/call_pb.ts";
import { button, element, textField } from "./dom.ts";
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
  const name = textField(text.customerName, customer?.name ?? "");
  name.input.maxLength = LONGEST.name;
  const carNumber = textField(text.carNumber, customer?.carNumber ?? "");
  carNumber.input.maxLength = LONGEST.carNumber;
  const submit = button("button", text.save, () => {});
  submit.type = "submit";
  const words = element("p", "panel-words");
  words.setAttribute("role", "status");
  const node = element("form", "customer-form", name.node, carNumber.node, element("div", "panel-actions", submit), words);
  node.autocomplete = "off";
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const written = { id, name: name.input.value.trim(), carNumber: carNumber.input.value.trim(), note: customer?.note ?? "" };
    if (submit.disabled) return;
    if (written.name === "" && written.carNumber === "") return void (words.textContent = text.nobody);
    submit.disabled = true;
    words.textContent = text.saving;
    try {
      const saved = await save(newest().id, written);
      id ||= saved.customers.find((it) => it.name === written.name && it.carNumber === written.carNumber)?.id ?? "";
      words.textContent = text.saved;
    } catch (error) {
      const kind = error instanceof ActionError && error.kind !== "claimed" ? error.kind : "offline";
      words.textContent = text.failed[kind];
    }
    submit.disabled = false;
  });
  return node;
}
