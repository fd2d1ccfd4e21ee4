// What somebody has who has copied the stores: the files of workerd's SQLite databases and
// of its KV, with the logs that go with them.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export function copyOf(state) {
  const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((entry) => readFileSync(path.join(entry.parentPath, entry.name)));
}

// What is there in any of the ways in which bytes are written.
export function findIn(copy, what) {
  return formsOf(Buffer.from(what)).filter(([, form]) => copy.some((file) => file.includes(form))).map(([name]) => name);
}

// A search that could find nothing proves nothing: each form is found where it is put.
export function assertFinds() {
  const what = Buffer.from("a value that is looked for");
  for (const before of ["", "x", "xy"]) {
    const around = Buffer.concat([Buffer.from(before), what, Buffer.from("z")]);
    const texts = [around, around.toString("hex"), around.toString("hex").toUpperCase(), around.toString("base64"), around.toString("base64url")];
    const lists = [JSON.stringify([...around]), JSON.stringify(around.toString()), Buffer.from(around.toString(), "utf16le")];
    for (const text of [...texts, ...lists]) assert.notDeepEqual(findIn([Buffer.from(text)], what), [], String(text));
  }
  assert.deepEqual(findIn([Buffer.from("something else")], what), []);
}

function formsOf(bytes) {
  const forms = [
    ["as it is", bytes],
    ["in UTF-16", Buffer.from(bytes.toString("latin1"), "utf16le")],
    ["in hexadecimal", bytes.toString("hex")],
    ["in hexadecimal", bytes.toString("hex").toUpperCase()],
    ["as numbers", [...bytes].join(",")],
  ];
  // Within something longer, base64 has three ways to write it; the ends mix with what is beside.
  for (const offset of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes]);
    for (const coding of ["base64", "base64url"]) {
      const inner = shifted.toString(coding).replace(/=+$/, "").slice(Math.ceil((offset * 4) / 3), -1);
      forms.push([`in ${coding}`, inner]);
    }
  }
  return forms;
}
