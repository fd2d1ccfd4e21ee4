// What the pages say, in the browser's language. Every language has the same keys; a test compares.

import en from "./text/en.js";
import ja from "./text/ja.js";

export const LANGUAGES = { en, ja };

/** The first of the browser's languages that there is. */
export function choose(languages) {
  for (const language of languages) {
    const [primary] = language.toLowerCase().split("-");
    if (Object.hasOwn(LANGUAGES, primary)) return primary;
  }
  return "en";
}

export const language = choose(globalThis.navigator?.languages ?? []);
// With its region, for dates: en-GB and en-US write them differently.
export const locale =
  (globalThis.navigator?.languages ?? []).find((wanted) => wanted.toLowerCase().split("-")[0] === language) ?? language;
const words = LANGUAGES[language];
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);

/** The text for a key, with `{name}` filled in. `n` chooses among the forms of a number. */
export function t(key, values = {}) {
  return parts(key, values).map(String).join("");
}

/** The same in pieces, for values that are elements. */
export function parts(key, values = {}) {
  return phrase(key, values)
    .split(/(\{[a-z_]+\})/)
    .filter((piece) => piece !== "")
    .map((piece) => (piece[0] === "{" && piece.slice(1, -1) in values ? shown(values[piece.slice(1, -1)]) : piece));
}

function phrase(key, { n }) {
  const found = words[key];
  if (found === undefined) throw new Error(`no text for ${key}`);
  if (typeof found === "string") return found;
  return found[plurals.select(n)] ?? found.other;
}

const shown = (value) => (typeof value === "number" ? numbers.format(value) : value);

export const has = (key) => Object.hasOwn(words, key);
