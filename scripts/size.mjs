// Where the bytes of the Worker's wasm are: by crate, for our own by module, and the
// largest functions. The names are those of the copy that scripts/build keeps, which has the
// same functions in the same order. A function counts for the crate that wrote it; an
// instance of another's generic code for that other (so reading JSON counts for serde_json,
// whatever is read), and what was inlined for where it went.
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const ROWS = 24;
const FUNCTIONS = 20;

// Sizes of sections and function bodies, and the functions' names (WebAssembly Core,
// 5.5 and 7.4.1).
function read(bytes) {
  let at = 8;
  const number = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
  };
  const text = () => {
    const length = number();
    return bytes.toString("utf8", at, (at += length));
  };
  const limits = () => {
    const flags = number();
    number();
    if (flags & 1) number();
  };
  const sections = { code: 0, data: 0 };
  const sizes = [];
  const names = new Map();
  let imported = 0;
  while (at < bytes.length) {
    const id = bytes[at++];
    const length = number();
    const end = at + length;
    if (id === 2) {
      for (let left = number(); left > 0; left--) {
        text();
        text();
        const kind = bytes[at++];
        if (kind === 0) imported += number() >= 0 ? 1 : 0;
        else if (kind === 1) limits(at++);
        else if (kind === 2) limits();
        else at += 2;
      }
    } else if (id === 10) {
      sections.code = length;
      for (let left = number(); left > 0; left--) {
        const size = number();
        sizes.push(size);
        at += size;
      }
    } else if (id === 11) {
      sections.data = length;
    } else if (id === 0 && text() === "name") {
      while (at < end) {
        const kind = bytes[at++];
        const after = number() + at;
        if (kind === 1) for (let left = number(); left > 0; left--) names.set(number(), text());
        at = after;
      }
    }
    at = end;
  }
  const functions = sizes.map((size, index) => ({ size, name: names.get(imported + index) ?? "?" }));
  return { sections, functions };
}

// Without the hashes of crates.
const plain = (name) => name.replaceAll(/\[[0-9a-f]+\]/g, "");

function owner(name) {
  if (/externref shim|sp wrapper|^__wb/.test(name)) return "wasm-bindgen's shims";
  if (/drop_glue|drop_in_place/.test(name)) return "drop glue";
  // `<Type as Trait>::method` is written where Type is, or where Trait is for another's type.
  const crate = /([a-z_][a-z_0-9]*)::/.exec(name)?.[1];
  if (crate !== "warifu") return crate ?? "others";
  return `warifu::${/warifu::([a-z_0-9]+)/.exec(name)[1]}`;
}

function table(title, functions, key, rows) {
  const sums = new Map();
  for (const { size, name } of functions) {
    const [bytes, count] = sums.get(key(name)) ?? [0, 0];
    sums.set(key(name), [bytes + size, count + 1]);
  }
  const all = functions.reduce((sum, { size }) => sum + size, 0);
  console.log(`\n| ${title} | kB | share | functions |\n|---|---|---|---|`);
  for (const [name, [bytes, count]] of [...sums].sort((a, b) => b[1][0] - a[1][0]).slice(0, rows)) {
    console.log(`| ${name} | ${(bytes / 1000).toFixed(1)} | ${((100 * bytes) / all).toFixed(1)} % | ${count} |`);
  }
}

const served = readFileSync(path.join(root, "build/index_bg.wasm"));
const { sections, functions } = read(served);
const named = read(readFileSync(path.join(root, ".warifu/named/build.wasm"))).functions;
if (named.length !== functions.length) throw new Error("the file with names is of another build: rm -r build, and build anew");
const readable = functions.map(({ size }, index) => ({ size, name: plain(named[index].name) }));
const kb = (bytes) => `${(bytes / 1000).toFixed(1)} kB`;
console.log(`build/index_bg.wasm: ${kb(served.length)}, after gzip ${kb(gzipSync(served).length)};`);
console.log(`code ${kb(sections.code)} in ${functions.length} functions, data ${kb(sections.data)}`);
table("crate, or module of warifu", readable, owner, ROWS);
console.log("\nThe largest functions:\n");
for (const { size, name } of readable.sort((a, b) => b.size - a.size).slice(0, FUNCTIONS)) {
  console.log(`${kb(size).padStart(10)}  ${name.slice(0, 110)}`);
}
