// The settings of this device, and a way to add another tablet.

import { button, element } from "./dom.ts";
import type { PanelView } from "./panel.ts";
import { settings, SIZES, TONES, VOLUMES, type Settings } from "./settings.ts";
import { text } from "./text.ts";

/** What the panel needs of the page. */
export interface SettingsContext {
  change(changed: Partial<Settings>): void;
  /** Plays the tone once. */
  test(): void;
  /** Asks the browser to allow notifications; resolves to whether it does. */
  allowNotifications(): Promise<boolean>;
  addTablet(): void;
}

type Toggle = "quiet" | "notify" | "dim";
type Lines = "lines" | "callers" | "silent";

/** The panel of settings. */
export function settingsView(context: SettingsContext): PanelView {
  const shows: (() => void)[] = [];
  const choose = <K extends "tone" | "volume" | "size">(key: K, options: readonly Settings[K][], ...more: Node[]) => {
    const group = element("div", "form-chips");
    label(group, text.settings[key]);
    for (const option of options) {
      const node = button("chip", text.options[option], () => context.change({ [key]: option }));
      shows.push(() => node.setAttribute("aria-pressed", String(settings[key] === option)));
      group.append(node);
    }
    group.append(...more);
    return row(text.settings[key], group);
  };
  const toggle = (key: Toggle, turn: (on: boolean) => void = (on) => context.change({ [key]: on })) => {
    const node = button("chip setting-toggle", text.settings[key], () => turn(!settings[key]));
    shows.push(() => node.setAttribute("aria-pressed", String(settings[key])));
    return node;
  };
  const notify = async (on: boolean) => context.change({ notify: on && (await context.allowNotifications()) });
  const node = element(
    "div",
    "settings",
    choose("tone", TONES),
    choose("volume", VOLUMES, button("chip", text.testTone, () => context.test())),
    choose("size", SIZES),
    element("div", "setting-toggles", toggle("quiet"), toggle("notify", (on) => void notify(on)), toggle("dim")),
    row(text.settings.hours, element("div", "setting-hours", time("opens", context), time("closes", context)), text.hoursHint),
    lines("lines", context),
    lines("callers", context),
    lines("silent", context),
    button("button", text.addTablet, () => context.addTablet()),
  );
  return { title: () => text.settingsTitle, node, update: () => shows.forEach((show) => show()) };
}

function row(name: string, field: HTMLElement, hint = ""): HTMLElement {
  const title = element("span", "form-label");
  title.textContent = name;
  const words = element("span", "panel-hint");
  words.textContent = hint;
  return element("div", "setting", title, field, ...(hint === "" ? [] : [words]));
}

function time(key: "opens" | "closes", { change }: SettingsContext): HTMLInputElement {
  const input = element("input", "form-input");
  input.type = "time";
  input.value = settings[key];
  label(input, text.settings[key]);
  input.addEventListener("change", () => change({ [key]: input.value }));
  return input;
}

/** A line for each number. */
function lines(key: Lines, { change }: SettingsContext): HTMLElement {
  const input = element("textarea", "form-input");
  input.value = settings[key];
  input.maxLength = 10_000;
  input.placeholder = text.examples[key];
  label(input, text.settings[key]);
  input.addEventListener("input", () => change({ [key]: input.value }));
  return row(text.settings[key], input);
}

function label(node: HTMLElement, words: string): void {
  node.setAttribute("aria-label", words);
  if (node.tagName === "DIV") node.setAttribute("role", "group");
}
