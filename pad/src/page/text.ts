// The page's texts in the language of this pad: the one that was chosen on it, otherwise the browser's.

import { en } from "./words_en.ts";
import { ko, type Words } from "./words_ko.ts";

export type Language = "ko" | "en";

const STORED = "ringpad.language";
const WORDS: Record<Language, Words> = { ko, en };

/** The words. Changes with the language. */
export let text: Words = ko;
/** The language the words are in. */
export let language: Language = "ko";

export function useLanguage(chosen: Language): void {
  language = chosen;
  text = WORDS[chosen];
}

/** The chosen language, or the browser's; Korean if it is another one. */
export function preferredLanguage(): Language {
  const stored = remembered();
  if (stored === "ko" || stored === "en") return stored;
  return navigator.language.toLowerCase().startsWith("en") ? "en" : "ko";
}

export function rememberLanguage(chosen: Language): void {
  try {
    localStorage.setItem(STORED, chosen);
  } catch {
    // Then it is kept until the page is loaded again.
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}
