// What a user types to find a caller: the last digits of a number, or a whole number in any usual form. The server compares
// the end of the international number, so prefixes of the national number are removed.

/** Fewer digits would find half of the customers. */
const DIGITS = 2;
/** The server accepts so many; no number has more. */
const LONGEST = 15;
/** Characters between digits; a letter belongs to a name or a car, which cannot be searched. */
const WRITTEN = /^[\d\s\p{Pd}()[\].+/·~]*$/u;
/** `+82`, `82`, `0082`, `001 82` and the like before a whole national number, with its 0 or without. */
const INTERNATIONAL = /^(?:00\d{0,3})?82(?=0?\d{8,11}$)/;
/** The 0 of a whole national number; the last four digits may begin with one, too. */
const TRUNK = /^0+(?=\d{8,}$)/;

/** What to search for. */
export type Sought =
  | { kind: "nothing" }
  /** Not a number. */
  | { kind: "words" }
  /** The digits that the number ends in. */
  | { kind: "digits"; digits: string };

/** Reads what was typed. */
export function soughtNumber(typed: string): Sought {
  // Korean keyboards may give full-width digits.
  const text = typed.normalize("NFKC").trim();
  if (!WRITTEN.test(text)) return { kind: "words" };
  const digits = text.replaceAll(/\D/g, "").replace(INTERNATIONAL, "").replace(TRUNK, "");
  return digits.length < DIGITS ? { kind: "nothing" } : { kind: "digits", digits: digits.slice(-LONGEST) };
}
