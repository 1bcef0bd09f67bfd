// Half-typed forms, by call. They are in the tab's session storage, so that a reload brings them back, and are deleted when
// they are saved or the call is closed: names do not stay on the tablet for longer than necessary. With each draft its
// base is kept, the form as it was when typing began: the difference is what was typed.

/** The fields of the form. */
export const FIELDS = ["name", "car", "service", "date", "time", "note"] as const;
/** One form's text. */
export type Draft = Record<(typeof FIELDS)[number], string>;

interface Typed {
  draft: Draft;
  base: Draft;
}

const STORED = "ringpad.drafts";
const KEPT = 20;

/** Where drafts are kept: `sessionStorage`, or the storage of a test. */
export interface DraftStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

/** The drafts, oldest first. */
export class Drafts {
  readonly #storage: DraftStorage | undefined;
  readonly #isPromised: (id: string) => boolean;
  readonly #drafts: Map<string, Typed>;

  /** `isPromised`: whether the page has shown that the draft of this call will be saved. */
  constructor(storage: DraftStorage | undefined, isPromised: (id: string) => boolean = () => false) {
    this.#storage = storage;
    this.#isPromised = isPromised;
    this.#drafts = read(storage);
  }

  get(id: string): Draft | undefined {
    return this.#drafts.get(id)?.draft;
  }

  /** The form as it was before the draft was typed. */
  base(id: string): Draft | undefined {
    return this.#drafts.get(id)?.base;
  }

  has(id: string): boolean {
    return this.#drafts.has(id);
  }

  /** Keeps a draft; beyond twenty the oldest is deleted, unless the page has promised to save it. */
  set(id: string, draft: Draft, base: Draft = this.base(id) ?? emptyDraft()): void {
    this.#drafts.delete(id);
    this.#drafts.set(id, { draft, base });
    for (const oldest of [...this.#drafts.keys()].slice(0, -KEPT)) {
      if (!this.#isPromised(oldest)) this.#drafts.delete(oldest);
    }
    this.#write();
  }

  /** The call's form is now `saved`: fields that were not typed follow it, and a draft that equals it is dropped. */
  follow(id: string, saved: Draft): void {
    const typed = this.#drafts.get(id);
    if (!typed) return;
    const draft = rebase(typed.draft, typed.base, saved);
    if (sameDraft(draft, saved)) return this.drop(id);
    if (FIELDS.every((field) => typed.base[field] === saved[field])) return;
    // Without a change of the order: the twenty that were typed last are kept.
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
      // Full or not allowed: then they are kept until the page is closed.
    }
  }
}

function read(storage: DraftStorage | undefined): Map<string, Typed> {
  try {
    const stored = JSON.parse(storage?.getItem(STORED) ?? "[]") as [string, Partial<Draft>, Partial<Draft>?][];
    const whole = (draft?: Partial<Draft>): Draft => ({ ...emptyDraft(), ...draft });
    return new Map(stored.map(([id, draft, base]) => [id, { draft: whole(draft), base: whole(base) }]));
  } catch {
    // Not written by this page, or by a version with another format.
    return new Map();
  }
}

/** A form with nothing in it. */
export function emptyDraft(): Draft {
  return { name: "", car: "", service: "", date: "", time: "", note: "" };
}

/** Whether both would be saved as the same. */
export function sameDraft(a: Draft, b: Draft): boolean {
  return FIELDS.every((field) => isSame(field, a, b));
}

/** What was typed into `base`, typed into `saved` instead. */
export function rebase(draft: Draft, base: Draft, saved: Draft): Draft {
  const rebased = { ...saved };
  for (const field of FIELDS) {
    // Date and time belong together: a mix of two people's values would be wrong for both.
    const together = field === "date" || field === "time" ? (["date", "time"] as const) : [field];
    if (!together.every((each) => isSame(each, draft, base))) rebased[field] = draft[field];
  }
  return rebased;
}

function isSame(field: keyof Draft, a: Draft, b: Draft): boolean {
  return a[field].trim() === b[field].trim();
}
