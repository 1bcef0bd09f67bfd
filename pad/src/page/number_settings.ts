// Names of numbers on this device: what virtual numbers are called, and callers that have a label or do not ring.

import { CallerKind, type Call } from "../gen/ringpad/v1/call_pb.ts";
import { button, element, icon, KeyedList, setHidden, setText, type ItemView } from "./dom.ts";
import { callerName } from "./format.ts";
import { callerOf } from "./missed_groups.ts";
import { follow, group, pressed, row, textField, type Change, type Field } from "./setting_fields.ts";
import { callerHere, LONGEST_NAME, settings, withCaller, withLine } from "./settings.ts";
import type { CallerSetting } from "./silence.ts";
import { text } from "./text.ts";

/** The virtual numbers that calls have come to, and those that have a name. */
export function linesField(calls: () => Call[], change: Change): Field {
  const list = element("ul", "setting-numbers");
  const lines = new KeyedList<string>([list], (number) => number, (number) => {
    const words = numberWords(number);
    const input = textField(text.nameOf(number), text.lineExample, LONGEST_NAME, (name) => change({ lines: withLine(settings.lines, number, name) }));
    return view(element("li", "setting-number", words, input), () => follow(input, settings.lines.get(number) ?? ""));
  });
  const none = element("p", "panel-hint");
  none.textContent = text.noLines;
  const show = () => {
    const seen = calls().map(({ virtualNumber }) => virtualNumber).filter((number) => number !== "");
    const numbers = [...new Set([...settings.lines.keys(), ...seen])].sort();
    lines.update(numbers);
    setHidden(none, numbers.length > 0);
  };
  return { node: row(text.settings.lines, [none, list]), show };
}

/** The callers with a label or silence, where both can be taken back. */
export function callersField(calls: () => Call[], change: Change): Field {
  const list = element("ul", "setting-numbers");
  const set = (number: string, changed: Partial<CallerSetting>) => {
    const before = settings.callers.get(number) ?? { label: "", silent: false };
    change({ callers: withCaller(settings.callers, number, { ...before, ...changed }) });
  };
  const callers = new KeyedList<[string, CallerSetting]>([list], ([number]) => number, ([number]) => {
    const written = asDialled(number, calls());
    const words = numberWords(written);
    const label = textField(text.labelOf(written), text.labelExample, LONGEST_NAME, (name) => set(number, { label: name }));
    const silent = pressed(text.silent, () => settings.callers.get(number)?.silent ?? false, () => {
      set(number, { silent: !settings.callers.get(number)?.silent });
    });
    const remove = button("setting-remove", "", () => set(number, { label: "", silent: false }));
    remove.append(icon(CROSS));
    remove.setAttribute("aria-label", text.removeNumber(written));
    return view(element("li", "setting-number", words, label, silent.node, remove), ([, { label: name }]) => {
      follow(label, name);
      silent.show(0);
    });
  });
  const none = element("p", "panel-hint");
  none.textContent = text.noCallers;
  const show = () => {
    callers.update([...settings.callers]);
    setHidden(none, settings.callers.size > 0);
  };
  return { node: row(text.settings.callers, [none, list]), show };
}

/** The label and silence of one caller, next to the caller's calls; nothing for a caller without a number. */
export function callerField(call: Call, change: Change): Field {
  const number = callerOf(call) ?? "";
  const set = (changed: Partial<CallerSetting>) => {
    change({ callers: withCaller(settings.callers, number, { ...callerHere(call), ...changed }) });
  };
  const silent = pressed(text.silenceNumber, () => callerHere(call).silent, () => set({ silent: !callerHere(call).silent }));
  const label = textField(text.label, text.labelExample, LONGEST_NAME, (name) => set({ label: name }));
  const node = group(text.settings.callers, silent.node, label);
  node.classList.add("setting-caller");
  const show = (now: number) => {
    silent.show(now);
    follow(label, callerHere(call).label);
  };
  setHidden(node, number === "");
  return { node, show };
}

function view<Item>(node: HTMLElement, update: (item: Item) => void): ItemView<Item> {
  return { node, update };
}

function numberWords(number: string): HTMLElement {
  const words = element("span", "setting-number-words");
  setText(words, number);
  return words;
}

/** The number as people write it, if a call of it is known; in E.164 otherwise, which is all that is stored. */
function asDialled(number: string, calls: readonly Call[]): string {
  const call = calls.find(({ caller }) => caller?.kind === CallerKind.NUMBER && caller.number === number);
  return call ? callerName(call) : number.replace(/^\+82(?=\d{8,})/, "0");
}

const CROSS = "M6.4 5 5 6.4 10.6 12 5 17.6 6.4 19l5.6-5.6 5.6 5.6 1.4-1.4-5.6-5.6L19 6.4 17.6 5 12 10.6z";
