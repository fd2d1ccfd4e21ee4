// What must never be seen: the tokens and keys that have passed in this process, cut into pieces,
// so that a part of one is found too.
import { createHash } from "node:crypto";

import { formsOf } from "./forms.mjs";
import { PATTERN_BYTES_MIN, Search } from "./search.mjs";

// What is shorter can be guessed, or stands somewhere by chance.
const PIECE_BYTES = 16;
// And so does what repeats itself, such as a key of zeros that a test gives to see it refused.
const DIFFERENT_BYTES_MIN = 6;
// A session's token (src/token.rs): six bytes that say where the session lives, its secret, the MAC.
const TOKEN_CHARS = 72;
const TOKEN_BYTES = [6, 22, 38, 54];
export const TOKEN = new RegExp(`^[\\w-]{${TOKEN_CHARS}}$`);

export class Secrets {
  #known = new Map();
  #search;

  // The number of secrets that can be found.
  get size() {
    return this.#known.size;
  }

  // A session's token, as it stands in a cookie. `learned` says where it passed.
  token(text, learned) {
    const bytes = Buffer.from(text, "base64url");
    const names = ["the first half of the secret", "the second half of the secret", "the MAC"];
    this.#know("session token", text, learned, () => [
      ...names.map((name, at) => [name, bytes.subarray(TOKEN_BYTES[at], TOKEN_BYTES[at + 1])]),
      // Its text, where that is written in another way once more.
      ...names.map((name, at) => [`${name}, as text`, Buffer.from(text.slice(...[[9, 30], [30, 51], [52, TOKEN_CHARS]][at]))]),
    ]);
  }

  // A key: 32 bytes in base64url.
  key(kind, text, learned) {
    const bytes = Buffer.from(text, "base64url");
    this.#know(kind, text, learned, () => [...halves(bytes), ...halves(Buffer.from(text)).map(([name, piece]) => [`${name}, as text`, piece])]);
  }

  // A value of the application's own that the gateway keeps from browsers. Of a JWT the signature
  // alone is secret: what it says may be read.
  held(text, learned) {
    const parts = text.split(".");
    const secret = parts.length === 3 ? parts[2] : text;
    if (secret.length < PIECE_BYTES) return;
    this.#know("held token", text, learned, () => {
      const bytes = /^[\w-]+$/.test(secret) ? Buffer.from(secret, "base64url") : Buffer.alloc(0);
      return [...halves(Buffer.from(secret)), ...(bytes.length < PIECE_BYTES ? [] : halves(bytes).map(([name, piece]) => [`${name}, decoded`, piece]))];
    });
  }

  #know(kind, text, learned, pieces) {
    if (this.#known.has(text)) return;
    this.#known.set(text, { kind, learned, mark: createHash("sha256").update(text).digest("hex").slice(0, 8), pieces });
    this.#search = undefined;
  }

  // What is in these bytes: a list of { secret, piece, form, at, end }.
  find(bytes) {
    if (this.#search === undefined) {
      const sought = [];
      for (const secret of this.#known.values()) {
        for (const [piece, value] of secret.pieces()) {
          if (new Set(value).size < DIFFERENT_BYTES_MIN) continue;
          for (const [form, pattern] of formsOf(value)) {
            if (pattern.length >= PATTERN_BYTES_MIN) sought.push({ secret, piece, form, pattern });
          }
        }
      }
      this.#search = { sought, search: new Search(sought.map(({ pattern }) => pattern)) };
    }
    const { sought, search } = this.#search;
    return search.find(bytes).map(({ pattern, at }) => ({ ...sought[pattern], at, end: at + sought[pattern].pattern.length }));
  }
}

function halves(bytes) {
  if (bytes.length < 2 * PIECE_BYTES) return [["all of it", bytes]];
  const middle = bytes.length >> 1;
  return [["the first half", bytes.subarray(0, middle)], ["the second half", bytes.subarray(middle)]];
}
