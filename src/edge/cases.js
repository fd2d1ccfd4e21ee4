// By which fields requests, and answers, are known to be like one before.

import { isLookedAt } from "./glue.js";

// Names and values in turn. A pattern has null where the value is left out.
function isLike(pattern, fields) {
  if (pattern.length !== fields.length) return false;
  for (let at = 0; at < fields.length; at += 2) {
    if (pattern[at] !== fields[at]) return false;
    const value = pattern[at + 1];
    if (value !== null && value !== fields[at + 1]) return false;
  }
  return true;
}

// The fields of a request or an answer. By the iterator it takes a tenth longer.
export function fieldsOf(headers) {
  const fields = [];
  headers.forEach((value, name) => fields.push(name, value));
  return fields;
}

// Of requests, what src/precedent.rs says.
let leftOut;
let charsMax;

export function leaveOut(names, max) {
  leftOut = new Set(names.split(" "));
  charsMax = max;
}

// The pattern of a request's fields, where in them those are that are left out, and how many
// characters their values may have, since the gate refuses what is too long; undefined where
// there can be none like it.
export function caseOf(fields) {
  const pattern = patternOf(fields, (name) => leftOut.has(name));
  const room = charsMax - charsOf(pattern ?? fields);
  if (pattern === undefined || room < 0) return undefined;
  return { pattern, room, own: pattern.flatMap((value, at) => (value === null ? [at] : [])) };
}

// Whether one that is like a case can be sent on as that was.
export function fits({ own, room }, fields) {
  let left = room;
  for (const at of own) {
    left -= fields[at].length;
    if (left < 0 || !ASCII.test(fields[at])) return false;
  }
  return true;
}

// What can be set as it was read.
const ASCII = /^[\t -~]*$/;

// The same of an answer's fields.
export function patternOfAnswer(fields) {
  const pattern = patternOf(fields, (name) => !isLookedAt(name));
  return pattern !== undefined && charsOf(pattern) <= ANSWER_CHARS_MAX ? pattern : undefined;
}

const ANSWER_CHARS_MAX = 2_048;

// Four are for what is between them.
function charsOf(fields) {
  return fields.reduce((chars, text) => chars + (text?.length ?? 0) + 2, 0);
}

// Undefined where bytes that count are no text: others would be the same.
function patternOf(fields, isLeftOut) {
  const pattern = fields.map((text, at) => (at % 2 === 1 && isLeftOut(fields[at - 1]) ? null : text));
  return pattern.some((text) => text?.includes(NO_TEXT)) ? undefined : pattern;
}

const NO_TEXT = "\uFFFD";

// What is known, in two halves, of which the older one goes when the newer is full, or has been
// there for a minute: what is in use is moved to the newer one. Of those with the same key, and
// that is a few, each has a `pattern` of its own.
export class Recent {
  #max;
  #count = 0;
  #newer = new Map();
  #older = new Map();
  #since = 0;

  constructor(max) {
    this.#max = max;
  }

  // What has a pattern that these fields are like.
  get(key, fields = NONE) {
    const newer = search(this.#newer, key, fields);
    if (newer !== undefined) return newer;
    const older = search(this.#older, key, fields);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  // In the place of what has the same pattern.
  set(key, known) {
    const now = Date.now();
    if (this.#count >= this.#max || Math.abs(now - this.#since) > KEPT_MS) {
      this.#older = this.#newer;
      this.#newer = new Map();
      this.#count = 0;
      this.#since = now;
    }
    this.#drop(key, ({ pattern }) => isLike(pattern, known.pattern));
    const others = this.#newer.get(key) ?? [];
    this.#newer.set(key, [known, ...others.slice(0, SAME_KEY_MAX - 1)]);
    this.#count += 1;
  }

  delete(key, known) {
    this.#drop(key, (other) => other === known);
  }

  #drop(key, isMeant) {
    for (const half of [this.#newer, this.#older]) {
      const all = half.get(key);
      if (all?.some(isMeant)) half.set(key, all.filter((one) => !isMeant(one)));
    }
  }
}

const search = (half, key, fields) => half.get(key)?.find(({ pattern }) => isLike(pattern, fields));

// There are cookies in them.
const KEPT_MS = 60_000;
const SAME_KEY_MAX = 16;
export const NONE = [];
