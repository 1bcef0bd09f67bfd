// A pad's actions and queries: unary gRPC-Web, which works wherever HTTP does, also while the stream is a WebSocket.
//
// One tap is one request id. An attempt without an answer is repeated with the same id for about 10 s, so that an
// action whose answer was lost is done once. Its result also reaches every pad as an update.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type CallOptions, type Client } from "@connectrpc/connect";
import type { Call, CallState, CustomerSchema, ReservationSchema } from "../gen/ringpad/v1/call_pb.ts";
import type { PadService } from "../gen/ringpad/v1/pad_pb.ts";
import { ActionError, actionErrorOf } from "./action_error.ts";
import { backoff } from "./backoff.ts";
import type { Clock } from "./clock.ts";
import type { Tokens } from "./tokens.ts";
import { newUuid } from "./uuid.ts";

/** Milliseconds for all attempts of one action: a person waits in front of the screen. */
const ALL_ATTEMPTS = 10_000;
/** Milliseconds for one attempt: on a connection that broke without a signal it would wait for minutes. */
const ATTEMPT = 4_000;

/** A call's note and reservation: both replace the earlier ones. */
export interface NoteInit {
  /** 2,000 characters at most. */
  note: string;
  /** Absent: no reservation, or it is removed. */
  reservation?: MessageInitShape<typeof ReservationSchema> | undefined;
}

/** Who the caller is: a name or a car's number is required; without an id it is a new customer. */
export type CustomerInit = MessageInitShape<typeof CustomerSchema>;

/** Which calls to list; by default the newest ones. */
export interface CallQuery {
  /** Only callers whose number ends in these digits. */
  callerSuffix?: string;
  /**
   * Only calls in which each of these words occurs: digits in a number, in any form, or a car's number; others in a name, a car's
   * number, a note, the memo or a service. 100 characters at most.
   */
  query?: string;
  /** Only calls that began then or later, ms since 1970. */
  since?: number;
  /** Only calls that began before, ms since 1970. */
  until?: number;
  /** Only calls in one of these states; empty: all. */
  states?: CallState[];
  /** From the page before. */
  pageToken?: string;
  /** 1–500; absent: 100. */
  pageSize?: number;
}

/** Which reservations to list: those for a time from `from` on and before `until`, ms since 1970. */
export interface ReservationQuery {
  from: number;
  until: number;
  /** From the page before. */
  pageToken?: string;
  /** 1–500; absent: 100. */
  pageSize?: number;
}

/** Calls, newest first, or by their reservations' time. */
export interface CallPage {
  calls: Call[];
  /** Empty on the last page. */
  nextPageToken: string;
}

/** What {@link Actions} needs. */
export interface ActionParts {
  client: Client<typeof PadService>;
  tokens: Tokens;
  clock: Clock;
  random: () => number;
  /** The earliest possible server's time, if it is known, by which {@link Tokens.next} judges a token. */
  serverNow: () => number | undefined;
}

/** The actions. Each resolves to the changed call, or rejects with an {@link ActionError}. */
export class Actions {
  readonly #parts: ActionParts;

  constructor(parts: ActionParts) {
    this.#parts = parts;
  }

  async claim(callId: string): Promise<Call> {
    const request = { callId, requestId: newUuid() };
    return callOf(await this.#persist((options) => this.#parts.client.claimCall(request, options)));
  }

  async release(callId: string): Promise<Call> {
    const request = { callId, requestId: newUuid() };
    return callOf(await this.#persist((options) => this.#parts.client.releaseCall(request, options)));
  }

  async close(callId: string): Promise<Call> {
    const request = { callId, requestId: newUuid() };
    return callOf(await this.#persist((options) => this.#parts.client.closeCall(request, options)));
  }

  async reopen(callId: string): Promise<Call> {
    const request = { callId, requestId: newUuid() };
    return callOf(await this.#persist((options) => this.#parts.client.reopenCall(request, options)));
  }

  async saveNote(callId: string, { note, reservation }: NoteInit): Promise<Call> {
    const request = { callId, requestId: newUuid(), note, ...(reservation && { reservation }) };
    return callOf(await this.#persist((options) => this.#parts.client.saveNote(request, options)));
  }

  async saveCustomer(callId: string, customer: CustomerInit): Promise<Call> {
    const request = { callId, requestId: newUuid(), customer };
    return callOf(await this.#persist((options) => this.#parts.client.saveCustomer(request, options)));
  }

  async listCalls({ since, until, ...query }: CallQuery): Promise<CallPage> {
    const request = {
      ...query,
      ...(since !== undefined && { since: timestampFromMs(since) }),
      ...(until !== undefined && { until: timestampFromMs(until) }),
    };
    const { calls, nextPageToken } = await this.#persist((options) => this.#parts.client.listCalls(request, options));
    return { calls, nextPageToken };
  }

  async listReservations({ from, until, ...query }: ReservationQuery): Promise<CallPage> {
    const request = { ...query, from: timestampFromMs(from), until: timestampFromMs(until) };
    const { calls, nextPageToken } = await this.#persist((options) => this.#parts.client.listReservations(request, options));
    return { calls, nextPageToken };
  }

  /** One attempt of another request that needs this pad's token. */
  authorized<T>(send: (options: CallOptions) => Promise<T>): Promise<T> {
    return this.#withToken(send, this.#parts.clock.now() + ATTEMPT);
  }

  /** Tries until there is an answer, or the time is over. */
  async #persist<T>(send: (options: CallOptions) => Promise<T>): Promise<T> {
    const { clock, random } = this.#parts;
    const giveUpAt = clock.now() + ALL_ATTEMPTS;
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#withToken(send, giveUpAt);
      } catch (cause) {
        const error = actionErrorOf(cause);
        const wait = backoff(failures, random);
        if (error.kind !== "offline" || clock.now() + wait >= giveUpAt) throw error;
        await new Promise<void>((resolve) => void clock.after(wait, resolve));
      }
    }
  }

  /** One attempt; a second if the token had expired meanwhile. */
  async #withToken<T>(send: (options: CallOptions) => Promise<T>, giveUpAt: number): Promise<T> {
    const { tokens, serverNow } = this.#parts;
    const token = await tokens.next(serverNow());
    try {
      return await this.#once(send, token, giveUpAt);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unauthenticated || !tokens.refused(token)) throw error;
    }
    const next = await tokens.next(serverNow());
    if (next === token) throw new ActionError("no-token", "the token was refused, and there is no other one");
    return await this.#once(send, next, giveUpAt);
  }

  async #once<T>(send: (options: CallOptions) => Promise<T>, token: string, giveUpAt: number): Promise<T> {
    const { clock, tokens } = this.#parts;
    const abort = new AbortController();
    // Not `timeoutMs`: that would add a header which a proxy or CORS may not know.
    const timer = clock.after(Math.min(ATTEMPT, Math.max(0, giveUpAt - clock.now())), () => abort.abort());
    try {
      const answer = await send({ headers: { authorization: `Bearer ${token}` }, signal: abort.signal });
      tokens.accepted();
      return answer;
    } finally {
      timer.cancel();
    }
  }
}

function callOf({ call }: { call?: Call | undefined }): Call {
  if (!call) throw new ActionError("refused", "the server answered without the call");
  return call;
}
