// Requests that are like one before; src/precedent.rs says what that means. Here is what
// they come to, and how one is sent on without its header fields crossing to the WebAssembly,
// which is asked by a number whether the precedent still stands.

import { NONE, Recent, caseOf, fieldsOf, fits, keyOfAnswer, keyOfRequest, patternOfAnswer } from "./cases.js";
import { apply, edited, isPassedOn } from "./glue.js";
import { remind, within, withinShared } from "./patience.js";
import { notice } from "./turns.js";

// What asks the WebAssembly, in whatever instance of it there is.
let lent;

// The largest number of a precedent so far.
let last = 0;

// By method and URL without query: the class of such requests, and where they go. By class and
// header fields: the edits. By class of answers, status and those fields that are looked at: theirs.
let places, cases, answers;

function forget() {
  places = new Recent(1_024);
  cases = new Recent(256);
  answers = new Recent(256);
}

// Keeps the class of it: an object would be a pointer into one instance. What another one
// has given numbers to is forgotten, and it says which it had.
export function lendPrecedents(lending) {
  lent = lending.constructor;
  forget();
  return last;
}

// The requests that are served in full and may make a precedent, when they are sent on; and
// their header fields, where these have been read.
const heard = new WeakMap();

// Whatever the platform would write otherwise in a query.
const ODD_QUERY = /[^!$-&(-;=?-~]/;

// Method and URL without query, and the query.
function parted({ method, url }) {
  const at = url.indexOf("?");
  return at < 0 ? [`${method} ${url}`, ""] : [`${method} ${url.slice(0, at)}`, url.slice(at)];
}

// The response, or a promise of it, to a request that is like one before; undefined for any
// other. `hear` serves it in full.
globalThis[Symbol.for("warifu.repeat")] = (request, env, context, hear) => {
  remind();
  const { method } = request;
  if (lent === undefined || (method !== "GET" && method !== "HEAD")) return undefined;
  const [place, query] = parted(request);
  const known = places.get(place);
  if (known === undefined) {
    heard.set(request, undefined);
    return undefined;
  }
  if (known.inVain > 0) {
    known.inVain -= 1;
    return undefined;
  }
  if (request.body !== null || ODD_QUERY.test(query)) return undefined;
  const fields = fieldsOf(request.headers);
  const key = keyOfRequest(known.ofRequests, fields);
  const found = cases.get(key, fields);
  if (found === undefined) {
    known.missed += 1;
    if (known.missed > MISSED_MAX) known.inVain = IN_VAIN;
    heard.set(request, fields);
    return undefined;
  }
  if (!fits(found, fields)) return undefined;
  return decide({ request, env, context, hear, known, found, key, query, fields }, true);
};

// What comes of one that is like this case; undefined where it is to be heard in full.
function decide(asked, mayWait) {
  const { request, found, key, fields } = asked;
  try {
    const said = lent.stands(found.number);
    if (said >= SAME) return send(asked, said, Date.now());
    if (said === ASKS) return askObject(asked);
    if (said === SOON && mayWait) return later(asked);
    if (said === OVER) {
      cases.delete(key, found);
      heard.set(request, fields);
    }
  } catch {
    // The WebAssembly was begun anew.
  }
  return undefined;
}

// Many who come at once after a rest would each ask the object. One does, and the others wait
// for what it hears, but not for long.
function later(asked) {
  const [told, tell] = notice();
  const ms = lent.soon(asked.found.number, tell);
  if (ms === 0) return undefined;
  const before = cases;
  return within(ms, told).then(() => {
    // One that was heard meanwhile may have made another. Where all was forgotten, the same key
    // may be of another class.
    const found = (cases === before && cases.get(asked.key, asked.fields)) || asked.found;
    return decide({ ...asked, found }, false) ?? hearAtOnce(asked);
  });
}

function hearAtOnce({ hear }) {
  try {
    lent.waited();
  } catch {
    // The WebAssembly was begun anew, and nobody has a question under way.
  }
  return hear();
}

// Where the object is asked for each request: it is sent on if that says what it has said
// before. Else it is heard by what was said, and may make a precedent.
function askObject(asked) {
  const { request, env, context, hear, found, fields } = asked;
  const sought = Date.now();
  heard.set(request, fields);
  const came = lent.ask(found.number, request, env, context);
  const goOn = (came) => {
    if (typeof came !== "number") return came;
    try {
      return send(asked, came, sought) ?? hear();
    } catch {
      return hear();
    }
  };
  // Where the WebAssembly has ended before it was sent on, it is heard from the beginning.
  const ended = (thrown) => {
    if (!heard.has(request)) throw thrown;
    return hear();
  };
  return came instanceof Promise ? came.then(goOn, ended) : (came && goOn(came));
}

// As in src/precedent.rs. What is more than SAME, and odd, is of one whose time is taken.
const OVER = 0;
const SOON = 2;
const ASKS = 3;
const SAME = 4;

// Where so many in turn were like none before, or one came to what had to be heard, so many are
// heard from the beginning: it may be the same each time.
const MISSED_MAX = 32;
const IN_VAIN = 16;

// One that is about to be sent on, and may make a precedent: `lines` are as for `forward`.
export function keep(request, lines, sharedCache, isPrecedent) {
  if (!heard.has(request)) return;
  const known = heard.get(request);
  heard.delete(request);
  if (!isPrecedent) return;
  const fields = known ?? fieldsOf(request.headers);
  const [place] = parted(request);
  const made = caseOf(fields);
  const [target, ...edits] = lines.split("\n").slice(0, -1);
  if (made === undefined || place.length > PLACE_MAX || edits.length > EDITS_MAX) return;
  const [number, ofRequests, ofAnswers, msMax, isSigned] = lent.keep();
  if (number === 0) {
    if (ofRequests === 1) forget();
    return;
  }
  last = number;
  if (places.get(place)?.ofRequests !== ofRequests) {
    // A part of a text would keep the whole of it.
    const url = copied(target.split("?", 1)[0]);
    const path = copied(place.slice(place.indexOf("/", place.indexOf("//") + 2)));
    places.set(place, { pattern: NONE, ofRequests, url, path, inVain: 0, missed: 0, kinds: 0 });
  }
  const headers = new Headers(request.headers);
  apply(headers, lines, target.length + 1);
  const named = new Set(edits.map((edit) => edit.slice(1).split(": ", 1)[0]));
  const passedOn = made.own.filter((at) => !named.has(fields[at - 1]));
  for (const at of passedOn) headers.delete(fields[at - 1]);
  cases.set(keyOfRequest(ofRequests, fields), { ...made, passedOn, number, headers, sharedCache, ofAnswers, msMax, isSigned: isSigned === 1 });
}

const PLACE_MAX = 512;
const EDITS_MAX = 64;
const copied = (text) => JSON.parse(JSON.stringify(text));

// Sends it on, since that was `said`; `sought` is when it was asked whether it may be.
// Undefined where it cannot be signed.
function send(asked, said, sought) {
  const { request, context, known, found, query, fields } = asked;
  const { method } = request;
  // Those of the case are all the same but for these, and whoever is given them copies them.
  const { headers, passedOn } = found;
  for (const at of passedOn) headers.set(fields[at - 1], fields[at]);
  if (found.isSigned) {
    const signature = lent.sign(found.number, method, known.path, query);
    if (signature === undefined) return undefined;
    apply(headers, signature);
  }
  known.missed = 0;
  const init = { method, headers, body: null, redirect: "manual" };
  if (!found.sharedCache) init.cache = "no-store";
  const isTimed = said % 2 === 1;
  const began = isTimed ? Date.now() : 0;
  const hearing = (hasThrown) => (outcome) => {
    if (isTimed) took(found.number, Date.now() - began);
    return answered(asked, said, sought, outcome, hasThrown);
  };
  return withinShared(context, found.msMax, fetch(known.url + query, init)).then(hearing(false), hearing(true));
}

function took(number, ms) {
  try {
    lent.took(number, ms);
  } catch {
    // The WebAssembly was begun anew, and counts anew.
  }
}

// What the client gets. An answer like one before has the same edits; any other is heard in
// full, with the request that it answers.
function answered({ request, env, context, hear, known, found }, said, sought, outcome, hasThrown) {
  let fields, kind;
  if (outcome !== null && !hasThrown && isPassedOn(outcome)) {
    fields = fieldsOf(outcome.headers);
    kind = keyOfAnswer(found.ofAnswers, outcome.status, fields);
    const like = answers.get(kind, fields);
    if (like !== undefined) {
      known.kinds = 0;
      return edited(outcome, like.edits);
    }
  }
  let served;
  try {
    served = lent.answered(found.number, said, sought, request, env, context, outcome, hasThrown);
  } catch {
    // The WebAssembly was begun anew.
  }
  // It has forgotten. To ask once more does no harm (RFC 9110, section 9.2.2).
  if (served === undefined) {
    if (!hasThrown) outcome?.body?.cancel().catch(() => {});
    return hear();
  }
  return Promise.resolve(served).then(([response, edits]) => {
    known.kinds += 1;
    const pattern = edits === undefined ? undefined : patternOfAnswer(fields);
    if (pattern !== undefined) answers.set(kind, { pattern, edits });
    if (pattern === undefined || known.kinds > KINDS_MAX) {
      known.inVain = IN_VAIN;
      known.kinds = 0;
    }
    return response;
  });
}

// Where so many kinds of answers come in turn, each may have something of its own.
const KINDS_MAX = 4;
