// Names and other texts of strangers, shown as what they are: text, apart from the writing around
// it, with what nobody could see made visible. A right-to-left override, or a letter of no width,
// would otherwise make one name look like another.

import { h } from "./dom.js";
import { t } from "./text.js";

// Format characters and odd spaces, but for the joiners inside of an emoji.
const UNSEEN = /(?<!\p{Extended_Pictographic}\uFE0F?|\p{Emoji_Modifier})\u200D|[\p{Cc}\p{Cn}\p{Co}\p{Zl}\p{Zp}\u00A0\u115F\u1160\u2000-\u200A\u202F\u205F\u2800\u3164\uFFA0]|(?![\u200D\u{E0020}-\u{E007F}])\p{Cf}/gu;

/** Texts and, as numbers, code points that would not be seen. */
export function pieces(text) {
  const found = [];
  let from = 0;
  for (const match of text.matchAll(UNSEEN)) {
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
