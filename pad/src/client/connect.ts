// The client's front door: `connect({ url, token, onSnapshot, onCall, onState })`, wired to the browser.

import { browserClock } from "./clock.ts";
import { Connection, type ConnectionListener } from "./connection.ts";
import { grpcWeb } from "./grpc_web.ts";
import type { TokenSource } from "./tokens.ts";
import { TransportChoice, type Memory } from "./transport_choice.ts";
import { webSocket } from "./websocket.ts";

/** What `connect` needs. */
export interface PadOptions extends ConnectionListener {
  /** Where push-svc is, e.g. `https://pads.example.com`. */
  url: string;
  /** Gives the pad's JWT; gets the one that the server refused, if it did. Rejects with {@link NoToken} if there is none. */
  token: TokenSource;
}

/** A connection to a store. */
export interface Pad {
  /** The server's time, ms since 1970; undefined before the first message. */
  serverNow(): number | undefined;
  /** Tries again at once, e.g. when there is a new token. */
  retryNow(): void;
  close(): void;
}

/** Connects and stays connected. */
export function connect(options: PadOptions): Pad {
  const transports = { "grpc-web": grpcWeb(options.url), websocket: webSocket(options.url) };
  const connection = new Connection({
    transports: new TransportChoice(transports, sessionMemory()),
    token: options.token,
    session: newSession(),
    clock: browserClock,
    random: Math.random,
    listener: options,
  });
  const stopWatching = watchPage(() => connection.checkNow());
  connection.start();
  return {
    serverNow: () => connection.serverNow(),
    retryNow: () => connection.retryNow(),
    close() {
      stopWatching();
      connection.close();
    },
  };
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

/** A version 4 UUID. `crypto.randomUUID` is not there on a page served over plain HTTP. */
function newSession(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** `sessionStorage`, where the browser lets us have it. */
function sessionMemory(): Memory | undefined {
  try {
    return window.sessionStorage;
  } catch {
    return undefined;
  }
}
