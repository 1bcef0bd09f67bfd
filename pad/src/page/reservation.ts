// Converts between the form's texts and a call's note and reservation. Dates are in the tablet's time zone.

import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { NoteInit } from "../client/actions.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import type { Draft } from "./drafts.ts";

const DATE = /^\d{4}-\d\d-\d\d$/;

/** The form's texts for a call. */
export function draftOf({ note, reservation }: Call): Draft {
  const at = reservation?.at ? new Date(timestampMs(reservation.at)) : undefined;
  return {
    name: reservation?.customerName ?? "",
    car: reservation?.carNumber ?? "",
    service: reservation?.service ?? "",
    date: at ? dayOf(at) : "",
    time: at ? `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}` : "",
    note,
  };
}

/** The draft with defaults: a time without a day is today. */
export function completed(draft: Draft, now: number): Draft {
  return draft.time !== "" && draft.date === "" ? { ...draft, date: dayOf(new Date(now)) } : draft;
}

/** Whether it can be saved: a day needs a time, and both must exist. */
export function isWhole(draft: Draft): boolean {
  return (draft.date === "" && draft.time === "") || instantOf(completed(draft, 0)) !== undefined;
}

/** What to save. */
export function noteOf(draft: Draft, now: number): NoteInit {
  const at = instantOf(completed(draft, now));
  const text = { customerName: draft.name.trim(), carNumber: draft.car.trim(), service: draft.service.trim() };
  const isThere = at !== undefined || Object.values(text).some((value) => value !== "");
  const reservation = isThere ? { ...text, ...(at !== undefined && { at: timestampFromMs(at) }) } : undefined;
  return { note: draft.note.trim(), reservation };
}

function instantOf({ date, time }: Draft): number | undefined {
  if (time === "" || !DATE.test(date)) return undefined;
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  const day = new Date(`${date}T00:00`);
  const at = new Date(day.getFullYear(), day.getMonth(), day.getDate(), hours, minutes).getTime();
  return Number.isFinite(at) ? at : undefined;
}

function dayOf(at: Date): string {
  return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
