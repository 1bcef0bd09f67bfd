// The switch between Korean and English, and the texts of index.html.

import { byId } from "./dom.ts";
import { language, preferredLanguage, rememberLanguage, text, useLanguage, type Language } from "./text.ts";

const OTHER: Record<Language, Language> = { ko: "en", en: "ko" };
/** The other language's own name, for users who do not read this one. */
const NAMES: Record<Language, string> = { ko: "한국어", en: "English" };
const SHORT: Record<Language, string> = { ko: "가", en: "EN" };

/** Shows the page in this pad's language; `onSwitch` is called when the user chooses the other one. */
export function setUpLanguage(onSwitch: () => void): void {
  useLanguage(preferredLanguage());
  showWords();
  byId("language").addEventListener("click", () => {
    useLanguage(OTHER[language]);
    rememberLanguage(language);
    showWords();
    onSwitch();
  });
}

function showWords(): void {
  document.documentElement.lang = language;
  for (const node of document.querySelectorAll<HTMLElement>("[data-text]")) {
    node.textContent = wordOf(node.dataset["text"]);
  }
  for (const node of document.querySelectorAll<HTMLElement>("[data-label]")) {
    node.setAttribute("aria-label", wordOf(node.dataset["label"]));
  }
  for (const node of document.querySelectorAll<HTMLInputElement>("[data-hint]")) {
    node.placeholder = wordOf(node.dataset["hint"]);
  }
  const other = OTHER[language];
  byId("language").textContent = SHORT[other];
  byId("language").setAttribute("aria-label", `${SHORT[other]}, ${NAMES[other]}`);
  byId("language").lang = other;
}

function wordOf(key = ""): string {
  const word: unknown = Object.entries(text).find(([name]) => name === key)?.[1];
  return typeof word === "string" ? word : "";
}
