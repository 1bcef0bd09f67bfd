// Half-typed forms, by call. They live in the tab's session storage, so that a reload brings them back, and leave it
// when they are saved or the call is closed: nobody's name stays on the tablet for longer than the work takes. Beside
// each stands its base, the form as it was when typing began: it tells what was typed from what was only there.

/** What the form has fields for, as it is typed. */
export const FIELDS = ["name", "car", "service", "date", "time", "note"] as const;
/** One form's text. */
export type Draft = Record<(typeof FIELDS)[number], string>;

interface Typed {
  draft: Draft;
  base: Draft;
}

const STORED = "ringpad.drafts";
const KEPT = 20;

/** Where drafts are kept; `sessionStorage`, or a test's. */
export interface DraftStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** The drafts, oldest first. */
export class Drafts {
  readonly #storage: DraftStorage | undefined;
  readonly #isPromised: (id: string) => boolean;
  readonly #drafts: Map<string, Typed>;

  /** `isPromised` tells of which calls people were told that what they typed will be saved. */
  constructor(storage: DraftStorage | undefined, isPromised: (id: string) => boolean = () => false) {
    this.#storage = storage;
    this.#isPromised = isPromised;
    this.#drafts = read(storage);
  }

  get(id: string): Draft | undefined {
    return this.#drafts.get(id)?.draft;
  }

  /** What the draft was typed into. */
  base(id: string): Draft | undefined {
    return this.#drafts.get(id)?.base;
  }

  has(id: string): boolean {
    return this.#drafts.has(id);
  }

  /** Keeps it; beyond twenty the oldest goes, unless it was promised that it will be saved. */
  set(id: string, draft: Draft, base: Draft = this.base(id) ?? emptyDraft()): void {
    this.#drafts.delete(id);
    this.#drafts.set(id, { draft, base });
    for (const oldest of [...this.#drafts.keys()].slice(0, -KEPT)) {
      if (!this.#isPromised(oldest)) this.#drafts.delete(oldest);
    }
    this.#write();
  }

  /** The call's form is `saved` by now: what nobody typed is as there, and nothing is left to save of what is the same. */
  follow(id: string, saved: Draft): void {
    const typed = this.#drafts.get(id);
    if (!typed) return;
    const draft = rebase(typed.draft, typed.base, saved);
    if (sameDraft(draft, saved)) return this.drop(id);
    if (FIELDS.every((field) => typed.base[field] === saved[field])) return;
    // In its place: twenty are kept by when they were typed.
    this.#drafts.set(id, { draft, base: saved });
    this.#write();
  }

  drop(id: string): void {
    if (this.#drafts.delete(id)) this.#write();
  }

  #write(): void {
    try {
      const all = Array.from(this.#drafts, ([id, { draft, base }]) => [id, draft, base]);
      this.#storage?.setItem(STORED, JSON.stringify(all));
    } catch {
      // Full or forbidden: then they live as long as the page.
    }
  }
}

function read(storage: DraftStorage | undefined): Map<string, Typed> {
  try {
    const stored = JSON.parse(storage?.getItem(STORED) ?? "[]") as [string, Partial<Draft>, Partial<Draft>?][];
    const whole = (draft?: Partial<Draft>): Draft => ({ ...emptyDraft(), ...draft });
    return new Map(stored.map(([id, draft, base]) => [id, { draft: whole(draft), base: whole(base) }]));
  } catch {
    // Not ours, or of a version that wrote it otherwise.
    return new Map();
  }
}

/** A form with nothing in it. */
export function emptyDraft(): Draft {
  return { name: "", car: "", service: "", date: "", time: "", note: "" };
}

/** Whether they are saved as the same. */
export function sameDraft(a: Draft, b: Draft): boolean {
  return FIELDS.every((field) => isSame(field, a, b));
}

/** What was typed into `base`, typed into `saved` instead. */
export function rebase(draft: Draft, base: Draft, saved: Draft): Draft {
  const rebased = { ...saved };
  for (const field of FIELDS) {
    // A day and its time are one thing: of two people's, neither would be meant.
    const together = field === "date" || field === "time" ? (["date", "time"] as const) : [field];
    if (!together.every((each) => isSame(each, draft, base))) rebased[field] = draft[field];
  }
  return rebased;
}

function isSame(field: keyof Draft, a: Draft, b: Draft): boolean {
  return a[field].trim() === b[field].trim();
}
