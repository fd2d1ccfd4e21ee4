// What a page says, in the browser's language, out of its texts.

const wanted = globalThis.navigator?.languages ?? [];
const primary = (language) => language.toLowerCase().split("-")[0];

/** The first of the browser's languages that there is. */
export function chooseAmong(texts, languages) {
  return languages.map(primary).find((language) => Object.hasOwn(texts, language)) ?? "en";
}

/** `texts` has, for each language, the same keys: a phrase each, or its forms by number. */
export function speak(texts) {
  const language = chooseAmong(texts, wanted);
  // With its region, for dates: en-GB and en-US write them differently.
  const locale = wanted.find((one) => primary(one) === language) ?? language;
  const words = texts[language];
  const plurals = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(locale);
  const shown = (value) => (typeof value === "number" ? numbers.format(value) : value);

  function phrase(key, { n }) {
    const found = words[key];
    if (found === undefined) throw new Error(`no text for ${key}`);
    if (typeof found === "string") return found;
    return found[plurals.select(n)] ?? found.other;
  }

  /** The text in pieces, for values that are elements. */
  function parts(key, values = {}) {
    return phrase(key, values)
      .split(/(\{[a-z_]+\})/)
      .filter((piece) => piece !== "")
      .map((piece) => (piece[0] === "{" && piece.slice(1, -1) in values ? shown(values[piece.slice(1, -1)]) : piece));
  }

  return {
    language,
    locale,
    parts,
    /** The text for a key, with `{name}` filled in. `n` chooses among the forms of a number. */
    t: (key, values = {}) => parts(key, values).map(String).join(""),
    has: (key) => Object.hasOwn(words, key),
  };
}
