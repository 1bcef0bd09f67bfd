// How this tablet becomes one of a store's: it shows a code until somebody has approved it, and keeps the credential that it gets
// for it. With the credential it gets tokens, tomorrow and in other tabs as well. Codes that have expired are replaced.

import { Code, ConnectError, type Client } from "@connectrpc/connect";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { Clock, Timer } from "../client/clock.ts";
import { NoToken } from "../client/tokens.ts";
import type { PairingService } from "../gen/ringpad/v1/pairing_pb.ts";

const STORED = "ringpad.credential";
/** The code that is shown, and its credential: the code may be approved while the page is loaded again. */
const WAITING = "ringpad.code";
/** Milliseconds before the next try, when the server cannot be reached, or has too many codes. */
const AGAIN = 5_000;
const AGAIN_WHEN_FULL = 30_000;
/** Milliseconds; polls are never closer than this. */
const SHORTEST_POLL = 1_000;
/** Milliseconds between polls for a code that an earlier page has got. */
const USUAL_POLL = 2_000;

/** What the tablet shows. */
export type PairingState =
  | { kind: "starting" }
  | { kind: "code"; code: string }
  /** The server has too many codes that nobody has approved. */
  | { kind: "full" }
  | { kind: "offline" }
  /** The server does not pair tablets. */
  | { kind: "unavailable" };

/** What pairing needs. */
export interface PairingContext {
  client: Pick<Client<typeof PairingService>, "begin" | "poll" | "issueToken">;
  clock: Pick<Clock, "after">;
  /** `localStorage`, if the browser allows it. */
  storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | undefined;
  /** The tablet was approved. */
  paired(): void;
  /** The credential is not valid any more: this page must show and keep nothing of the store's callers. */
  revoked(): void;
  /** {@link Pairing.state} has changed. */
  changed(): void;
}

/** This tablet's credential, and the code for a new one. */
export class Pairing {
  readonly #context: PairingContext;
  #state: PairingState | undefined;
  /** Without storage it is kept until the page is closed. */
  #inMemory: string | undefined;
  #timer: Timer | undefined;
  /** This page has had a token for a credential. */
  #hadToken = false;
  /** Counts starts: an answer to an earlier one is ignored. */
  #run = 0;

  constructor(context: PairingContext) {
    this.#context = context;
  }

  /** Undefined while no code is wanted. */
  get state(): PairingState | undefined {
    return this.#state;
  }

  get isPaired(): boolean {
    return this.#credential() !== undefined;
  }

  /** A token for the credential. Rejects with {@link NoToken} if there is none, or if it is not valid any more. */
  async token(): Promise<string> {
    const credential = this.#credential();
    if (credential === undefined) {
      // Another tab has learned that it is not valid any more.
      if (this.#hadToken) this.#forget();
      throw new NoToken("the tablet is not paired");
    }
    try {
      const { token } = await this.#context.client.issueToken({ credential });
      this.#hadToken = true;
      return token;
    } catch (error) {
      // After every other error the credential is still good.
      if (ConnectError.from(error).code !== Code.Unauthenticated) throw error;
      if (this.#credential() === credential) this.#forget();
      throw new NoToken("the tablet's credential is not valid any more");
    }
  }

  /** Shows a code, unless one is shown already. */
  begin(): void {
    if (this.#state) return;
    const run = (this.#run += 1);
    const [code, credential] = this.#read(WAITING)?.split(" ") ?? [];
    if (code && credential) {
      this.#show({ kind: "code", code });
      // The server says when it has expired.
      this.#poll(run, credential, USUAL_POLL, Infinity);
    } else {
      this.#show({ kind: "starting" });
      void this.#begin(run);
    }
  }

  /** No code is wanted any more. */
  stop(): void {
    this.#run += 1;
    this.#timer?.cancel();
    if (this.#state) this.#show(undefined);
  }

  async #begin(run: number): Promise<void> {
    try {
      const { credential, code, expiresAfter, pollInterval } = await this.#context.client.begin({});
      if (run !== this.#run) return;
      this.#show({ kind: "code", code });
      this.#write(WAITING, `${code} ${credential}`);
      const every = Math.max(SHORTEST_POLL, pollInterval ? durationMs(pollInterval) : AGAIN);
      this.#poll(run, credential, every, expiresAfter ? durationMs(expiresAfter) : Infinity);
    } catch (error) {
      if (run !== this.#run) return;
      const { code } = ConnectError.from(error);
      if (code === Code.Unimplemented) return this.#show({ kind: "unavailable" });
      const isFull = code === Code.ResourceExhausted;
      this.#show({ kind: isFull ? "full" : "offline" });
      this.#after(run, isFull ? AGAIN_WHEN_FULL : AGAIN, () => void this.#begin(run));
    }
  }

  /** Asks after `every` ms whether the code was approved; it is valid for `left` ms. */
  #poll(run: number, credential: string, every: number, left: number): void {
    if (left <= 0) return this.#replace(run);
    this.#after(run, every, async () => {
      const isApproved = await this.#isApproved(credential);
      if (run !== this.#run) return;
      if (isApproved === "expired") return this.#replace(run);
      if (!isApproved) return this.#poll(run, credential, every, left - every);
      this.#keep(credential);
      this.#remove(WAITING);
      this.stop();
      this.#context.paired();
    });
  }

  #replace(run: number): void {
    this.#remove(WAITING);
    void this.#begin(run);
  }

  async #isApproved(credential: string): Promise<boolean | "expired"> {
    try {
      return (await this.#context.client.poll({ credential })).pad !== undefined;
    } catch (error) {
      return ConnectError.from(error).code === Code.NotFound && "expired";
    }
  }

  #after(run: number, milliseconds: number, next: () => void): void {
    this.#timer = this.#context.clock.after(milliseconds, () => run === this.#run && next());
  }

  #show(state: PairingState | undefined): void {
    this.#state = state;
    this.#context.changed();
  }

  #credential(): string | undefined {
    return this.#inMemory ?? this.#read(STORED);
  }

  #keep(credential: string): void {
    if (!this.#write(STORED, credential)) this.#inMemory = credential;
  }

  #forget(): void {
    this.#inMemory = undefined;
    this.#hadToken = false;
    this.#remove(STORED);
    this.#context.revoked();
  }

  #read(key: string): string | undefined {
    try {
      return this.#context.storage?.getItem(key) ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** False: the browser does not allow it. */
  #write(key: string, value: string): boolean {
    try {
      this.#context.storage?.setItem(key, value);
      return this.#context.storage !== undefined;
    } catch {
      return false;
    }
  }

  #remove(key: string): void {
    try {
      this.#context.storage?.removeItem(key);
    } catch {
      // Not readable either.
    }
  }
}

/** Calls `paired` when another tab was paired. */
export function watchOtherTabs(paired: () => void): void {
  addEventListener("storage", ({ key, newValue }) => {
    if (key === STORED && newValue !== null) paired();
  });
}
