// A registered tablet approves another one, by the code that the other one shows.

import { Code, ConnectError } from "@connectrpc/connect";
import { NoToken } from "../client/tokens.ts";
import { button, element, setText, textField } from "./dom.ts";
import type { PanelView } from "./panel.ts";
import { text } from "./text.ts";

/** Characters, as the contract allows. */
const LONGEST_NAME = 100;

/** Makes the tablet that shows the code one of this store's; resolves to its name. */
export type Approve = (code: string, name: string) => Promise<string>;

/** The panel that approves a tablet; `code` is what is known of its code. */
export function approvalView(code: string, approve: Approve): PanelView {
  const codeField = textField(text.pairingCode, code);
  codeField.input.inputMode = "numeric";
  const nameField = textField(text.tabletName, "");
  nameField.input.maxLength = LONGEST_NAME;
  for (const { input } of [codeField, nameField]) input.required = true;
  const submit = button("button first", text.approve, () => {});
  submit.type = "submit";
  const words = element("p", "panel-words");
  words.setAttribute("role", "status");
  const question = element("p", "panel-hint");
  question.textContent = text.approveQuestion;
  const form = element("form", "approval", question, codeField.node, nameField.node, element("div", "panel-actions", submit), words);
  form.autocomplete = "off";
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    words.textContent = text.approving;
    words.textContent = await answerOf(approve(codeField.input.value, nameField.input.value.trim()));
    submit.disabled = false;
  });
  return { title: () => text.addTablet, node: form, update: () => setText(submit, text.approve) };
}

async function answerOf(approved: Promise<string>): Promise<string> {
  try {
    return text.approved(await approved);
  } catch (error) {
    if (error instanceof NoToken) return text.notApproved.refused;
    return text.notApproved[REASONS[ConnectError.from(error).code] ?? "offline"];
  }
}

/** Why a tablet was not approved. */
export type ApprovalFailure = "noCode" | "tooMany" | "refused" | "faulty" | "unavailable" | "offline";

const REASONS: Partial<Record<Code, ApprovalFailure>> = {
  [Code.NotFound]: "noCode",
  [Code.ResourceExhausted]: "tooMany",
  [Code.InvalidArgument]: "faulty",
  [Code.Unauthenticated]: "refused",
  [Code.PermissionDenied]: "refused",
  [Code.Unimplemented]: "unavailable",
};
