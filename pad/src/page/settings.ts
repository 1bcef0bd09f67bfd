// What is set on this device, in localStorage. Parsed when it is read: what another version of the page, or something else, has
// written has its default, and is never an error.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { callerOf } from "./missed_groups.ts";
import { isBetween, type CallerSetting, type Disturb, type Hours, type Opening, type SilenceRules } from "./silence.ts";

const STORED = "ringpad.settings";

export const TONES = ["bell", "chime", "phone"] as const;
export const SIZES = ["normal", "large", "largest"] as const;

/** Characters of a name or label. */
export const LONGEST_NAME = 40;
/** Services that a form has room for. */
export const MOST_SERVICES = 6;
/** Numbers that have a name or do not ring; further ones are left out when the settings are read. */
const MOST_NUMBERS = 500;

/** The settings of a device. */
export interface Settings extends SilenceRules {
  tone: (typeof TONES)[number];
  /** Per cent; nothing is heard at 0. */
  volume: number;
  size: (typeof SIZES)[number];
  /** A system notification when the page is hidden. */
  notify: boolean;
  /** The screen is darker between two times of day, `HH:MM`, while nothing rings. */
  dim: { on: boolean; from: string; until: string };
  /** What virtual numbers are called, by the number as calls have it. */
  lines: ReadonlyMap<string, string>;
  /** What the shop does most often: a form offers it for one tap. */
  services: readonly string[];
}

const USUAL_DAY: Opening = { opens: "09:00", closes: "19:00" };
const DEFAULTS: Settings = {
  tone: "bell",
  volume: 100,
  size: "normal",
  hours: { on: false, week: Array.from({ length: 7 }, () => USUAL_DAY) },
  disturb: null,
  notify: false,
  dim: { on: false, from: "21:00", until: "07:00" },
  lines: new Map(),
  callers: new Map(),
  services: [],
};
const TIME = /^([01]\d|2[0-3]):[0-5]\d$/;
const E164 = /^\+[1-9]\d{1,14}$/;

/** This device's settings. Changes with {@link change} and {@link load}. */
export let settings: Settings = DEFAULTS;

type Read<T> = (written: unknown) => T | undefined;

/** Reads the settings; what cannot be read has its default. */
export function parse(stored: string | null): Settings {
  const written = recordOf(jsonOf(stored));
  const read = <K extends keyof Settings>(key: K, parser: Read<Settings[K]>): Settings[K] => parser(written[key]) ?? DEFAULTS[key];
  return {
    tone: read("tone", oneOf(TONES)),
    volume: read("volume", (it) => (typeof it === "number" && it >= 0 && it <= 100 ? Math.round(it) : undefined)),
    size: read("size", oneOf(SIZES)),
    hours: read("hours", hoursOf),
    disturb: read("disturb", disturbOf),
    notify: written["notify"] === true,
    dim: read("dim", dimOf),
    lines: read("lines", (it) => mapOf(it, /\d/, (name) => nameOf(name) || undefined)),
    callers: read("callers", (it) => mapOf(it, E164, callerSettingOf)),
    services: servicesOf(Array.isArray(written["services"]) ? written["services"] : []),
  };
}

/** The shop's services as they are kept: each once, {@link MOST_SERVICES} at most. */
export function servicesOf(written: readonly unknown[]): string[] {
  const services = new Set(written.map(nameOf));
  services.delete("");
  return [...services].slice(0, MOST_SERVICES);
}

/** For {@link parse}. */
export function serialize(set: Settings): string {
  return JSON.stringify({ ...set, lines: [...set.lines], callers: [...set.callers] });
}

export function load(storage: Pick<Storage, "getItem"> | undefined): void {
  try {
    settings = parse(storage?.getItem(STORED) ?? null);
  } catch {
    settings = DEFAULTS;
  }
}

/** Changes settings and keeps them. */
export function change(storage: Pick<Storage, "setItem"> | undefined, changed: Partial<Settings>): void {
  settings = { ...settings, ...changed };
  try {
    storage?.setItem(STORED, serialize(settings));
  } catch {
    // Full or not allowed: then they are kept until the page is closed.
  }
}

/** The callers with another setting for one of them, which is removed if it has neither a label nor silence. */
export function withCaller(callers: Settings["callers"], number: string, set: CallerSetting): Settings["callers"] {
  const label = nameOf(set.label);
  const others = [...callers].filter(([it]) => it !== number);
  if (!E164.test(number) || (label === "" && !set.silent)) return new Map(others);
  // The newest first: they are found first in the list.
  return new Map([[number, { label, silent: set.silent }] as const, ...others].slice(0, MOST_NUMBERS));
}

/** The names of virtual numbers with another name for one of them; an empty one removes it. */
export function withLine(lines: Settings["lines"], number: string, name: string): Settings["lines"] {
  const named = new Map(lines);
  named.delete(number);
  const kept = nameOf(name);
  return kept === "" ? named : named.set(number, kept);
}

/** What this device knows of the call's caller. */
export function callerHere(call: Call, { callers }: Pick<Settings, "callers"> = settings): CallerSetting {
  return callers.get(callerOf(call) ?? "") ?? { label: "", silent: false };
}

/** What this device calls a virtual number: `네이버 예약용`; undefined if it has no name for it. */
export function lineName(virtualNumber: string, { lines }: Pick<Settings, "lines"> = settings): string | undefined {
  return lines.get(virtualNumber);
}

/** Whether it is night, and the screen is to be darker while nothing rings. */
export function isDark(now: number, { dim }: Pick<Settings, "dim"> = settings): boolean {
  return dim.on && isBetween(now, dim.from, dim.until);
}

function jsonOf(stored: string | null): unknown {
  try {
    return JSON.parse(stored ?? "null");
  } catch {
    return undefined;
  }
}

function recordOf(it: unknown): Record<string, unknown> {
  return typeof it === "object" && it !== null ? (it as Record<string, unknown>) : {};
}

function oneOf<T extends string>(options: readonly T[]): Read<T> {
  return (it) => options.find((option) => option === it);
}

function nameOf(it: unknown): string {
  return typeof it === "string" ? it.trim().slice(0, LONGEST_NAME) : "";
}

function timeOf(it: unknown): string | undefined {
  return typeof it === "string" && TIME.test(it) ? it : undefined;
}

function hoursOf(it: unknown): Hours | undefined {
  const { on, week } = recordOf(it);
  if (!Array.isArray(week) || week.length !== 7) return undefined;
  return { on: on === true, week: week.map((day: unknown) => (day === null ? null : (openingOf(day) ?? USUAL_DAY))) };
}

function openingOf(it: unknown): Opening | undefined {
  const { opens, closes } = recordOf(it);
  const [from, to] = [timeOf(opens), timeOf(closes)];
  return from !== undefined && to !== undefined ? { opens: from, closes: to } : undefined;
}

function disturbOf(it: unknown): Disturb | undefined {
  const { since, until } = recordOf(it);
  return Number.isFinite(since) && Number.isFinite(until) ? { since: Number(since), until: Number(until) } : undefined;
}

function dimOf(it: unknown): Settings["dim"] | undefined {
  const { on, from, until } = recordOf(it);
  const [begins, ends] = [timeOf(from), timeOf(until)];
  return begins !== undefined && ends !== undefined ? { on: on === true, from: begins, until: ends } : undefined;
}

function callerSettingOf(it: unknown): CallerSetting | undefined {
  const { label, silent } = recordOf(it);
  const set = { label: nameOf(label), silent: silent === true };
  return set.silent || set.label !== "" ? set : undefined;
}

/** A map whose keys match `key`, from a list of pairs; pairs that cannot be read are left out. */
function mapOf<T>(it: unknown, key: RegExp, parser: Read<T>): Map<string, T> | undefined {
  if (!Array.isArray(it)) return undefined;
  const pairs = it.slice(0, MOST_NUMBERS).flatMap((pair: unknown): [string, T][] => {
    const [number, written] = Array.isArray(pair) ? (pair as unknown[]) : [];
    const value = typeof number === "string" && key.test(number) ? parser(written) : undefined;
    return value === undefined ? [] : [[number as string, value]];
  });
  return new Map(pairs);
}
