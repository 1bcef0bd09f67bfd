// The client's entry point: `connect({ url, token, onRinging })`, or with the three methods of a listener.

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { PadService } from "../gen/ringpad/v1/pad_pb.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { PairingService } from "../gen/ringpad/v1/pairing_pb.ts";
import { Actions, type CallPage, type CallQuery, type CustomerInit, type NoteInit, type ReservationQuery } from "./actions.ts";
import { browserClock } from "./clock.ts";
import { Connection } from "./connection.ts";
import { grpcWeb } from "./grpc_web.ts";
import type { ConnectionListener } from "./listener.ts";
import { notifyBoth, Ringing } from "./ringing.ts";
import { Tokens, type PadIdentity, type TokenSource } from "./tokens.ts";
import { TransportChoice, type Memory } from "./transport_choice.ts";
import { newUuid } from "./uuid.ts";
import { webSocket } from "./websocket.ts";

/** Where to connect, and with which token. */
export interface PadAddress {
  /** Where push-svc is, e.g. `https://pads.example.com`. */
  url: string;
  /**
   * Gives the pad's JWT. Gets the previous one if the server has refused it or it is about to expire. Rejects with
   * {@link NoToken} if there is none.
   */
  token: TokenSource;
}

/** Options for a page that keeps the store's calls itself. */
export interface PadOptions extends PadAddress, ConnectionListener {}

/** Options for a page that shows who calls; the methods of a listener are optional. */
export interface RingingOptions extends PadAddress, Partial<ConnectionListener> {
  /**
   * Gets the calls that ring now and are not claimed, oldest first, at each change: also for a page that is loaded
   * while the phone rings, and when a ring's time is over. Show these calls and no others.
   */
  onRinging(calls: Call[]): void;
}

/**
 * A connection to a store, and the pad's actions there. An action resolves to the changed call (which comes as an update
 * as well), is repeated safely for about 10 s if no answer comes, and rejects with an {@link ActionError}.
 */
export interface Pad {
  /** Claims a call: the first claim wins, and the same pad may repeat it. */
  claim(callId: string): Promise<Call>;
  /** Gives a claimed call back. */
  release(callId: string): Promise<Call>;
  /** Marks a call as dealt with. */
  close(callId: string): Promise<Call>;
  /** Takes `close` back. */
  reopen(callId: string): Promise<Call>;
  /** Replaces a call's note and its reservation. */
  saveNote(callId: string, note: NoteInit): Promise<Call>;
  /** Writes who the caller is, here and for the next calls. */
  saveCustomer(callId: string, customer: CustomerInit): Promise<Call>;
  /** Older calls, newest first, and search. */
  listCalls(query?: CallQuery): Promise<CallPage>;
  /** Calls with a reservation, by the reservation's time. */
  listReservations(query: ReservationQuery): Promise<CallPage>;
  /**
   * Makes the tablet that shows this code a pad of this store; resolves to its name. Rejects with the `ConnectError` of the one
   * attempt, or with {@link NoToken}.
   */
  approvePairing(code: string, name: string): Promise<string>;
  /** The pad that the token is for, e.g. to distinguish its own claims; undefined before the first token. */
  identity(): PadIdentity | undefined;
  /**
   * The estimated server's time, ms since 1970; undefined before the first message. Use it for what is shown. After the
   * machine's clock was set it may be wrong by hours for some seconds: do not delete anything by it.
   */
  serverNow(): number | undefined;
  /** The earliest possible server's time, ms since 1970, independent of the machine's clock. Use it for what is deleted. */
  serverAtLeast(): number | undefined;
  /** Tries again now, in any state. */
  retryNow(): void;
  /** There is another token, for this store or another one: `token` is called, and its result is used from now on. */
  tokenChanged(): void;
  /** Ends the connection for good. */
  disconnect(): void;
}

/** Connects and stays connected. */
export function connect(options: PadOptions | RingingOptions): Pad {
  const transports = { "grpc-web": grpcWeb(options.url), websocket: webSocket(options.url) };
  const tokens = new Tokens(options.token);
  // An action is still sent when the page is closed.
  const keepAlive: typeof fetch = (input, init) => fetch(input, { ...init, keepalive: true });
  const transport = createGrpcWebTransport({ baseUrl: options.url, useBinaryFormat: true, fetch: keepAlive });
  const client = createClient(PadService, transport);
  const pairing = createClient(PairingService, transport);
  const serverNow = () => connection.serverNow();
  const connection = new Connection({
    transports: new TransportChoice(transports, sessionMemory(), browserClock),
    tokens,
    session: newUuid(),
    clock: browserClock,
    random: Math.random,
    listener: listenerOf(options, serverNow),
  });
  const serverAtLeast = () => connection.serverAtLeast();
  const actions = new Actions({ client, tokens, clock: browserClock, random: Math.random, serverNow: serverAtLeast });
  const stopWatching = watchPage(() => connection.checkNow());
  connection.start();
  return {
    claim: (id) => actions.claim(id),
    release: (id) => actions.release(id),
    close: (id) => actions.close(id),
    reopen: (id) => actions.reopen(id),
    saveNote: (id, note) => actions.saveNote(id, note),
    saveCustomer: (id, customer) => actions.saveCustomer(id, customer),
    listCalls: (query = {}) => actions.listCalls(query),
    listReservations: (query) => actions.listReservations(query),
    async approvePairing(code, name) {
      const request = { code, name };
      const { pad } = await actions.authorized((callOptions) => pairing.approvePairing(request, callOptions));
      return pad?.name || name;
    },
    identity: () => tokens.identity,
    serverNow,
    serverAtLeast,
    retryNow: () => connection.retryNow(),
    tokenChanged: () => connection.tokenChanged(),
    disconnect() {
      stopWatching();
      connection.close();
    },
  };
}

function listenerOf(options: PadOptions | RingingOptions, serverNow: () => number | undefined): ConnectionListener {
  if (!("onRinging" in options)) return options;
  return notifyBoth(options, new Ringing({ clock: browserClock, serverNow, onRinging: (calls) => options.onRinging(calls) }));
}

/** Calls `check` when the page may have been inactive: visible again, restored from the cache, or back online. */
function watchPage(check: () => void): () => void {
  const onVisible = () => {
    if (document.visibilityState === "visible") check();
  };
  document.addEventListener("visibilitychange", onVisible);
  window.addEventListener("pageshow", check);
  window.addEventListener("online", check);
  return () => {
    document.removeEventListener("visibilitychange", onVisible);
    window.removeEventListener("pageshow", check);
    window.removeEventListener("online", check);
  };
}

/** `sessionStorage`, if the browser allows it. */
function sessionMemory(): Memory | undefined {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}
