// The pad's token. The source is asked when there is none, when the server has refused the one we have, and when it is about
// to expire (renewal.ts does that while a stream is open). Not at each reconnect: after a restart of a replica, all its pads
// would ask the adopter's back end at the same time.

const ASK_WITHIN = 10_000;
const EXPIRES_SOON = 30_000;

/** A token source rejects with this if it has no token; with any other error if it could not be reached. */
export class NoToken extends Error {
  override name = "NoToken";
}

/** Gives tokens. Gets the previous token if it was refused or is about to expire. */
export type TokenSource = (refused?: string) => Promise<string>;

/** The pad that a token is for. */
export interface PadIdentity {
  id: string;
  name: string;
}

/** Keeps the token for streams and actions. */
export class Tokens {
  readonly #source: TokenSource;
  #token: string | undefined;
  #refused: string | undefined;
  #asking: Promise<string> | undefined;

  constructor(source: TokenSource) {
    this.#source = source;
  }

  /** The pad's id and name, if the token can be read. */
  get identity(): PadIdentity | undefined {
    return identityOf(this.#token ?? this.#refused ?? "");
  }

  /**
   * The token to use next. `now` is the earliest possible server's time, undefined before the first stream: a token that
   * works is not replaced because the machine's clock was set.
   */
  async next(now: number | undefined): Promise<string> {
    const kept = this.#token;
    return kept !== undefined && !expiresSoon(kept, now) ? kept : await this.#askOnce();
  }

  /** The token after `token`, which still works. The source is asked, unless there is a newer one already. */
  async after(token: string): Promise<string> {
    const kept = this.#token;
    return kept !== undefined && kept !== token ? kept : await this.#askOnce();
  }

  /**
   * The server has refused `token`. True: try another one, because this is the first refusal after a token was accepted
   * (it has probably expired), or because there is a newer one already.
   */
  refused(token: string): boolean {
    if (this.#token !== undefined && this.#token !== token) return true;
    const first = this.#refused === undefined || (this.#token === undefined && this.#refused === token);
    this.#refused = token;
    this.#token = undefined;
    return first;
  }

  /** There is another token: the source is asked next time. */
  forget(): void {
    this.#token = undefined;
  }

  /** The server has accepted the token. */
  accepted(): void {
    this.#refused = undefined;
  }

  /** True if the source gave the refused token again. */
  get stillRefused(): boolean {
    return this.#refused !== undefined && this.#token === this.#refused;
  }

  /** Streams and actions that need a token at the same time share one request. */
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

/** When a JWT expires, ms since 1970; undefined if it has no `exp`. Only the server checks a token. */
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
    // Not a JWT that we can read.
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
    timer = setTimeout(() => reject(new Error("the token source did not answer in time")), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
