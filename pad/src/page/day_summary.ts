// The day in a line: kept true from live updates, and asked for once after each snapshot, since that has only the
// newest calls.

import type { Pad } from "../client/connect.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { Day } from "./day.ts";
import { text } from "./text.ts";

const PAGE = 500;
/** More calls than a day keeps. */
const PAGES = 11;
/** Milliseconds before asking again where no answer came: up to twice as many, so that a fleet does not ask as one. */
const AGAIN = 60_000;

/** What the summary needs of the page. */
export interface DayContext {
  listCalls: Pad["listCalls"];
  /** The server's time. */
  now(): number;
  /** There is something else to show. */
  changed(): void;
}

/** The day's summary. */
export class DaySummary {
  readonly #context: DayContext;
  readonly #day = new Day();
  /** Counts snapshots: an answer to a question before the last one may be of another log. */
  #snapshots = 0;
  #askAt = Infinity;

  constructor(context: DayContext) {
    this.#context = context;
  }

  /** A snapshot replaced all. */
  begin(): void {
    this.#snapshots += 1;
    this.#askAt = -Infinity;
    this.#day.begin(this.#context.now());
  }

  /** A call as it now is. */
  add(call: Call): void {
    this.#day.add(call, this.#context.now());
  }

  /** The line; empty where there is nothing to say, or not yet. Asks for what is wanting. */
  words(): string {
    const now = this.#context.now();
    const since = this.#day.wanting(now);
    if (since !== undefined && now >= this.#askAt) void this.#ask(since);
    const figures = this.#day.figures(now);
    return figures && figures.calls > 0 ? text.day(figures) : "";
  }

  async #ask(since: number): Promise<void> {
    const { now, changed } = this.#context;
    const asked = this.#snapshots;
    this.#askAt = Infinity;
    try {
      if (await this.#fill(since, () => asked === this.#snapshots)) this.#day.knownFrom(since);
    } catch {
      // Then the line waits.
    }
    if (asked !== this.#snapshots) return;
    this.#askAt = now() + AGAIN * (1 + Math.random());
    changed();
  }

  /** True if every page came. */
  async #fill(since: number, stillWanted: () => boolean): Promise<boolean> {
    let pageToken = "";
    for (let page = 0; page < PAGES; page += 1) {
      const { calls, nextPageToken } = await this.#context.listCalls({ since, pageSize: PAGE, pageToken });
      if (!stillWanted()) return false;
      for (const call of calls) this.add(call);
      if (nextPageToken === "") return true;
      pageToken = nextPageToken;
    }
    return false;
  }
}
