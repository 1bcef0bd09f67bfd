// The fields that the settings consist of. Each has a function that shows what is set now, also when another tab has set it.

import { button, element, setText } from "./dom.ts";
import { settings, type Settings } from "./settings.ts";

/** A part of the panel, and how it follows the settings. */
export interface Field {
  node: HTMLElement;
  show(now: number): void;
}

/** Changes settings, and draws the page. */
export type Change = (changed: Partial<Settings>) => void;

/** A name, what is set, and a hint. */
export function row(name: string, fields: Node[], hint = ""): HTMLElement {
  const title = element("h3", "form-label");
  title.textContent = name;
  const node = element("section", "setting", title, ...fields);
  if (hint === "") return node;
  const words = element("p", "panel-hint");
  words.textContent = hint;
  node.append(words);
  return node;
}

/** A line of text, with a name for screen readers. */
export function textField(name: string, example: string, longest: number, onChange: (written: string) => void): HTMLInputElement {
  const input = element("input", "form-input");
  input.type = "text";
  input.maxLength = longest;
  input.placeholder = example;
  input.autocomplete = "off";
  input.setAttribute("aria-label", name);
  input.addEventListener("change", () => onChange(input.value));
  return input;
}

/** Buttons side by side, with a name for screen readers. */
export function group(name: string, ...nodes: Node[]): HTMLElement {
  const node = element("div", "setting-choices", ...nodes);
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", name);
  return node;
}

/** A button that is pressed while `isOn`. */
export function pressed(words: string, isOn: () => boolean, onClick: () => void): Field {
  const node = button("chip", words, onClick);
  return { node, show: () => node.setAttribute("aria-pressed", String(isOn())) };
}

/** A time of day, `HH:MM`. */
export function timeField(name: string, value: () => string, onChange: (time: string) => void): Field {
  const node = element("input", "form-input");
  node.type = "time";
  node.setAttribute("aria-label", name);
  node.required = true;
  node.addEventListener("change", () => (node.value === "" ? (node.value = value()) : onChange(node.value)));
  return { node, show: () => follow(node, value()) };
}

/** The volume, with what it means. */
export function volumeField(name: string, silent: string, change: Change): Field {
  const slider = element("input", "setting-volume");
  slider.type = "range";
  slider.max = "100";
  slider.step = "5";
  slider.setAttribute("aria-label", name);
  slider.addEventListener("input", () => change({ volume: Number(slider.value) }));
  const words = element("span", "setting-volume-words");
  const node = element("div", "setting-choices", slider, words);
  const show = () => {
    const said = settings.volume === 0 ? silent : `${settings.volume} %`;
    if (slider.value !== String(settings.volume)) slider.value = String(settings.volume);
    slider.setAttribute("aria-valuetext", said);
    setText(words, said);
  };
  return { node, show };
}

/** Shows a value, but never in a field that somebody is typing into. */
export function follow(input: HTMLInputElement, value: string): void {
  if (document.activeElement !== input && input.value !== value) input.value = value;
}
