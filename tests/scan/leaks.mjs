// The places that are searched, and what is said of a secret that stands in one.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { isAllowed } from "./allowed.mjs";

// Of what stands before a find: what is judged by, what is shown, and what may lie between two
// parts of one secret.
const BEFORE_BYTES = 256;
const CONTEXT_CHARS = 40;
const JOINT_BYTES = 8;

// A place is what is searched: { in: "answer", "request", "log" or "file", name, bytes }, of
// messages with { part: "head" or "body", message }.
export function placesIn(direction, message, name) {
  const parts = [["head", Buffer.from(message.head, "latin1")], ["body", message.body]];
  return parts.filter(([, bytes]) => bytes.length > 0).map(([part, bytes]) => ({ in: direction, part, message, name, bytes }));
}

// Without the query, and without what is long enough to be a secret.
export const nameOf = (request) =>
  request?.method === undefined ? "what was no request" : `${request.method} ${request.target.split("?")[0].replaceAll(/[\w%+=-]{16,}/g, "…")}`;

// The files of workerd's SQLite databases with their logs, of its KV and its cache.
export function filesIn(folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const places = files.map((entry) => {
    const file = path.join(entry.parentPath, entry.name);
    return { in: "file", name: `the file ${path.relative(folder, file)}`, bytes: readFileSync(file) };
  });
  return [{ in: "file", name: "the names of files", bytes: Buffer.from(files.map(({ name }) => name).join("\n")) }, ...places];
}

// Of these places: what nothing allows, as texts that show no secret.
export const leaksIn = (places, secrets) => places.flatMap((place) => leaksOf(place, secrets));

function leaksOf(place, secrets) {
  const leaks = new Map();
  // Where the finds begin that touch each other: what stands there may be parts of one secret.
  let begin = 0;
  let end = -1;
  for (const found of secrets.find(place.bytes)) {
    if (found.at > end + JOINT_BYTES) begin = found.at;
    end = Math.max(end, found.end);
    const before = textBefore(place.bytes, found.at, BEFORE_BYTES);
    const find = { ...found, place, before, line: lineBefore(place, found.at) };
    // One for each secret and header field is enough to read.
    const key = `${found.secret.mark} ${fieldOf(find)}`;
    if (!leaks.has(key) && !isAllowed(find)) leaks.set(key, describe(find, textBefore(place.bytes, begin, CONTEXT_CHARS)));
  }
  return [...leaks.values()];
}

const textBefore = (bytes, at, length) => bytes.toString("latin1", Math.max(0, at - length), at);

// Of a head: the line, as far as it goes before.
function lineBefore({ part, bytes }, at) {
  return part === "head" ? bytes.toString("latin1", bytes.lastIndexOf("\n", at) + 1, at) : "";
}

// --- what it says -----------------------------------------------------------------------------

const fieldOf = ({ place, line }) => (place.part === "head" ? `head, ${/^([\w-]+): /.exec(line)?.[1] ?? "first line"}` : place.part);

// Which secret, where it was first seen, where it stands and how it is written; never itself. Of
// what stands before it, as much as no encoding has: up to the last mark, and only texts.
function describe({ secret, piece, form, at, place, line }, before) {
  const where = [place.name, fieldOf({ place, line })].filter(Boolean).join(", ");
  const last = before.slice(before.lastIndexOf("\n") + 1);
  const [context] = /^[ -~]*$/.test(last) ? (/.*[\s"':;{}[\]()<>&?]/.exec(last) ?? [""]) : [""];
  const shown = context.replaceAll(/[\w%+=-]{16,}/g, "…");
  return `${secret.kind} ${secret.mark} (from ${secret.learned}): ${piece}, ${form}, in ${where}, at byte ${at}${shown === "" ? "" : `, after ${JSON.stringify(shown)}`}`;
}
