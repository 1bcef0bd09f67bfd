// What is set on this device, in localStorage: the sound, the text's size, names for numbers, and which calls do not ring here.
// Pure but for the storage: a call that does not ring is listed all the same, on this pad and on the others.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { startedAt } from "./phase.ts";

const STORED = "ringpad.settings";

export const TONES = ["bell", "chime", "phone"] as const;
export const VOLUMES = ["low", "middle", "high"] as const;
export const SIZES = ["normal", "large", "largest"] as const;

/** The settings of a device. */
export interface Settings {
  tone: (typeof TONES)[number];
  volume: (typeof VOLUMES)[number];
  size: (typeof SIZES)[number];
  /** No call rings. */
  quiet: boolean;
  /** Calls ring only from `opens` to `closes`, `HH:MM` of the device's time; always if both are the same. */
  opens: string;
  closes: string;
  /** A system notification when the page is hidden. */
  notify: boolean;
  /** The screen is darker at night while nothing rings. */
  dim: boolean;
  /** Lines of a number and a name: what virtual numbers are called, callers that are named, and callers that do not ring. */
  lines: string;
  callers: string;
  silent: string;
}

const DEFAULTS: Settings = {
  tone: "bell",
  volume: "high",
  size: "normal",
  quiet: false,
  opens: "",
  closes: "",
  notify: false,
  dim: false,
  lines: "",
  callers: "",
  silent: "",
};
const TIME = /^$|^\d\d:\d\d$/;
const CHOICES = { tone: TONES, volume: VOLUMES, size: SIZES } as const;
/** Hours of the device's time. */
const NIGHT_FROM = 21;
const NIGHT_UNTIL = 7;

/** This device's settings. Changes with {@link change}. */
export let settings: Settings = DEFAULTS;

/** Reads the settings; what cannot be read has its default. */
export function parse(stored: string | null): Settings {
  const read: Record<string, unknown> = { ...DEFAULTS };
  try {
    const written: unknown = JSON.parse(stored ?? "{}");
    for (const [key, value] of Object.entries(written ?? {})) if (isValid(key, value)) read[key] = value;
  } catch {
    // Not written by this page.
  }
  return read as unknown as Settings;
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
    storage?.setItem(STORED, JSON.stringify(settings));
  } catch {
    // Full or not allowed: then they are kept until the page is closed.
  }
}

/** Whether the call does not ring on this device, but is listed. By the time when it began, so that a ring never ends by it. */
export function isSilenced(call: Call, { quiet, opens, closes, silent }: Settings = settings): boolean {
  return quiet || !isWithin(startedAt(call), opens, closes) || nameIn(silent, numberOf(call)) !== undefined;
}

/** What this device calls the caller: `광고`; empty if it has no name for it. */
export function callerNameHere(call: Call, { callers, silent }: Settings = settings): string {
  return nameIn(callers, numberOf(call)) || nameIn(silent, numberOf(call)) || "";
}

/** What this device calls a virtual number: `네이버 예약용`; the number itself if it has no name for it. */
export function lineName(virtualNumber: string, { lines }: Settings = settings): string {
  return nameIn(lines, digitsOf(virtualNumber)) || virtualNumber;
}

/** Whether it is night, and the screen is to be darker. */
export function isDark(now: number, { dim }: Settings = settings): boolean {
  const hour = new Date(now).getHours();
  return dim && (hour >= NIGHT_FROM || hour < NIGHT_UNTIL);
}

function isValid(key: string, value: unknown): boolean {
  if (key in CHOICES) return (CHOICES[key as keyof typeof CHOICES] as readonly unknown[]).includes(value);
  if (key === "opens" || key === "closes") return typeof value === "string" && TIME.test(value);
  return key in DEFAULTS && typeof value === typeof DEFAULTS[key as keyof Settings];
}

/** `closes` may be after midnight. */
function isWithin(ms: number, opens: string, closes: string): boolean {
  if (opens === "" || closes === "" || opens === closes) return true;
  const at = new Date(ms);
  const time = `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
  return opens < closes ? time >= opens && time < closes : time >= opens || time < closes;
}

/** The name that the lines have for these digits; undefined if they do not have the number. */
function nameIn(lines: string, digits: string): string | undefined {
  if (digits === "") return undefined;
  for (const line of lines.split("\n")) {
    const [, number = "", name = ""] = /^\s*([+\d][\d\s\-+()]*)(.*)$/.exec(line) ?? [];
    if (digitsOf(number) === digits) return name.trim();
  }
  return undefined;
}

function numberOf({ caller }: Call): string {
  return digitsOf(caller?.number ?? "");
}

/** As people in Korea dial it. */
function digitsOf(number: string): string {
  return number.replaceAll(/\D/g, "").replace(/^82(?=\d{8,})/, "0").replace(/^00/, "0");
}
