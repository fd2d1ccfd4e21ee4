// Requests that are like one before; src/precedent.rs says what that means. Here is the
// text by which they are known, what they come to, and how one is sent on without its
// header fields crossing to the WebAssembly, which is asked by a number whether the
// precedent still stands.

import { answerLines } from "./glue.js";

// What asks the WebAssembly. Where that had to be begun anew, that of before refuses.
let lent;
let leftOut;
let charsMax;

// Maps in two halves, of which the older one goes when the newer is full, or has been there
// for a minute: what is in use is moved to the newer one.
class Recent {
  #max;
  #newer = new Map();
  #older = new Map();
  #since = 0;

  constructor(max) {
    this.#max = max;
  }

  get(key) {
    const found = this.#newer.get(key);
    if (found !== undefined) return found;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key, value) {
    const now = Date.now();
    if (this.#newer.size >= this.#max || Math.abs(now - this.#since) > KEPT_MS) {
      this.#older = this.#newer;
      this.#newer = new Map();
      this.#since = now;
    }
    this.#newer.set(key, value);
  }
}

// There are cookies in them.
const KEPT_MS = 60_000;

// By method and URL without query: the class of such requests, and where they go. By
// class and header fields: the edits. By class of answers and their lines: theirs.
let places, cases, answers;

export function lendPrecedents(lending, names, max) {
  lent = lending;
  leftOut = new Set(names.split(" "));
  charsMax = max;
  places = new Recent(1_024);
  cases = new Recent(256);
  answers = new Recent(256);
}

// The request that is served in full and may make a precedent, if it is sent on in the same
// turn.
let heard;

// Whatever the platform would write otherwise in a query.
const ODD_QUERY = /[^!$-&(-;=?-~]/;

// Method and URL without query, and the query.
function parted({ method, url }) {
  const at = url.indexOf("?");
  return at < 0 ? [`${method} ${url}`, ""] : [`${method} ${url.slice(0, at)}`, url.slice(at)];
}

// The header fields that count; undefined where they are too long.
function textOf(headers) {
  let text = "";
  let chars = 0;
  for (const [name, value] of headers) {
    chars += name.length + value.length + 4;
    text += leftOut.has(name) ? `${name}\n` : `${name}: ${value}\n`;
  }
  return chars <= charsMax ? text : undefined;
}

// The response, or a promise of it, to a request that is like one before; undefined for any
// other. `hear` serves it in full.
globalThis[Symbol.for("warifu.repeat")] = (request, env, context, hear) => {
  heard = undefined;
  if (lent === undefined || (request.method !== "GET" && request.method !== "HEAD")) return undefined;
  const [place, query] = parted(request);
  const known = places.get(place);
  if (known === undefined) {
    heard = request;
    return undefined;
  }
  if (known.inVain > 0) {
    known.inVain -= 1;
    return undefined;
  }
  const text = textOf(request.headers);
  if (text === undefined || request.body !== null || ODD_QUERY.test(query)) return undefined;
  const found = cases.get(`${known.ofRequests}\n${text}`);
  let signature;
  let began;
  try {
    const standing = found === undefined ? OVER : lent.stands(found.number);
    if (standing === OVER) heard = request;
    if (standing < SAME) return undefined;
    if (standing === TIMED) began = Date.now();
    signature = found.isSigned ? lent.sign(found.number, request.method, known.path, query) : "";
  } catch {
    return undefined;
  }
  if (signature === undefined) return undefined;
  return send(request, { known, found, query, signature, began, env, context, hear });
};

// As in src/precedent.rs.
const OVER = 0;
const SAME = 2;
const TIMED = 3;
const PLACE_MAX = 512;

// One that is about to be sent on, and makes a precedent: `lines` are as for `forward`.
export function keep(request, lines, sharedCache) {
  if (heard !== request) return;
  const [place] = parted(request);
  const text = textOf(request.headers);
  if (text === undefined || place.length > PLACE_MAX) return;
  const [number, ofRequests, ofAnswers, msMax, isSigned] = lent.keep();
  if (number === 0) return;
  heard = undefined;
  const end = lines.indexOf("\n");
  const url = lines.slice(0, end).split("?", 1)[0];
  const path = place.slice(place.indexOf("/", place.indexOf("//") + 2));
  const all = lines.slice(end + 1).split("\n");
  const edits = isSigned === 1 ? all.filter((line) => !/^=signature(-input)?: /.test(line)).join("\n") : all.join("\n");
  const list = listed(edits);
  places.set(place, { ofRequests, url, path, inVain: 0 });
  cases.set(`${ofRequests}\n${text}`, { number, edits, list, sharedCache, ofAnswers, msMax, isSigned: isSigned === 1 });
}

// Edits as [sign, name, value].
function listed(edits) {
  return edits
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      if (line[0] === "-") return ["-", line.slice(1)];
      const colon = line.indexOf(": ");
      return [line[0], line.slice(1, colon), line.slice(colon + 2)];
    });
}

function make(headers, list) {
  for (const [sign, name, value] of list) {
    if (sign === "=") headers.set(name, value);
    else if (sign === "-") headers.delete(name);
    else headers.append(name, value);
  }
}

function send(request, sent) {
  const { known, found, query, signature } = sent;
  const headers = new Headers(request.headers);
  make(headers, found.list);
  if (signature !== "") make(headers, listed(signature));
  const init = { method: request.method, headers, body: null, redirect: "manual" };
  if (!found.sharedCache) init.cache = "no-store";
  return new Promise((resolve, reject) => {
    let timer = setTimeout(() => goOn(null, false), found.msMax);
    const goOn = (outcome, hasThrown) => {
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      try {
        if (sent.began !== undefined) lent.took(found.number, Date.now() - sent.began);
        resolve(answered(request, sent, outcome, hasThrown));
      } catch (thrown) {
        reject(thrown);
      }
    };
    fetch(known.url + query, init).then(
      (response) => goOn(response, false),
      (thrown) => goOn(thrown, true),
    );
  });
}

// What the client gets. An answer like one before has the same edits; any other is heard in
// full, with the request that it answers.
function answered(request, { known, found, query, env, context, hear }, outcome, hasThrown) {
  let lines;
  if (outcome !== null && !hasThrown) {
    lines = linesOf(outcome, found.ofAnswers);
    const list = answers.get(lines);
    if (list !== undefined) return edited(outcome, list);
  }
  let served;
  try {
    served = lent.answered(request, env, context, outcome, hasThrown, `${known.url}${query}\n${found.edits}`);
  } catch {
    // The WebAssembly was begun anew. To ask once more does no harm (RFC 9110, section 9.2.2).
    return hear();
  }
  return Promise.resolve(served).then(([response, edits]) => {
    if (edits === undefined) known.inVain = IN_VAIN;
    else if (lines !== undefined && lines.length <= LINES_MAX) answers.set(lines, listed(edits));
    return response;
  });
}

// Where an answer had to be heard, so many requests are heard from the beginning: it may be
// one of a kind that is, each time.
const IN_VAIN = 16;
const LINES_MAX = 1_024;

function linesOf(response, ofAnswers) {
  try {
    return `${ofAnswers} ${answerLines(response)}`;
  } catch {
    return undefined;
  }
}

function edited(response, list) {
  if (list.length === 0) return response;
  const { body, status, headers } = response;
  let copy;
  try {
    copy = new Response(body, response);
  } catch {
    copy = new Response(body, { status, headers });
  }
  make(copy.headers, list);
  return copy;
}
