// When calls do not ring on this device: do-not-disturb, and the hours of each weekday.

import { button, element, setHidden, setText } from "./dom.ts";
import { untilWhen, weekdayName } from "./format.ts";
import { group, pressed, row, timeField, type Change, type Field } from "./setting_fields.ts";
import { settings } from "./settings.ts";
import { disturbFor, isDisturbOn, tomorrowsOpening, type Hours, type Opening } from "./silence.ts";
import { text } from "./text.ts";

/** From Monday on, as `Date.getDay()` counts. */
const WEEK = [1, 2, 3, 4, 5, 6, 0];
/** When a day that was closed is opened again. */
const USUAL_DAY: Opening = { opens: "09:00", closes: "19:00" };

/** Do-not-disturb, for a while or until tomorrow's opening; `now` is the server's time. */
export function disturbField(change: Change, now: () => number): Field {
  const lasting = (minutes: number) => button("chip", text.disturbFor(minutes), () => change({ disturb: disturbFor(minutes, now()) }));
  const tomorrow = button("chip", "", () => {
    change({ disturb: { since: now(), until: tomorrowsOpening(settings.hours, now()) } });
  });
  const off = pressed(text.disturbOff, () => !isDisturbOn(settings, now()), () => {
    const { disturb } = settings;
    // What came until now is still to be told.
    if (disturb && isDisturbOn(settings, now())) change({ disturb: { since: disturb.since, until: now() } });
  });
  const words = element("p", "setting-words");
  words.setAttribute("role", "status");
  const node = row(text.settings.disturb, [group(text.settings.disturb, off.node, lasting(30), lasting(120), tomorrow), words], text.disturbHint);
  const show = (at: number) => {
    off.show(at);
    setText(tomorrow, text.disturbLasts(untilWhen(tomorrowsOpening(settings.hours, at), at)));
    const { disturb } = settings;
    setText(words, disturb && isDisturbOn(settings, at) ? text.disturbUntil(untilWhen(disturb.until, at)) : "");
  };
  return { node, show };
}

/** The hours of each weekday. */
export function hoursField(change: Change): Field {
  const set = (hours: Partial<Hours>) => change({ hours: { ...settings.hours, ...hours } });
  const setDay = (day: number, opening: Opening | null) => set({ week: settings.hours.week.map((it, at) => (at === day ? opening : it)) });
  const on = pressed(text.hoursOn, () => settings.hours.on, () => set({ on: !settings.hours.on }));
  const days = WEEK.map((day) => dayField(day, setDay));
  const first = WEEK[0] ?? 0;
  const all = button("chip", text.everyDayAs(weekdayName(first)), () => {
    const opening = settings.hours.week[first] ?? null;
    set({ week: settings.hours.week.map(() => opening) });
  });
  const table = element("div", "setting-week", ...days.map(({ node }) => node), all);
  const show = (now: number) => {
    on.show(now);
    setHidden(table, !settings.hours.on);
    for (const day of days) day.show(now);
  };
  return { node: row(text.settings.hours, [on.node, table], text.hoursHint), show };
}

function dayField(day: number, set: (day: number, opening: Opening | null) => void): Field {
  const opening = () => settings.hours.week[day] ?? null;
  const name = weekdayName(day);
  const isOpen = pressed(name, () => opening() !== null, () => set(day, opening() ? null : USUAL_DAY));
  const opens = timeField(`${name} ${text.opens}`, () => opening()?.opens ?? "", (time) => set(day, { ...(opening() ?? USUAL_DAY), opens: time }));
  const closes = timeField(`${name} ${text.closes}`, () => opening()?.closes ?? "", (time) => set(day, { ...(opening() ?? USUAL_DAY), closes: time }));
  const times = element("div", "setting-times", opens.node, closes.node);
  const closed = element("span", "panel-hint");
  closed.textContent = text.dayClosed;
  const show = (now: number) => {
    for (const field of [isOpen, opens, closes]) field.show(now);
    setHidden(times, opening() === null);
    setHidden(closed, opening() !== null);
  };
  return { node: element("div", "setting-day", isOpen.node, times, closed), show };
}
