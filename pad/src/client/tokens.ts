// The pad's token: asked for when there is none, when the server refused the one we have, and when it is about to
// expire (renewal.ts sees to that while a stream lives). Never asked for on every reconnect: a restarted replica would
// send all its pads to the adopter's back end.

const ASK_WITHIN = 10_000;
const EXPIRES_SOON = 30_000;

/** Rejected by a token source that has none to give, as opposed to one that could not be reached. */
export class NoToken extends Error {
  override name = "NoToken";
}

/** Where tokens come from. Gets the token that no longer does: refused, or about to expire. */
export type TokenSource = (refused?: string) => Promise<string>;

/** The pad that a token is for. */
export interface PadIdentity {
  id: string;
  name: string;
}

/** Keeps the token, for streams and actions alike. */
export class Tokens {
  readonly #source: TokenSource;
  #token: string | undefined;
  #refused: string | undefined;
  #asking: Promise<string> | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** Who we are, if the token is one that can be read. */
  get identity(): PadIdentity | undefined {
    return identityOf(this.#token ?? this.#refused ?? "");
  }

  /**
   * The token to use next. `now` is the server's time at the earliest, undefined before the first stream: a token that works
   * is not given up for a clock that was set.
   */
  async next(now: number | undefined): Promise<string> {
    const kept = this.#token;
    return kept !== undefined && !expiresSoon(kept, now) ? kept : await this.#askOnce();
  }

  /** The token after `token`, which still works: asked for, unless something has replaced it already. */
  async after(token: string): Promise<string> {
    const kept = this.#token;
    return kept !== undefined && kept !== token ? kept : await this.#askOnce();
  }

  /**
   * The server did not take `token`. True: another one is worth asking for, since it was the first refusal since the
   * server took one, which is how an expiry looks, or somebody has replaced it already.
   */
  refused(token: string): boolean {
    if (this.#token !== undefined && this.#token !== token) return true;
    const first = this.#refused === undefined || (this.#token === undefined && this.#refused === token);
    this.#refused = token;
    this.#token = undefined;
    return first;
  }

  /** There is another one, people say: the source is asked. */
  forget(): void {
    this.#token = undefined;
  }

  /** The server took the token. */
  accepted(): void {
    this.#refused = undefined;
  }

  /** True when the source gave again what has been refused. */
  get stillRefused(): boolean {
    return this.#refused !== undefined && this.#token === this.#refused;
  }

  /** Streams and actions that want one at the same time ask once. */
  #askOnce(): Promise<string> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<string> {
    const token = await within(ASK_WITHIN, this.#source(this.#refused ?? this.#token));
    if (token === "") throw new NoToken("the token source gave an empty token");
    this.#token = token;
    return token;
  }
}

/** When a JWT expires, ms since 1970; undefined if it does not say so. Only the server judges a token. */
export function expiryOf(token: string): number | undefined {
  const { exp } = claimsOf(token);
  return typeof exp === "number" ? exp * 1000 : undefined;
}

/** Which pad a JWT is for: `sub` and `name`. */
export function identityOf(token: string): PadIdentity | undefined {
  const { sub, name } = claimsOf(token);
  return typeof sub === "string" && sub !== "" ? { id: sub, name: typeof name === "string" ? name : "" } : undefined;
}

function claimsOf(token: string): { exp?: unknown; sub?: unknown; name?: unknown } {
  try {
    const payload = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    const claims: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" && claims !== null ? claims : {};
  } catch {
    // Opaque to us.
    return {};
  }
}

function expiresSoon(token: string, now: number | undefined): boolean {
  const expiry = expiryOf(token);
  return expiry !== undefined && now !== undefined && expiry - now < EXPIRES_SOON;
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
