// Who calls: what the texts say, and what a form takes from the records.

import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { CallerKind, CallSchema, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import { callerLabel, customer, names, notesOf, people } from "../src/page/format.ts";
import { draftOf, knownPerson, noteOf } from "../src/page/reservation.ts";

const T = Date.parse("2025-11-23T05:00:00Z");
const KIM = { id: "c1", name: "김민수", carNumber: "12가 3456", note: "하부 세차" };
const LEE = { id: "c2", name: "이영희", note: "향 없는 왁스" };

function call(more: MessageInitShape<typeof CallSchema> = {}): Call {
  const caller = { kind: CallerKind.NUMBER, number: "+821012345678", display: "010-1234-5678" };
  return create(CallSchema, { id: "a", caller, ...more } as MessageInitShape<typeof CallSchema>);
}

test("one customer, several of one number, a car without a name, and nobody", () => {
  assert.deepEqual(people(call({ customers: [KIM] })), ["김민수 · 12가 3456"]);
  assert.deepEqual(people(call({ customers: [KIM, LEE] })), ["김민수 · 12가 3456", "이영희"]);
  assert.equal(names(call({ customers: [KIM, LEE] })), "김민수, 이영희");
  assert.equal(callerLabel(call({ customers: [{ id: "c", carNumber: "12가 3456" }] })), "12가 3456 010-1234-5678");
  assert.deepEqual([people(call()), callerLabel(call())], [[], "010-1234-5678"]);
});

test("who has never called is new only if nobody's records have the number", () => {
  assert.equal(customer(call(), T).headline, "처음 전화한 손님");
  assert.deepEqual(customer(call({ customers: [KIM] }), T), { headline: "등록된 손님", detail: "" });
  const history = { lastCallAt: timestampFromMs(T - 86_400_000) };
  assert.deepEqual(customer(call({ customers: [KIM], history }), T), { headline: "등록된 손님", detail: "지난 통화 어제" });
  assert.equal(customer(call({ customers: [KIM], history: { calls: 3 } }), T).headline, "4번째 전화");
});

test("notes of the records come first, with the names if they are several, and none twice", () => {
  const history = { lastNote: "주말 오전 선호" };
  assert.equal(notesOf(call({ customers: [KIM], history })), "하부 세차\n주말 오전 선호");
  assert.equal(notesOf(call({ customers: [KIM, LEE], history })), "김민수: 하부 세차\n이영희: 향 없는 왁스\n주말 오전 선호");
  assert.equal(notesOf(call({ customers: [KIM], history: { lastNote: "하부 세차" } })), "하부 세차");
});

test("the form has the only customer's name and car; those alone are no reservation", () => {
  const one = call({ customers: [KIM] });
  const draft = draftOf(one);
  assert.deepEqual([draft.name, draft.car], ["김민수", "12가 3456"]);
  assert.equal(noteOf({ ...draft, note: "문의" }, T, knownPerson(one)).reservation, undefined);
  assert.deepEqual(noteOf({ ...draft, service: "실내 세차" }, T, knownPerson(one)).reservation, {
    customerName: "김민수",
    carNumber: "12가 3456",
    service: "실내 세차",
  });
  assert.ok(noteOf({ ...draft, car: "99다 9999" }, T, knownPerson(one)).reservation);
  assert.deepEqual([draftOf(call({ customers: [KIM, LEE] })).name, draftOf(call()).name], ["", ""]);
});

test("a call's own reservation is not replaced by what the records have", () => {
  const booked = call({ customers: [KIM], reservation: { customerName: "박서준", at: timestampFromMs(T) } });
  assert.deepEqual([draftOf(booked).name, draftOf(booked).car, knownPerson(booked).name], ["박서준", "", ""]);
});
