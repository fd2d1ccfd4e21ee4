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
  if (pattern === undefined) return undefined;
  const own = pattern.flatMap((value, at) => (value === null ? [at] : []));
  const made = { pattern, own, room: charsMax - charsOf(pattern) };
  return fits(made, fields) ? made : undefined;
}

// Whether one that is like a case can be sent on as that was.
export function fits({ own, room }, fields) {
  let left = room;
  for (const at of own) {
    left -= fields[at].length;
    if (!ASCII.test(fields[at])) return false;
  }
  return left >= 0;
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

// By what requests of one class are looked for: by their address and cookies, or the browser. All
// of these count, so that nothing is lost by it; and few of one key are left to be compared.
export function keyOfRequest(ofRequests, fields) {
  let [address, cookie, agent] = ["", undefined, ""];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at];
    if (name === "cookie") cookie = fields[at + 1];
    else if (name === "user-agent") agent = fields[at + 1];
    else if (name === "cf-connecting-ip") address = fields[at + 1];
  }
  return `${ofRequests}\n${address}\n${cookie ?? agent}`;
}

// And answers of one class.
export function keyOfAnswer(ofAnswers, status, fields) {
  const at = fields.findIndex((text, at) => at % 2 === 0 && text === "content-type");
  return `${ofAnswers} ${status} ${at < 0 ? "" : fields[at + 1]}`;
}

// What is known, in two halves, of which the older one goes when the newer is full, or has been
// there for a minute: what is in use is moved to the newer one. Of those with the same key each
// has a `pattern` of its own, and the one that was used last comes first.
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
    const list = this.#newer.get(key);
    const place = placeIn(list, fields);
    if (place > 0) list.unshift(...list.splice(place, 1));
    if (place >= 0) return list[0];
    const older = this.#older.get(key);
    const found = older?.[placeIn(older, fields)];
    if (found !== undefined) this.set(key, found);
    return found;
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
    const list = [known, ...others.slice(0, SAME_KEY_MAX - 1)];
    this.#newer.set(key, list);
    this.#count += list.length - others.length;
  }

  delete(key, known) {
    this.#drop(key, (other) => other === known);
  }

  #drop(key, isMeant) {
    this.#count -= dropped(this.#newer, key, isMeant);
    dropped(this.#older, key, isMeant);
  }
}

function placeIn(list, fields) {
  return list === undefined ? -1 : list.findIndex(({ pattern }) => isLike(pattern, fields));
}

// How many those were.
function dropped(half, key, isMeant) {
  const all = half.get(key);
  if (!all?.some(isMeant)) return 0;
  const left = all.filter((one) => !isMeant(one));
  if (left.length > 0) half.set(key, left);
  else half.delete(key);
  return all.length - left.length;
}

// There are cookies in them.
const KEPT_MS = 60_000;
const SAME_KEY_MAX = 32;
export const NONE = [];
