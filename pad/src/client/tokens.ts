// The pad's token: asked for when there is none, when the server refused the one we have, and when it is about to
// expire. Never asked for on every reconnect: a restarted replica would send all its pads to the adopter's back end.

const ASK_WITHIN = 10_000;
const EXPIRES_SOON = 30_000;

/** Rejected by a token source that has none to give, as opposed to one that could not be reached. */
export class NoToken extends Error {
  override name = "NoToken";
}

/** Where tokens come from. Gets the token that was refused, if one was. */
export type TokenSource = (refused?: string) => Promise<string>;

/** Keeps the token between streams. */
export class Tokens {
  readonly #source: TokenSource;
  #token: string | undefined;
  #refused: string | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** The token for the next stream. `serverNow` is undefined before the first stream. */
  async next(serverNow: number | undefined): Promise<string> {
    const kept = this.#token;
    if (kept !== undefined && !expiresSoon(kept, serverNow)) return kept;
    const token = await within(ASK_WITHIN, this.#source(this.#refused ?? kept));
    if (token === "") throw new NoToken("the token source gave an empty token");
    this.#token = token;
    return token;
  }

  /** The server did not take the token. True: the first time since it took one, which is how an expiry looks. */
  refused(): boolean {
    const first = this.#refused === undefined;
    this.#refused = this.#token;
    this.#token = undefined;
    return first;
  }

  /** The server took the token. */
  accepted(): void {
    this.#refused = undefined;
  }

  /** True when the source gave again what has been refused. */
  get stillRefused(): boolean {
    return this.#refused !== undefined && this.#token === this.#refused;
  }
}

/** When a JWT expires, ms since 1970; undefined if it does not say so. Only the server judges a token. */
export function expiryOf(token: string): number | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { exp?: unknown };
    return typeof claims.exp === "number" ? claims.exp * 1000 : undefined;
  } catch {
    // Opaque to us.
    return undefined;
  }
}

function expiresSoon(token: string, serverNow: number | undefined): boolean {
  const expiry = expiryOf(token);
  return expiry !== undefined && serverNow !== undefined && expiry - serverNow < EXPIRES_SOON;
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no token came in time")), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
