#!/usr/bin/env node
// What worker-build runs in the place of binaryen's wasm-opt: wasm-opt itself, twice.
//
//   wasm-opt.mjs INPUT -o OUTPUT OPTION...
//
// What is served has no names: those of the functions are a tenth of the file after gzip,
// and where wasm-opt has to keep names of variables, functions come out larger. The same
// functions with their names, in the same order, go into $WARIFU_NAMED: the numbers of
// functions in a stack trace are looked up there, and `make size` has the names from it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

// A function with one caller is made a part of it only up to this size. V8 compiles a
// function whole when it is first called, so what a first request does not use had
// better not stand in the middle of what it uses.
const INLINED_MAX = 300;

// What scripts/linker/wasm-ld does not export.
const UNUSED = ["ContainerStartupOptions", "IntoUnderlyingByteSource", "IntoUnderlyingSink", "IntoUnderlyingSource", "MinifyConfig", "R2Range"];

const [input, o, output, ...options] = process.argv.slice(2);
const named = process.env.WARIFU_NAMED;
if (o !== "-o" || !output || !named) throw new Error("usage: WARIFU_NAMED=FILE wasm-opt.mjs INPUT -o OUTPUT OPTION...");

const glue = readFileSync(path.join(path.dirname(input), "index.js"), "utf8");
const made = UNUSED.filter((name) => new RegExp(`\\b${name}\\.__wrap\\b`).test(glue));
if (made.length > 0) throw new Error(`${made} is given to JavaScript now, and has to be exported`);
const isOfUnused = new RegExp(`^(__wbg_((get|set)_)?)?(${UNUSED.join("|")})_`, "i");
const exported = WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(input))).map(({ name }) => name);
const left = exported.filter((name) => isOfUnused.test(name));
if (left.length > 0) throw new Error(`${left} are exported: scripts/linker/wasm-ld was to leave them out`);

// What can flow where is found out first, with which the passes after it leave out more.
const FIRST = "--gufa-optimizing";

const binaryen = fileURLToPath(new URL("../node_modules/binaryen/bin/wasm-opt", import.meta.url));
const without = options.filter((option) => option !== "--debuginfo");
mkdirSync(path.dirname(named), { recursive: true });
for (const [to, names] of [[output, "--strip-debug"], [named, "--debuginfo"]]) {
  execFileSync(binaryen, [input, "-o", to, FIRST, ...without, names, `--one-caller-inline-max-function-size=${INLINED_MAX}`], { stdio: "inherit" });
}
