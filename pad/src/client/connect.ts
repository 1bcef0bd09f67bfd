// The client's front door: `connect({ url, token, onRinging })`, or with the connection's three listeners, wired to
// the browser.

import { createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { PadService } from "../gen/ringpad/v1/pad_pb.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { Actions, type CallPage, type CallQuery, type NoteInit } from "./actions.ts";
import { browserClock } from "./clock.ts";
import { Connection, type ConnectionListener } from "./connection.ts";
import { grpcWeb } from "./grpc_web.ts";
import { both, Ringing } from "./ringing.ts";
import { Tokens, type PadIdentity, type TokenSource } from "./tokens.ts";
import { TransportChoice, type Memory } from "./transport_choice.ts";
import { newUuid } from "./uuid.ts";
import { webSocket } from "./websocket.ts";

/** Where to connect, and as whom. */
export interface PadAddress {
  /** Where push-svc is, e.g. `https://pads.example.com`. */
  url: string;
  /**
   * Gives the pad's JWT; gets the one before, if the server refused it or it is about to expire. Rejects with
   * {@link NoToken} if there is none.
   */
  token: TokenSource;
}

/** Options of a page that keeps the store's calls itself. */
export interface PadOptions extends PadAddress, ConnectionListener {}

/** Options of a page that shows who calls; what else happens it may listen to. */
export interface RingingOptions extends PadAddress, Partial<ConnectionListener> {
  /**
   * Gets the calls that ring now and that nobody has taken, the one that began first in front, whenever that changes:
   * also for a page that is loaded mid-ring, and when a ring's time is over. Show these and nothing else.
   */
  onRinging(calls: Call[]): void;
}

/**
 * A connection to a store, and what its pad can do there. Actions give the call as it then is (which comes as an update
 * as well), are repeated safely for about 10 s where no answer comes, and reject with an {@link ActionError}.
 */
export interface Pad {
  /** Takes a call: the first claim wins, and the same pad's repeat is fine. */
  claim(callId: string): Promise<Call>;
  /** Gives a claimed call back. */
  release(callId: string): Promise<Call>;
  /** Marks a call as dealt with. */
  close(callId: string): Promise<Call>;
  /** Takes that back. */
  reopen(callId: string): Promise<Call>;
  /** Replaces a call's note and its reservation. */
  saveNote(callId: string, note: NoteInit): Promise<Call>;
  /** Older calls, newest first, and search. */
  listCalls(query?: CallQuery): Promise<CallPage>;
  /** The pad that the token is for, e.g. to tell its own claims from others'; undefined before the first token. */
  identity(): PadIdentity | undefined;
  /**
   * The server's time as far as can be told, ms since 1970; undefined before the first message. Show things by it. It may be
   * wrong by hours for some seconds, while the machine's own clock is set: forget nothing by it.
   */
  serverNow(): number | undefined;
  /** The server's time at the earliest, ms since 1970, whatever the machine's own clock says. Forget things by it. */
  serverAtLeast(): number | undefined;
  /** Tries again at once, whatever the state. */
  retryNow(): void;
  /** There is another token, for this store or another one: `token` is asked, and what it gives is used from now on. */
  tokenChanged(): void;
  /** Ends the connection for good. */
  disconnect(): void;
}

/** Connects and stays connected. */
export function connect(options: PadOptions | RingingOptions): Pad {
  const transports = { "grpc-web": grpcWeb(options.url), websocket: webSocket(options.url) };
  const tokens = new Tokens(options.token);
  // What somebody did is still told when the page is left.
  const keepAlive: typeof fetch = (input, init) => fetch(input, { ...init, keepalive: true });
  const transport = createGrpcWebTransport({ baseUrl: options.url, useBinaryFormat: true, fetch: keepAlive });
  const client = createClient(PadService, transport);
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
    listCalls: (query = {}) => actions.listCalls(query),
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
  return both(options, new Ringing({ clock: browserClock, serverNow, onRinging: (calls) => options.onRinging(calls) }));
}

/** Calls `check` whenever the page may have been away: shown again, back from the cache, back on the network. */
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

/** `sessionStorage`, where the browser lets us have it. */
function sessionMemory(): Memory | undefined {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}
