// What somebody types to find a caller: the last digits of a number, or a whole one in any of the ways in which people
// write it. The server compares with the end of the international number, so what stands before the national one goes.

/** Fewer digits would find half of the customers. */
const DIGITS = 2;
/** As many as the server takes: no number has more. */
const LONGEST = 15;
/** What people put between digits; a letter is a name or a car, which nothing is found by. */
const WRITTEN = /^[\d\s\p{Pd}()[\].+/·~]*$/u;
/** `+82`, `82`, `0082`, `001 82` and the like before a whole national number, with its 0 or without. */
const INTERNATIONAL = /^(?:00\d{0,3})?82(?=0?\d{8,11}$)/;
/** The 0 of a whole national number; the last four digits may begin with one, too. */
const TRUNK = /^0+(?=\d{8,}$)/;

/** What to look for. */
export type Sought =
  | { kind: "nothing" }
  /** Not a number. */
  | { kind: "words" }
  /** The digits that the number ends in. */
  | { kind: "digits"; digits: string };

/** What `typed` looks for. */
export function soughtNumber(typed: string): Sought {
  // Keyboards for Korean may give wide digits.
  const text = typed.normalize("NFKC").trim();
  if (!WRITTEN.test(text)) return { kind: "words" };
  const digits = text.replaceAll(/\D/g, "").replace(INTERNATIONAL, "").replace(TRUNK, "");
  return digits.length < DIGITS ? { kind: "nothing" } : { kind: "digits", digits: digits.slice(-LONGEST) };
}
