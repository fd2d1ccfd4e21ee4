// What Rust asks of the Workers runtime, in as few crossings as possible.
// Header fields cross as lines, which a field value cannot break (RFC 9110, 5.5).

import { keep } from "./precedents.js";

// A variable or secret as text; objects (tables of wrangler.toml) as JSON.
export function variable(env, name) {
  const value = env[name];
  return value === undefined || typeof value === "string" ? value : JSON.stringify(value);
}

// The memory of the WebAssembly, and all of it as bytes. Where it has grown it is
// another, and the old one has none.
let memory;
let bytes = new Uint8Array(0);

export function lend(lent) {
  memory = lent;
  bytes = new Uint8Array(0);
}

const encoder = new TextEncoder();

// Writes method, URL, and then the header fields, each on a line, where Rust wants
// them, and returns where they end. 0: there is no room. One call of an encoder for
// all takes less than to write each character here.
export function describe(request, from, bytesMax) {
  if (bytes.length === 0) bytes = new Uint8Array(memory.buffer);
  const text = described(request);
  const { read, written } = encoder.encodeInto(text, bytes.subarray(from, from + bytesMax));
  return read === text.length ? from + written : 0;
}

// The same as a text.
export function described({ method, url, headers }) {
  const parts = [method, url];
  for (const [name, value] of headers) parts.push(`${name}: ${value}`);
  parts.push("");
  return parts.join("\n");
}

// Country, city and continent, as far as the platform knows them; the client's
// address; the trace that it is part of.
export function place({ cf, headers }) {
  const { country, city, continent } = cf ?? {};
  const parts = [country, city, continent, headers.get("cf-connecting-ip"), headers.get("traceparent")];
  return parts.map((part) => part ?? "").join("\n");
}

// One line of the log, and, where it is bound, a data point of it. By the event's
// name as the index: where the platform samples, frequent ones do not push out rare.
export function tell(line, events) {
  console.log(line);
  if (!events) return;
  const { event, site, session, subject, actor, reason, from } = JSON.parse(line);
  const blobs = ["event", site, event, session, subject, actor, reason, from].map((blob) => blob ?? "");
  events.writeDataPoint({ indexes: [event], blobs, doubles: [1] });
}

// Whether one more is within a rate limit of the platform's; undefined where none is bound.
export async function isWithinLimit(env, binding, key) {
  return env[binding] && (await env[binding].limit({ key })).success;
}

// What an isolate has counted since the last time.
export function report(events, site, isolate, figures) {
  events?.writeDataPoint({ indexes: ["figures"], blobs: ["figures", site, isolate], doubles: [...figures] });
}

// Edits are lines: -name removes, =name: value sets, +name: value appends.
export function apply(headers, edits, from = 0) {
  for (let at = from, end; at < edits.length; at = end + 1) {
    end = edits.indexOf("\n", at);
    const sign = edits[at];
    if (sign === "-") {
      headers.delete(edits.slice(at + 1, end));
      continue;
    }
    const colon = edits.indexOf(": ", at);
    const name = edits.slice(at + 1, colon);
    const value = edits.slice(colon + 2, end);
    if (sign === "=") headers.set(name, value);
    else headers.append(name, value);
  }
}

// Sends the client's request to another URL, the first line, with headers edited by
// those after it; the body stays a stream. Redirects are the client's to follow.
// `replaced` goes in the place of the body. Answers undefined for a body that the
// platform cannot send. A call that is late is given up by the platform, with all of
// the request's, once the client has its answer. An AbortController would cost each
// request as much as its check does. `isPrecedent`: requests like it come to the same.
export function forward(request, lines, replaced, sharedCache, isPrecedent) {
  const { method } = request;
  let body = replaced ?? request.body;
  if (body !== null && (method === "GET" || method === "HEAD")) {
    // To the platform, one whose length is given is there, though it be empty.
    if (request.headers.get("content-length") !== "0") return undefined;
    body = null;
  }
  keep(request, lines, sharedCache, isPrecedent);
  const end = lines.indexOf("\n");
  const headers = new Headers(request.headers);
  apply(headers, lines, end + 1);
  const init = { method, headers, body, redirect: "manual" };
  if (!sharedCache) init.cache = "no-store";
  return fetch(lines.slice(0, end), init);
}

// Of an answer's header fields those that the gate looks at.
const LOOKED_AT = new Set([
  "cache-control", "cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control",
  "content-type", "set-cookie", "signature", "signature-input", "upgrade",
]);

export const isLookedAt = (name) => LOOKED_AT.has(name) || name.startsWith("warifu");

export function isPassedOn(response) {
  const { status } = response;
  return (status >= 200 && status <= 599) || (status === 101 && Boolean(response.webSocket));
}

// The status, and those fields, each on a line. Throws for what could not be passed on: that
// must fail before a command in it is obeyed.
export function answerLines(response) {
  const { status } = response;
  if (!isPassedOn(response)) throw new Error(`the origin answered ${status}`);
  let text = `${status}\n`;
  for (const [name, value] of response.headers) if (isLookedAt(name)) text += `${name}: ${value}\n`;
  return text;
}

// A request of our own: status and body, null if it has not ended in time. The body is
// undefined where it is longer than the limit.
export async function probe(url, headers, bytesMax, msMax) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), msMax);
  try {
    const init = { headers: editedHeaders({}, headers), redirect: "manual", cache: "no-store", signal: late.signal };
    const response = await fetch(url, init);
    const body = await readBody(response, bytesMax, msMax);
    return body === null ? null : [response.status, body];
  } catch (thrown) {
    if (late.signal.aborted) return null;
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

// The origin's answer with edited headers; the body stays a stream.
export function edited(response, edits) {
  if (edits === "") return response;
  const { status, webSocket } = response;
  if (webSocket) return new Response(null, { status, webSocket, headers: editedHeaders(response.headers, edits) });
  return withBody(response, edits, response.body);
}

function editedHeaders(headers, edits) {
  const copy = new Headers(headers);
  apply(copy, edits);
  return copy;
}

// The same with another body, of which the old length and hash say nothing.
export function withBody(response, edits, body) {
  let copy;
  try {
    copy = new Response(body, response);
  } catch {
    // The platform takes no reason phrase with a tab in it, and none means anything
    // (RFC 9112, section 4: "A client SHOULD ignore the reason-phrase content").
    const { status, headers } = response;
    copy = new Response(body, { status, headers });
  }
  apply(copy.headers, edits);
  return copy;
}

// Most answers of our own have the same headers as one before.
const headersOf = new Map();
const HEADERS_KEPT_MAX = 32;

export function ownResponse(status, edits, body) {
  let headers = headersOf.get(edits);
  if (headers === undefined) {
    headers = editedHeaders({}, edits);
    if (headersOf.size < HEADERS_KEPT_MAX && !/^[+=](set-cookie|location):/m.test(edits)) headersOf.set(edits, headers);
  }
  return new Response(body === "" ? null : body, { status, headers });
}

// The whole body; undefined once it is longer than the limit, null if it has
// not ended in time. Throws if it breaks off.
export async function readBody(message, bytesMax, msMax) {
  const reader = message.body?.getReader();
  const chunks = [];
  let total = 0;
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, msMax, null);
  });
  try {
    while (reader) {
      const read = await Promise.race([reader.read(), late]);
      if (read === null) return null;
      if (read.done) break;
      total += read.value.byteLength;
      if (total > bytesMax) return undefined;
      chunks.push(read.value);
    }
  } finally {
    clearTimeout(timer);
    reader?.cancel().catch(() => {});
  }
  const whole = new Uint8Array(total);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

// A file of the static assets, with its tag; null where there is none. The host means
// nothing to the binding, which a deployment may do without.
export async function asset(env, path) {
  if (env.ASSETS === undefined) return null;
  const response = await env.ASSETS.fetch(`http://assets${path}`);
  if (response.status === 200) return [response.headers.get("etag") ?? undefined, await response.text()];
  await response.body?.cancel();
  if (response.status === 404) return null;
  throw new Error(`the assets answered ${response.status}`);
}

// Records of KV are texts; undefined where there is none.
export function kvGet(kv, name) {
  return kv.get(name).then((record) => record ?? undefined);
}

export async function kvPut(kv, name, record, seconds) {
  await kv.put(name, record, { expirationTtl: seconds });
}

export async function kvDelete(kv, name) {
  await kv.delete(name);
}
