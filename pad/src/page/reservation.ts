// Converts between the form's texts and a call's note and reservation. Dates are in the tablet's time zone.

import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { NoteInit } from "../client/actions.ts";
import type { Call, Reservation } from "../gen/ringpad/v1/call_pb.ts";
import type { Draft } from "./drafts.ts";

const DATE = /^\d{4}-\d\d-\d\d$/;

/** Name and car of a customer, as the form has them. */
export type Person = Pick<Draft, "name" | "car">;

/** The form's texts for a call. Without a reservation it has the customer's name and car, if it can be only one customer. */
export function draftOf(call: Call): Draft {
  const { note, reservation } = call;
  const at = reservation?.at ? new Date(timestampMs(reservation.at)) : undefined;
  const { name, car } = reservation ? { name: reservation.customerName, car: reservation.carNumber } : knownPerson(call);
  return {
    name,
    car,
    service: reservation?.service ?? "",
    date: at ? dayOf(at) : "",
    time: at ? `${twoDigits(at.getHours())}:${twoDigits(at.getMinutes())}` : "",
    note,
  };
}

/** The customer, if there is only one and no reservation; otherwise empty. */
export function knownPerson({ customers, reservation }: Pick<Call, "customers" | "reservation">): Person {
  const [only, ...others] = reservation ? [] : customers;
  return only && others.length === 0 ? { name: only.name, car: only.carNumber } : { name: "", car: "" };
}

/** Whether something is booked: a name and a car without a time and a service are only a note about the person. */
export function isBooked(reservation: Call["reservation"]): reservation is Reservation {
  return reservation !== undefined && (reservation.at !== undefined || reservation.service !== "");
}

/** The draft with defaults: a time without a day is today. */
export function completed(draft: Draft, now: number): Draft {
  return draft.time !== "" && draft.date === "" ? { ...draft, date: dayOf(new Date(now)) } : draft;
}

/** Whether it can be saved: a day needs a time, and both must exist. */
export function isWhole(draft: Draft): boolean {
  return (draft.date === "" && draft.time === "") || instantOf(completed(draft, 0)) !== undefined;
}

/** What to save. Only what is `known` of the customer is no reservation. */
export function noteOf(draft: Draft, now: number, known: Person = { name: "", car: "" }): NoteInit {
  const at = instantOf(completed(draft, now));
  const text = { customerName: draft.name.trim(), carNumber: draft.car.trim(), service: draft.service.trim() };
  const isTyped = (value: string, known: string): boolean => value !== "" && value !== known.trim();
  const hasPerson = isTyped(text.customerName, known.name) || isTyped(text.carNumber, known.car);
  const isThere = at !== undefined || text.service !== "" || hasPerson;
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

/** A day as a date field has it: `2025-11-23`. */
export function dayOf(at: Date): string {
  return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())}`;
}

function twoDigits(number: number): string {
  return String(number).padStart(2, "0");
}
