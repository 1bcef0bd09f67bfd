// The day's figures in a line: updated by live calls, and read from the server once after each snapshot, which has only the
// newest calls.

import type { Pad } from "../client/connect.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { Day } from "./day.ts";
import { Question, type QuestionTiming } from "./question.ts";
import { text } from "./text.ts";

const PAGE = 500;
/** More calls than a day keeps. */
const PAGES = 11;

/** What the summary needs of the page. */
export interface DayContext extends QuestionTiming {
  listCalls: Pad["listCalls"];
  /** The server's time. */
  now(): number;
  /** The page must be drawn again. */
  changed(): void;
}

/** The day's summary. */
export class DaySummary {
  readonly #context: DayContext;
  readonly #day = new Day();
  readonly #question: Question;

  constructor(context: DayContext) {
    this.#context = context;
    this.#question = new Question((wanted) => this.#ask(wanted), context);
  }

  /** A snapshot has replaced all calls. */
  begin(): void {
    this.#day.begin(this.#context.now());
    this.#question.begin();
  }

  /** Adds a call's newest version. */
  add(call: Call): void {
    this.#day.add(call, this.#context.now());
  }

  /** The line; empty if there is nothing to show, or not yet. Asks for missing calls. */
  words(): string {
    const now = this.#context.now();
    if (this.#day.wanting(now) !== undefined) this.#question.again();
    const figures = this.#day.figures(now);
    return figures && figures.calls > 0 ? text.day(figures) : "";
  }

  async #ask(wanted: () => boolean): Promise<boolean> {
    const { now, changed } = this.#context;
    const since = this.#day.wanting(now());
    if (since === undefined) return true;
    const complete = await this.#fill(since, wanted);
    if (!complete) return false;
    this.#day.knownFrom(since);
    changed();
    return true;
  }

  /** True if all pages came. */
  async #fill(since: number, wanted: () => boolean): Promise<boolean> {
    let pageToken = "";
    for (let page = 0; page < PAGES; page += 1) {
      const { calls, nextPageToken } = await this.#context.listCalls({ since, pageSize: PAGE, pageToken });
      if (!wanted()) return false;
      for (const call of calls) this.add(call);
      if (nextPageToken === "") return true;
      pageToken = nextPageToken;
    }
    return false;
  }
}
