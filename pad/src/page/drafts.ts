// Half-typed forms, by call. They live in the tab's session storage, so that a reload brings them back, and leave it
// when they are saved or the call is closed: nobody's name stays on the tablet for longer than the work takes.

/** What the form has fields for, as it is typed. */
export const FIELDS = ["name", "car", "service", "date", "time", "note"] as const;
/** One form's text. */
export type Draft = Record<(typeof FIELDS)[number], string>;

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
  readonly #drafts: Map<string, Draft>;

  constructor(storage: DraftStorage | undefined) {
    this.#storage = storage;
    this.#drafts = read(storage);
  }

  get(id: string): Draft | undefined {
    return this.#drafts.get(id);
  }

  has(id: string): boolean {
    return this.#drafts.has(id);
  }

  /** Keeps it; beyond twenty the oldest goes. */
  set(id: string, draft: Draft): void {
    this.#drafts.delete(id);
    this.#drafts.set(id, draft);
    for (const oldest of [...this.#drafts.keys()].slice(0, -KEPT)) this.#drafts.delete(oldest);
    this.#write();
  }

  drop(id: string): void {
    if (this.#drafts.delete(id)) this.#write();
  }

  #write(): void {
    try {
      this.#storage?.setItem(STORED, JSON.stringify([...this.#drafts]));
    } catch {
      // Full or forbidden: then they live as long as the page.
    }
  }
}

function read(storage: DraftStorage | undefined): Map<string, Draft> {
  try {
    const stored = JSON.parse(storage?.getItem(STORED) ?? "[]") as [string, Partial<Draft>][];
    return new Map(stored.map(([id, draft]) => [id, { ...emptyDraft(), ...draft }]));
  } catch {
    // Not ours, or of a version that wrote it otherwise.
    return new Map();
  }
}

export function emptyDraft(): Draft {
  return { name: "", car: "", service: "", date: "", time: "", note: "" };
}

export function sameDraft(a: Draft, b: Draft): boolean {
  return FIELDS.every((field) => a[field].trim() === b[field].trim());
}
