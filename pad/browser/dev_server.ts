// Starts `ringpad dev` on free ports, and reads its output.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const BINARY = process.env["RINGPAD_BIN"] ?? "../target/release/ringpad";
const ATTEMPTS = 5;
const READY_WITHIN = 30_000;
const GONE_WITHIN = 30_000;

/** A running `ringpad dev`. */
export class DevServer {
  /** The printed pad pages: `http://127.0.0.1:8081/#token=…`. */
  readonly pads: { store: string; url: string }[];
  /** The printed command that rings a new call of the first store. */
  readonly curl: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, said: Said) {
    this.#child = child;
    this.pads = said.pads;
    this.curl = said.curl;
  }

  static async start(): Promise<DevServer> {
    for (let attempt = 0; ; attempt += 1) {
      const offset = 1_000 + Math.floor(Math.random() * 14_000);
      const { AMQP_URL: _, ...env } = process.env;
      const child = spawn(BINARY, ["dev", "--port-offset", String(offset)], { env, stdio: ["ignore", "pipe", "pipe"] });
      const errors: string[] = [];
      child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
      const said = await listen(child);
      if (said) return new DevServer(child, said);
      child.kill("SIGKILL");
      if (attempt === ATTEMPTS - 1) throw new Error(`ringpad dev did not start: ${errors.join("")}`);
    }
  }

  /** The pad pages of one store, one for each replica. */
  pagesOf(store: string): string[] {
    return this.pads.filter((pad) => pad.store === store).map(({ url }) => url);
  }

  /** Stops it with Ctrl-C; returns its exit code. */
  async stop(): Promise<number | null> {
    if (this.#child.exitCode !== null) return this.#child.exitCode;
    const gone = once(this.#child, "exit") as Promise<[number | null]>;
    this.#child.kill("SIGINT");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), GONE_WITHIN);
    const [code] = await gone;
    clearTimeout(timer);
    return code;
  }
}

interface Said {
  pads: { store: string; url: string }[];
  curl: string;
}

/** Reads until the line after the `curl` line; undefined if the process ends before. */
async function listen(child: ChildProcess): Promise<Said | undefined> {
  if (!child.stdout) return undefined;
  const said: Said = { pads: [], curl: "" };
  const lines = createInterface({ input: child.stdout });
  const timer = setTimeout(() => lines.close(), READY_WITHIN);
  child.once("error", () => lines.close());
  for await (const line of lines) {
    const pad = /^(.*?):?\s*(http:\/\/\S+#token=\S+)/.exec(line);
    if (pad?.[1] !== undefined && pad[2]) said.pads.push({ store: pad[1].trim(), url: pad[2] });
    if (/^\s*curl /.test(line)) said.curl = line.trim();
    if (said.curl !== "") break;
  }
  clearTimeout(timer);
  // The rest is not used, but must be read so that the process can write.
  child.stdout.resume();
  return said.curl === "" ? undefined : said;
}
