// Every word that the page shows, in English.

import { CallerKind } from "../gen/ringpad/v1/call_pb.ts";
import type { Words } from "./words_ko.ts";

const phase: Words["phase"] = {
  ringing: "Incoming call",
  unknown: "Outcome unknown",
  answered: "On the phone",
  ended: "Call ended",
  missed: "Missed",
};

export const en: Words = {
  phase,
  listed: { ...phase, ringing: "Ringing" },
  connection: {
    connecting: "Connecting…",
    connected: "Connected",
    reconnecting: "Reconnecting…",
    "needs-token": "Token needed",
    forbidden: "Not allowed",
    "no-store": "No such store",
    replaced: "Taken over",
    closed: "Disconnected",
  },
  advice: {
    reconnecting: "The connection broke. It comes back by itself, and no call that came meanwhile is lost.",
    "needs-token": "Open this pad’s link again. Your administrator has it.",
    forbidden: "This address may not show the store’s calls. Please ask your administrator.",
    "no-store": "This pad’s store was not found. Please ask your administrator.",
    replaced: "Another screen took this connection over.",
  },
  nameless: {
    [CallerKind.UNSPECIFIED]: "No number",
    [CallerKind.NUMBER]: "No number",
    [CallerKind.WITHHELD]: "Number withheld",
    [CallerKind.PAYPHONE]: "Payphone",
    [CallerKind.UNAVAILABLE]: "Number unavailable",
    [CallerKind.UNPARSED]: "Number unreadable",
  },
  failed: {
    "not-found": "This call is no longer there.",
    refused: "This cannot be done now. Please ask your administrator.",
    offline: "No answer, so this could not be confirmed. If nothing has changed, please tap again.",
  },
  lost: {
    claim: "Another pad was first.",
    release: "Another pad has this call.",
  },

  waiting: "Waiting for calls",
  day: ({ calls, answered, missed, booked }) =>
    `Today ${calls} · answered ${answered} · missed ${missed} · booked ${booked}`,
  inHand: "In hand",
  firstCall: "First call",
  nthCall: (n) => `${ordinal(n)} call`,
  lastCall: (day) => `Last call ${day}`,
  claimedBy: (pad) => `${pad} has it`,
  anotherPad: "Another pad",
  dialled: (number) => `Dialled ${number}`,
  booked: (what) => `Booked: ${what}`,
  lastBooked: (what) => `Last booking: ${what}`,

  claim: "Take",
  release: "Give back",
  done: "Done",
  doneWith: (number) => `${number} done`,
  dismiss: "Hide",
  write: "Book or note",
  callBack: "Call back",
  callBackTo: (number) => `Call ${number} back`,
  openCall: "Open booking and note",

  reservation: "Booking",
  customerName: "Name",
  carNumber: "Car number",
  service: "Service",
  date: "Date",
  time: "Time",
  note: "Note",
  save: "Save",
  saving: "Saving…",
  saved: "Saved",
  unsaved: "Not saved yet",

  calls: "Calls",
  missed: "Missed",
  noMissed: "No missed calls",
  recent: "Recent calls",
  noRecent: "No calls yet",
  closed: "Done",
  search: "Find by last digits",
  clearSearch: "Clear search",
  found: (digits) => `Found for …${digits}`,
  searching: "Searching…",
  noneFound: "No calls from such a number",
  searchFailed: "Cannot search now. Please try again in a moment.",
  more: "More",

  today: "today",
  yesterday: "yesterday",
  tomorrow: "tomorrow",
  sound: "Sound",
  soundOn: "on",
  soundOff: "off",
  unlock: "Tap the screen to turn sound on",
  reconnect: "Reconnect",
  talked: (minutes, seconds) => (minutes > 0 ? `Talked ${minutes} min ${seconds} s` : `Talked ${seconds} s`),
  announce: (number, customer) => `Incoming call. ${number}. ${customer}`,
  announceHeld: (number, pad) => `${number}, ${pad} has it`,
};

function ordinal(n: number): string {
  const ending = { one: "st", two: "nd", few: "rd", other: "th", zero: "th", many: "th" };
  return `${n}${ending[new Intl.PluralRules("en", { type: "ordinal" }).select(n)]}`;
}
