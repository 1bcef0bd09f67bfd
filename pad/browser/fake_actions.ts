// The fake server's actions: the semantics of the contract, for gRPC-Web's unary calls. The first
// claim wins, a repeat of a request id is the same action, and every change comes back to all pads as an update.

import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { AnySchema, anyPack, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { CallSchema, CallState, ClaimSchema, type Call } from "../src/gen/ringpad/v1/call_pb.ts";
import {
  ClaimCallResponseSchema,
  PadServiceListCallsRequestSchema,
  PadServiceListCallsResponseSchema,
  PadServiceListReservationsRequestSchema,
  PadServiceListReservationsResponseSchema,
  SaveNoteRequestSchema,
} from "../src/gen/ringpad/v1/pad_pb.ts";
import { identityOf } from "../src/client/tokens.ts";

type CallInit = MessageInitShape<typeof CallSchema>;

const CLAIMS = new Set(["ClaimCall", "ReleaseCall"]);
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

/** A gRPC status other than OK. */
export class Refusal extends Error {
  readonly status: number;
  readonly details: Uint8Array | undefined;

  constructor(status: number, message: string, details?: Uint8Array) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/** The calls that actions work on. */
export interface CallStore {
  get(id: string): CallInit | undefined;
  all(): CallInit[];
  update(call: CallInit & { id: string }): void;
}

/** A request as a pad sent it. */
export interface Sent {
  method: string;
  callId: string;
  requestId: string;
}

/** Answers unary calls. */
export class FakeActions {
  readonly #store: CallStore;
  readonly #done = new Map<string, Uint8Array>();
  /** Every action so far, repeats included. */
  readonly sent: Sent[] = [];
  /** Every search so far. */
  readonly searches: string[] = [];
  /** Queries that pages made by themselves so far, for calls that their snapshot did not have. */
  questions = 0;
  /** Times that a customer's calls were read. */
  records = 0;

  constructor(store: CallStore) {
    this.#store = store;
  }

  /** The answer's bytes; throws a {@link Refusal}. */
  answer(method: string, body: Uint8Array, token: string): Uint8Array {
    if (method === "ListCalls") return this.#list(body);
    if (method === "ListReservations") return this.#listReservations(body);
    // The five requests begin with the same fields.
    const request = fromBinary(SaveNoteRequestSchema, body);
    this.sent.push({ method, callId: request.callId, requestId: request.requestId });
    const before = this.#done.get(request.requestId);
    if (before) return before;
    const call = create(CallSchema, this.#store.get(request.callId) ?? {});
    if (call.id === "") throw new Refusal(NOT_FOUND, "no such call");
    const { id: padId, name: padName } = identityOf(token) ?? { id: "opaque", name: "" };
    // Every pad may do the others.
    if (CLAIMS.has(method) && call.claim && call.claim.padId !== padId) throw heldBy(call);
    if (method === "ClaimCall" && !call.claim) call.claim = create(ClaimSchema, { padId, padName, at: timestampFromMs(Date.now()) });
    if (method === "ReleaseCall") delete call.claim;
    if (method === "CloseCall") call.closed = true;
    if (method === "ReopenCall") call.closed = false;
    if (method === "SaveNote") {
      call.note = request.note;
      if (request.reservation) call.reservation = request.reservation;
      else delete call.reservation;
    }
    this.#store.update(call);
    const now = create(CallSchema, this.#store.get(call.id) ?? {});
    // The five responses have the same field.
    const bytes = toBinary(ClaimCallResponseSchema, create(ClaimCallResponseSchema, { call: now }));
    this.#done.set(request.requestId, bytes);
    return bytes;
  }

  #listReservations(body: Uint8Array): Uint8Array {
    const { from, until } = fromBinary(PadServiceListReservationsRequestSchema, body);
    const calls = this.#store
      .all()
      .map((call) => create(CallSchema, call))
      .filter((call) => from && until && bookedAt(call) >= timestampMs(from) && bookedAt(call) < timestampMs(until))
      .sort((a, b) => bookedAt(a) - bookedAt(b));
    return toBinary(PadServiceListReservationsResponseSchema, create(PadServiceListReservationsResponseSchema, { calls }));
  }

  #list(body: Uint8Array): Uint8Array {
    const { callerSuffix, query, pageSize, pageToken, since, states } = fromBinary(PadServiceListCallsRequestSchema, body);
    if (query === "" && callerSuffix !== "") this.records += 1;
    else if (query === "") this.questions += 1;
    else if (pageToken === "") {
      // As if none of the calls that the server reads first matched.
      this.searches.push(query);
      return toBinary(PadServiceListCallsResponseSchema, create(PadServiceListCallsResponseSchema, { nextPageToken: "0" }));
    }
    const from = since ? timestampMs(since) : -Infinity;
    const found = this.#store
      .all()
      .map((call) => create(CallSchema, call))
      .filter(({ caller }) => (caller?.number ?? "").endsWith(callerSuffix))
      .filter((call) => query.split(/\s+/).every((word) => hasWord(call, word)))
      .filter(({ state }) => states.length === 0 || states.includes(state))
      .filter(({ startedAt }) => startedAt && timestampMs(startedAt) >= from)
      .sort((a, b) => Number((b.startedAt?.seconds ?? 0n) - (a.startedAt?.seconds ?? 0n)));
    const first = Number(pageToken || "0");
    const to = first + (pageSize || 100);
    const nextPageToken = to < found.length ? String(to) : "";
    return toBinary(
      PadServiceListCallsResponseSchema,
      create(PadServiceListCallsResponseSchema, { calls: found.slice(first, to), nextPageToken }),
    );
  }
}

/** When the reservation is, ms since 1970. */
function bookedAt({ reservation }: Call): number {
  return reservation?.at ? timestampMs(reservation.at) : NaN;
}

/** Approximately as the server does it. */
function hasWord({ caller, customers, note, memo, reservation }: Call, word: string): boolean {
  const texts = [note, memo, reservation?.customerName, reservation?.carNumber, reservation?.service, ...customers.flatMap((it) => [it.name, it.carNumber, it.note])];
  if (texts.some((text) => text?.toLowerCase().includes(word.toLowerCase()))) return true;
  const digits = word.replaceAll(/\D/g, "").replace(/^(00)?82/, "").replace(/^0+(?=\d{8})/, "");
  return digits !== "" && /^[\d\s+()-]*$/.test(word) && (caller?.number ?? "").includes(digits);
}

function heldBy({ claim }: Call): Refusal {
  const message = `${claim?.padName} has the call`;
  const writer = new BinaryWriter().uint32((1 << 3) | 0).int32(FAILED_PRECONDITION).uint32((2 << 3) | 2).string(message);
  if (claim) writer.uint32((3 << 3) | 2).bytes(toBinary(AnySchema, anyPack(ClaimSchema, claim)));
  return new Refusal(FAILED_PRECONDITION, message, writer.finish());
}

/** Whether a call is still open. */
export function isOpen({ state }: CallInit): boolean {
  return state === CallState.RINGING || state === CallState.ANSWERED;
}

/** A token without a signature: the page only reads its claims. */
export function padToken(id: string, name: string): string {
  return `a.${Buffer.from(JSON.stringify({ sub: id, name })).toString("base64url")}.c`;
}
