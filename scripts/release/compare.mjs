// Whether two folders hold the same bytes; if not, which file is the first that differs, and where.
//
//   node scripts/release/compare.mjs FOLDER FOLDER
//
// Of an archive it says which file in it: the offset in what is compressed tells nobody anything.
import { readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { gunzipSync } from "fflate";
import { unpackTar } from "modern-tar";

/** Every file below the folder, with its bytes. */
export function contents(folder) {
  const files = readdirSync(folder, { recursive: true }).filter((name) => statSync(path.join(folder, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(path.join(folder, name))]));
}

/** What is the first difference, in words; `undefined`: there is none. */
export async function difference(one, other) {
  for (const name of [...new Set([...one.keys(), ...other.keys()])].sort()) {
    const [a, b] = [one.get(name), other.get(name)];
    if (!a || !b) return `${name} is only in the ${a ? "first" : "second"}`;
    if (a.equals(b)) continue;
    const inside = name.endsWith(".tar.gz") && (await differenceInside(a, b));
    return inside ? `${name}: ${inside}` : `${name} differs from byte ${firstDifference(a, b)} on: ${around(a, b)}`;
  }
  return undefined;
}

async function differenceInside(a, b) {
  const [one, other] = await Promise.all([a, b].map(async (archive) => unpackTar(gunzipSync(archive))));
  const named = (entries) => new Map(entries.map(({ header, data }) => [header.name, Buffer.from(data ?? [])]));
  const found = await difference(named(one), named(other));
  if (found) return found;
  // The files are the same: then it is what is said of them, or how they are packed.
  for (const [index, { header }] of one.entries()) {
    for (const [key, value] of Object.entries(header)) {
      const beside = other[index].header[key];
      if (JSON.stringify(value) !== JSON.stringify(beside)) return `${header.name}: ${key} ${JSON.stringify(value)}, ${JSON.stringify(beside)}`;
    }
  }
  return undefined;
}

function firstDifference(a, b) {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

// Paths and times are read at once in what surrounds the place.
function around(a, b) {
  const at = firstDifference(a, b);
  const shown = (bytes) => JSON.stringify(bytes.subarray(Math.max(0, at - 24), at + 40).toString("latin1"));
  return `${shown(a)}, ${shown(b)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folders = process.argv.slice(2);
  if (folders.length !== 2) throw new Error("usage: compare.mjs FOLDER FOLDER");
  const [one, other] = folders.map(contents);
  const found = await difference(one, other);
  if (found) {
    console.error(`warifu: not the same: ${found}`);
    process.exitCode = 1;
  } else {
    console.log(`the same bytes, ${one.size} files: ${[...one.keys()].sort().join(", ")}`);
  }
}
