// Search by a number or its last digits, a name, a car or a note. The results are in a box of their own, in the place of the recent calls, so that
// they are not taken for current calls.

import type { Pad } from "../client/connect.ts";
import type { Call } from "../gen/ringpad/v1/call_pb.ts";
import { CallList, type ListContext } from "./call_list.ts";
import { byId, setHidden, setText } from "./dom.ts";
import type { Known } from "./phase.ts";
import { text } from "./text.ts";

const PAUSE = 250;
const PAGE = 30;

/** Would find half of the customers. */
const ONE_DIGIT = /^\d?$/;
const NUMBER = /^[\d\s\p{Pd}()+./]*$/u;

type State = "searching" | "found" | "failed";

/** What the search needs of the page. */
export interface SearchContext extends ListContext {
  listCalls: Pad["listCalls"];
  /** The newest known version of a call. */
  current(known: Known): Known;
  now(): number;
  /** The page must be drawn again. */
  changed(): void;
}

/** The search field and its results. */
export class CallSearch {
  readonly #context: SearchContext;
  readonly #input = byId("search") as HTMLInputElement;
  readonly #list: CallList;
  #calls: Call[] = [];
  /** What is searched for; empty for nothing. */
  #query = "";
  #nextPage = "";
  #state: State = "found";
  /** Counts searches: the result of an older one is not shown. */
  #asked = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(context: SearchContext) {
    this.#context = context;
    this.#list = new CallList(byId("found"), byId("none-found"), context);
    this.#input.addEventListener("input", () => this.#typed());
    this.#input.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.#clear();
    });
    byId("clear-search").addEventListener("click", () => {
      this.#clear();
      this.#input.focus();
    });
    byId("more").addEventListener("click", () => void this.#ask(this.#nextPage));
  }

  /** Updates what is shown. */
  draw(): void {
    const active = this.#query !== "";
    setHidden(byId("found-box"), !active);
    setHidden(byId("recent-box"), active);
    setHidden(byId("clear-search"), this.#input.value === "");
    if (!active) return;
    setText(byId("found-title"), text.found(this.#input.value.trim()));
    const known = this.#calls.map((call) => this.#context.current({ call, popUntil: undefined }));
    this.#list.update(known, this.#context.now());
    const words = { searching: text.searching, failed: text.searchFailed, found: text.noneFound }[this.#state];
    setText(byId("none-found"), words);
    setHidden(byId("none-found"), this.#state === "found" && known.length > 0);
    setHidden(byId("more"), this.#nextPage === "" || this.#state === "searching");
  }

  /** Makes all lines again. */
  reset(): void {
    this.#list.reset();
  }

  #clear(): void {
    this.#input.value = "";
    this.#typed();
  }

  #typed(): void {
    clearTimeout(this.#timer);
    this.#asked += 1;
    this.#calls = [];
    this.#nextPage = "";
    this.#query = soughtFor(this.#input.value);
    this.#state = "searching";
    if (this.#query !== "") this.#timer = setTimeout(() => void this.#ask(""), PAUSE);
    this.#context.changed();
  }

  async #ask(pageToken: string): Promise<void> {
    const asked = (this.#asked += 1);
    this.#state = "searching";
    this.#context.changed();
    try {
      const query = { query: this.#query, pageSize: PAGE, pageToken };
      const { calls, nextPageToken } = await this.#context.listCalls(query);
      if (asked !== this.#asked) return;
      // The server reads a limited number of calls for a page, and none of these matches.
      if (calls.length === 0 && nextPageToken !== "") return await this.#ask(nextPageToken);
      this.#calls = [...this.#calls, ...calls];
      this.#nextPage = nextPageToken;
      this.#state = "found";
    } catch {
      if (asked !== this.#asked) return;
      this.#state = "failed";
    }
    this.#context.changed();
  }
}

/** What to search for. Korean keyboards may give full-width digits. */
function soughtFor(typed: string): string {
  const query = typed.normalize("NFKC").trim();
  if (ONE_DIGIT.test(query)) return "";
  // A number with spaces in it is one word.
  return NUMBER.test(query) ? query.replaceAll(/\s/g, "") : query;
}
