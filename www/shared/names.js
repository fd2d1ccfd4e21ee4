// Names and other texts of strangers, shown as what they are: text, apart from the writing around
// it, with what nobody could see made visible. A right-to-left override, or a letter of no width,
// would otherwise make one name look like another.

import { h } from "./dom.js";
import { t } from "./text.js";

// Emoji, in which such characters have something to do: keycaps, the flags of England, Scotland and
// Wales, and what variation selectors and joiners make. (Of other tags, fonts draw the black flag alone.)
const ONE = String.raw`(?!\p{Cn})\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?`;
const FLAG = `\u{1F3F4}(?:${["gbeng", "gbsct", "gbwls"].map(tagged).join("|")})`;
const EMOJI = String.raw`[0-9#*]\uFE0F\u20E3|${FLAG}|${ONE}(?:\u200D${ONE})*`;
// What takes no room, moves other text, or is an odd space; and what has no meaning, so that fonts
// leave it out. The operators' command has the same list; tests/vectors/unseen.json holds both to it.
const UNSEEN = String.raw`[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u00A0\u2000-\u200A\u202F\u205F\u2800]`;
const FOUND = new RegExp(`${EMOJI}|(?<unseen>${UNSEEN})`, "gu");

function tagged(name) {
  return String.fromCodePoint(...[...name].map((letter) => 0xe0000 + letter.codePointAt(0)), 0xe007f);
}

/** Texts and, as numbers, code points that would not be seen. */
export function pieces(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(FOUND)) {
    if (match.groups.unseen === undefined) continue;
    if (match.index > from) found.push(text.slice(from, match.index));
    found.push(match[0].codePointAt(0));
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push(text.slice(from));
  return found;
}

export function name(text, { tag = "bdi" } = {}) {
  const shown = pieces(text).map((piece) => (typeof piece === "string" ? piece : codePoint(piece)));
  return h(tag, { class: "name" }, shown);
}

function codePoint(value) {
  const hex = value.toString(16).toUpperCase().padStart(4, "0");
  return h("span", { class: "unseen", title: t("unseen") }, `U+${hex}`);
}
