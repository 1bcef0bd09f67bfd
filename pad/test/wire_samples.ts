// The messages of ../tests/fixtures/wire, which the Rust tests read too: one of each kind, with the corners of proto3
// JSON in them (64-bit numbers, absent and empty fields, enum names, fractions of seconds).

import { create, toBinary, toJson, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { CallerKind, CallState, type CallSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { SubscribeResponseSchema, type SubscribeResponse } from "../src/gen/ringpad/v1/pad_pb.ts";

const at = (iso: string) => timestampFromDate(new Date(iso));
const EPOCH = "7b0c6a52-4f0e-4a5e-9d0b-0d1c7f3b9a10";

const reservation = { customerName: "김민수", carNumber: "12가 3456", service: "실내 세차", at: at("2025-11-24T01:30:00Z") };

const ringing: MessageInitShape<typeof CallSchema> = {
  id: "0193f6a0-1111-7000-8000-000000000001",
  revision: 42n,
  state: CallState.RINGING,
  caller: { number: "+821012345678", display: "010-1234-5678", kind: CallerKind.NUMBER },
  virtualNumber: "0507-1234-5678",
  startedAt: at("2025-11-23T05:31:07Z"),
  history: { calls: 2, lastCallAt: at("2025-11-20T01:02:03Z"), lastNote: "흰색 카니발, 실내 세차", lastReservation: reservation },
  memo: "네이버 예약 문의",
  customers: [
    { id: "c-1024", name: "김민수", carNumber: "12가 3456", note: "하부 세차 꼭 확인" },
    { name: "이영희" },
  ],
};

const completed: MessageInitShape<typeof CallSchema> = {
  ...ringing,
  revision: 9007199254740993n,
  state: CallState.COMPLETED,
  answeredAt: at("2025-11-23T05:31:15Z"),
  endedAt: at("2025-11-23T05:33:02Z"),
  claim: { padId: "pad-1", padName: "카운터", at: at("2025-11-23T05:31:14.250Z") },
  note: "내일 10시 예약",
  closed: true,
  reservation,
};

const withheld: MessageInitShape<typeof CallSchema> = {
  id: "0193f6a0-2222-7000-8000-000000000002",
  revision: 43n,
  state: CallState.RINGING,
  caller: { display: "발신번호 표시제한", kind: CallerKind.WITHHELD },
  virtualNumber: "0507-1234-5678",
  startedAt: at("2025-11-23T05:40:00Z"),
  history: {},
};

const missed: MessageInitShape<typeof CallSchema> = {
  id: "0193f6a0-3333-7000-8000-000000000003",
  revision: 40n,
  state: CallState.MISSED,
  caller: { number: "+82212345678", display: "02-1234-5678", kind: CallerKind.NUMBER },
  virtualNumber: "0507-1234-5678",
  startedAt: at("2025-11-23T04:10:00Z"),
  endedAt: at("2025-11-23T04:10:21Z"),
  history: {},
};

const popUntil = at("2025-11-23T05:31:37.412Z");
const pops = { ...ringing, popUntil };

/** Messages by the name of their files. */
export const samples: Record<string, SubscribeResponse> = Object.fromEntries(
  Object.entries({
    snapshot: {
      case: "snapshot",
      value: {
        serverTime: at("2025-11-23T05:31:10.500Z"),
        heartbeatInterval: { seconds: 5n },
        store: { id: "gangnam", name: "강남 세차장" },
        position: 42n,
        epoch: EPOCH,
        openCalls: [pops],
        recentCalls: [missed],
      },
    },
    snapshot_resumed: {
      case: "snapshot",
      value: {
        serverTime: at("2025-11-23T05:31:10Z"),
        heartbeatInterval: { seconds: 2n, nanos: 500_000_000 },
        store: { id: "gangnam", name: "강남 세차장" },
        epoch: EPOCH,
        resumed: true,
      },
    },
    update_ringing: { case: "update", value: { position: 42n, call: pops, popUntil } },
    update_completed: { case: "update", value: { position: 9007199254740993n, call: completed } },
    update_withheld: { case: "update", value: { position: 43n, call: withheld, popUntil } },
    early: { case: "early", value: { call: pops, popUntil } },
    heartbeat: { case: "heartbeat", value: { serverTime: at("2025-11-23T05:31:15.007Z"), position: 42n } },
    reconnect: { case: "reconnect", value: { after: { seconds: 0n, nanos: 250_000_000 } } },
  } as Record<string, MessageInitShape<typeof SubscribeResponseSchema>["event"] & object>).map(([name, event]) => [
    name,
    create(SubscribeResponseSchema, { event }),
  ]),
);

/** The files' contents: `name.json` and `name.b64`. */
export function fixtureFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const [name, message] of Object.entries(samples)) {
    files.set(`${name}.json`, JSON.stringify(toJson(SubscribeResponseSchema, message), undefined, 2) + "\n");
    files.set(`${name}.b64`, Buffer.from(toBinary(SubscribeResponseSchema, message)).toString("base64") + "\n");
  }
  return files;
}
