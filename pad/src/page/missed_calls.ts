// Open missed calls that are older than those of a snapshot, and the answered ones that make missed calls of the same callers not
// open: read from the server once after each snapshot, which has only the newest calls.

import type { Pad } from "../client/connect.ts";
import { CallState, type Call } from "../gen/ringpad/v1/call_pb.ts";
import { WEEK } from "./missed_groups.ts";
import { Question, type QuestionTiming } from "./question.ts";

const PAGE = 500;
/** No shop has more calls in a week. */
const PAGES = 8;
const STATES = [CallState.MISSED, CallState.ANSWERED, CallState.COMPLETED];

/** What the search for missed calls needs of the page. */
export interface MissedContext extends QuestionTiming {
  listCalls: Pad["listCalls"];
  /** The server's time. */
  now(): number;
  /** Calls of the week that were answered, and missed ones that nobody had closed when the server was asked; newest first. */
  found(calls: Call[]): void;
  /** There are more than are read. */
  cut(): void;
}

/** Finds the missed calls that a snapshot does not have. */
export class MissedCalls {
  readonly #context: MissedContext;
  readonly #question: Question;

  constructor(context: MissedContext) {
    this.#context = context;
    this.#question = new Question((wanted) => this.#ask(wanted), context);
  }

  /** A snapshot has replaced all calls. */
  begin(): void {
    this.#question.begin();
  }

  async #ask(wanted: () => boolean): Promise<boolean> {
    const { listCalls, now, found, cut } = this.#context;
    // The estimated server's time has fractions of a millisecond, which a timestamp must not have.
    const query = { states: STATES, since: Math.floor(now() - WEEK), pageSize: PAGE };
    let pageToken = "";
    for (let page = 0; page < PAGES; page += 1) {
      const { calls, nextPageToken } = await listCalls({ ...query, pageToken });
      if (!wanted()) return false;
      found(calls.filter(({ closed, state }) => !closed || state !== CallState.MISSED));
      if (nextPageToken === "") return true;
      pageToken = nextPageToken;
    }
    cut();
    return true;
  }
}
