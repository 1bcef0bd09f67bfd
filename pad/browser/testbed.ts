// The real services, three replicas behind the shipped nginx, and a shop in front of them: `ringpad-testbed`, which the
// Rust tests' harness builds (`RINGPAD_TESTBED`, by default `../target/release/ringpad-testbed`).

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";

const BINARY = process.env["RINGPAD_TESTBED"] ?? "../target/release/ringpad-testbed";
/** A broker, four services and nginx, on a busy machine. */
const READY_WITHIN = 120_000;
const GONE_WITHIN = 30_000;

/** How fast replicas are replaced: one when the one before is back; a second after it; or all, with others there first. */
export type Pace = "one_by_one" | "a_second_apart" | "all_at_once";

/** The running testbed. */
export class Testbed {
  /** nginx: pads and number providers alike. */
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  /** Callers so far, whose full numbers must not be in any log. */
  readonly callers = new Set<string>();
  /** The last command: answers come in the order of the commands. */
  #last: Promise<unknown> = Promise.resolve();

  /** Its standard error, in pieces: if a log shows a secret, it names the secret and the log. */
  readonly #errors: string[];

  private constructor(child: ChildProcess, lines: AsyncIterator<string>, errors: string[], url: string) {
    this.#child = child;
    this.#lines = lines;
    this.#errors = errors;
    this.url = url;
  }

  /** Starts everything; `settings` are of both services, and `STORE: "postgres"` keeps the log in PostgreSQL. */
  static async start(settings: Record<string, string> = {}): Promise<Testbed> {
    const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    if (!existsSync(BINARY)) throw new Error(`there is no ${BINARY}: cargo build --workspace --bins, or set RINGPAD_TESTBED`);
    const child = spawn(BINARY, assignments, { stdio: ["pipe", "pipe", "pipe"] });
    const errors: string[] = [];
    child.stderr.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const timer = setTimeout(() => child.kill("SIGKILL"), READY_WITHIN);
    const first = await lines.next();
    clearTimeout(timer);
    if (first.done) {
      await once(child, "close");
      throw new Error(`the testbed did not start: ${errors.join("")}`);
    }
    return new Testbed(child, lines, errors, (JSON.parse(first.value) as { url: string }).url);
  }

  /** Stops it. Throws its standard error if it fails, e.g. because a log shows a secret. */
  async stop(): Promise<void> {
    await this.#do({ do: "secrets", numbers: [...this.callers] });
    const gone = once(this.#child, "close") as Promise<[number | null]>;
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GONE_WITHIN);
    const [code] = await gone;
    clearTimeout(timer);
    assert.equal(code, 0, this.#errors.join(""));
  }

  /** Makes a store with a virtual number of its own. */
  async store(id: string): Promise<RealStore> {
    const { virtual_number: number } = (await this.#do({ do: "store", id })) as { virtual_number: string };
    return new RealStore(this, id, number);
  }

  async token(store: string, pad: string, name: string, seconds: number): Promise<string> {
    return ((await this.#do({ do: "token", store, pad, name, seconds })) as { token: string }).token;
  }

  /** Runs `ringpad`, which must succeed, with this standard input; its standard output. */
  async ringpad(words: readonly string[], input = ""): Promise<string> {
    const done = (await this.#do({ do: "ringpad", arguments: words, input })) as { code: number; stdout: string; stderr: string };
    assert.equal(done.code, 0, done.stderr);
    return done.stdout;
  }

  /** A separate network link to nginx, for faults. */
  async link(name: string): Promise<NetworkLink> {
    const { url } = (await this.#do({ do: "link", name })) as { url: string };
    const harm = (what: string) => async () => void (await this.#do({ do: what, link: name }));
    return { url, blackHole: harm("black_hole"), heal: harm("heal") };
  }

  /** How many pads each replica has; null for one that does not answer. */
  async pads(): Promise<(number | null)[]> {
    return ((await this.#do({ do: "pads" })) as { pads: (number | null)[] }).pads;
  }

  /** `kill -9`. */
  async kill(replica: number): Promise<void> {
    await this.#do({ do: "kill", replica });
  }

  /** Starts a replica again, and waits until it is ready. */
  async revive(replica: number): Promise<void> {
    await this.#do({ do: "start", replica });
  }

  /** Replaces all replicas, as a deployment does. */
  async rollOut(pace: Pace): Promise<void> {
    assert.deepEqual(await this.#do({ do: "roll_out", pace }), { exit: [0, 0, 0] });
  }

  async #do(command: Record<string, unknown>): Promise<unknown> {
    const answered = this.#last.then(async () => {
      this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
      const line = await this.#lines.next();
      if (line.done) throw new Error("the testbed has ended");
      const answer = JSON.parse(line.value) as { error?: string };
      if (answer.error !== undefined) throw new Error(answer.error);
      return answer;
    });
    this.#last = answered.catch(() => {});
    return answered;
  }
}

/** A network between one pad and nginx. */
export interface NetworkLink {
  url: string;
  /** All packets are dropped silently. */
  blackHole(): Promise<void>;
  heal(): Promise<void>;
}

/** A store, and the number provider that sends its records through nginx. */
export class RealStore {
  readonly id: string;
  readonly #testbed: Testbed;
  readonly #number: string;

  constructor(testbed: Testbed, id: string, number: string) {
    this.id = id;
    this.#testbed = testbed;
    this.#number = number;
  }

  token(pad: string, name: string, seconds = 3_600): Promise<string> {
    return this.#testbed.token(this.id, pad, name, seconds);
  }

  /** A call begins to ring. */
  async ring(caller: string, more: { memo?: string } = {}): Promise<RealCall> {
    this.#testbed.callers.add(caller);
    const record = { seq: `seq-${(calls += 1)}`, sdt: provider(Date.now()), fromn: caller, vn: this.#number, ...more };
    const send = async (more: Record<string, string>) => {
      const body = new URLSearchParams({ ...record, ...more });
      const response = await fetch(`${this.#testbed.url}/v1/cdr/bizcall`, { method: "POST", body });
      const answer = (await response.json()) as { call_id: string; status: string };
      assert.equal(answer.status, "accepted", JSON.stringify(answer));
      return answer.call_id;
    };
    const id = await send({});
    return {
      id,
      caller,
      answered: () => send({ swidt: provider(Date.now()), edt: provider(Date.now()) }),
      missed: () => send({ edt: provider(Date.now()) }),
    };
  }
}

/** A call, as its number provider sends it. */
export interface RealCall {
  readonly id: string;
  readonly caller: string;
  /** The final record of an answered call. */
  answered(): Promise<string>;
  /** The final record of a missed call. */
  missed(): Promise<string>;
}

let calls = 0;

/** An instant as the provider writes it, in Seoul. */
function provider(at: number): string {
  const seoul = new Date(at + 9 * 3_600_000);
  return seoul.toISOString().replaceAll(/\D/g, "").slice(0, 14);
}
