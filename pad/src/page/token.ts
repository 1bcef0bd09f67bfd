// The source of the page's token: first the link that opened the page (`#token=…`), then PAD_TOKEN_URL, then the credential of a
// tablet that was paired.
//
// The token leaves the address bar, and with it the history, before anything else happens. It stays in the tab's
// session storage, so that a reload works.

import { expiryOf, NoToken, type TokenSource } from "../client/tokens.ts";

const STORED = "ringpad.token";

/** Takes `#token=…` out of the address. True if there was one. */
export function takeFromAddress(): boolean {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token === null) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  if (token !== "") keep(token);
  return true;
}

/** Takes `#pair=…` out of the address: the code of another tablet. */
export function pairCodeFromAddress(): string | undefined {
  const code = new URLSearchParams(location.hash.slice(1)).get("pair");
  if (code === null) return undefined;
  history.replaceState(history.state, "", location.pathname + location.search);
  return code;
}

/** The part of {@link Pairing} that gives tokens. */
export interface PairedTokens {
  readonly isPaired: boolean;
  token(): Promise<string>;
}

/** The kept token, unless it was refused and there is another source. */
export function tokenSource(tokenUrl: string, pairing: PairedTokens): TokenSource {
  return async (refused) => {
    const kept = stored();
    const hasOther = tokenUrl !== "" || pairing.isPaired;
    if (kept !== undefined && (kept !== refused || !hasOther)) return kept;
    drop();
    if (tokenUrl === "") return await pairing.token();
    try {
      const token = await fetchToken(tokenUrl);
      keep(token);
      return token;
    } catch (error) {
      if (!(error instanceof NoToken) || !pairing.isPaired) throw error;
      return await pairing.token();
    }
  };
}

/** Why the server accepts no token: there is none, it has expired, or it is for another server or signed with another key. */
export type TokenFault = "none" | "expired" | "wrong";

/** What is wrong with the token at `now`, ms since 1970. */
export function tokenFault(now: number): TokenFault {
  const token = stored();
  if (token === undefined) return "none";
  const expiry = expiryOf(token);
  return expiry !== undefined && expiry <= now ? "expired" : "wrong";
}

/** PAD_TOKEN_URL, which the server writes into the page; empty without one. */
export function tokenUrlOfPage(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="ringpad-token-url"]')?.content ?? "";
}

async function fetchToken(url: string): Promise<string> {
  const response = await fetch(url, { credentials: "include", cache: "no-store" });
  // A fault of the back end or the network: tried again.
  if (response.status === 429 || response.status >= 500) throw new Error(`token URL answered ${response.status}`);
  const token = (await response.text()).trim();
  // A refusal, or a login page.
  if (!response.ok || token.split(".").length !== 3) throw new NoToken(`token URL gave none (${response.status})`);
  return token;
}

/** If the browser does not allow storage, the token is kept until the page is closed. */
let inMemory: string | undefined;

function keep(token: string): void {
  inMemory = token;
  try {
    sessionStorage.setItem(STORED, token);
  } catch {
    // Then the link is needed again after a reload.
  }
}

function drop(): void {
  inMemory = undefined;
  try {
    sessionStorage.removeItem(STORED);
  } catch {
    // Then it was never stored.
  }
}

function stored(): string | undefined {
  try {
    // A token that could not be stored is newer than a stored one.
    return inMemory ?? sessionStorage.getItem(STORED) ?? undefined;
  } catch {
    return inMemory;
  }
}
