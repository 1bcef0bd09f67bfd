// The settings of this device, and a way to add another tablet. They apply at once, in every tab of the tablet.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { button, element, setHidden } from "./dom.ts";
import { callersField, linesField } from "./number_settings.ts";
import { notificationsAllowed } from "./notification.ts";
import type { PanelView } from "./panel.ts";
import { disturbField, hoursField } from "./quiet_settings.ts";
import { follow, group, pressed, row, textField, timeField, volumeField, type Change, type Field } from "./setting_fields.ts";
import { LONGEST_NAME, MOST_SERVICES, servicesOf, settings, SIZES, TONES, type Settings } from "./settings.ts";
import { text } from "./text.ts";

/** What the panel needs of the page. */
export interface SettingsContext {
  change: Change;
  /** Plays a tone once. */
  test(tone: Settings["tone"]): void;
  /** Asks the browser to allow notifications; resolves to whether it does. */
  allowNotifications(): Promise<boolean>;
  /** The calls that the page has. */
  calls(): Call[];
  /** The server's time. */
  now(): number;
  addTablet(): void;
}

/** The panel of settings. */
export function settingsView(context: SettingsContext): PanelView {
  const { change, calls, now, addTablet } = context;
  const fields = [
    disturbField(change, now),
    soundField(context),
    sizeField(change),
    dimField(change),
    hoursField(change),
    servicesField(change),
    linesField(calls, change),
    callersField(calls, change),
    notifyField(context),
  ];
  const tablet = row(text.addTablet, [button("button", text.addTablet, addTablet)]);
  const node = element("div", "settings", ...fields.map((field) => field.node), tablet);
  return { title: () => text.settingsTitle, node, update: (at) => fields.forEach((field) => field.show(at)) };
}

function soundField({ change, test }: SettingsContext): Field {
  const volume = volumeField(text.settings.volume, `${text.sound} ${text.soundOff}`, change);
  const tones = TONES.map((tone) => pressed(text.options[tone], () => settings.tone === tone, () => change({ tone })));
  const pairs = TONES.map((tone, at) => {
    const listen = button("chip setting-listen", "▶", () => test(tone));
    listen.setAttribute("aria-label", text.testTone(text.options[tone]));
    return element("span", "setting-tone", ...(tones[at] ? [tones[at].node] : []), listen);
  });
  const node = row(text.settings.tone, [group(text.settings.tone, ...pairs), volume.node]);
  return { node, show: (now) => [volume, ...tones].forEach((field) => field.show(now)) };
}

function sizeField(change: Change): Field {
  const sizes = SIZES.map((size) => pressed(text.options[size], () => settings.size === size, () => change({ size })));
  const node = row(text.settings.size, [group(text.settings.size, ...sizes.map((field) => field.node))]);
  return { node, show: (now) => sizes.forEach((field) => field.show(now)) };
}

function servicesField(change: Change): Field {
  const { services } = text.settings;
  const longest = MOST_SERVICES * (LONGEST_NAME + 2);
  const input = textField(services, text.servicesExample, longest, (written) => change({ services: servicesOf(written.split(",")) }));
  return { node: row(services, [input], text.servicesHint(MOST_SERVICES)), show: () => follow(input, settings.services.join(", ")) };
}

function notifyField({ change, allowNotifications }: SettingsContext): Field {
  const isOn = () => settings.notify && notificationsAllowed();
  const toggle = pressed(text.notifyOn, isOn, () => void turn());
  const turn = async () => change({ notify: !isOn() && (await allowNotifications()) });
  return { node: row(text.settings.notify, [toggle.node], text.notifyHint), show: toggle.show };
}

function dimField(change: Change): Field {
  const set = (dim: Partial<Settings["dim"]>) => change({ dim: { ...settings.dim, ...dim } });
  const on = pressed(text.dimOn, () => settings.dim.on, () => set({ on: !settings.dim.on }));
  const from = timeField(text.dimFrom, () => settings.dim.from, (time) => set({ from: time }));
  const until = timeField(text.dimUntil, () => settings.dim.until, (time) => set({ until: time }));
  const times = element("div", "setting-times", from.node, until.node);
  const show = (now: number) => {
    for (const field of [on, from, until]) field.show(now);
    setHidden(times, !settings.dim.on);
  };
  return { node: row(text.settings.dim, [on.node, times], text.dimHint), show };
}
