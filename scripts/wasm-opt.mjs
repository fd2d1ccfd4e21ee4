#!/usr/bin/env node
// What worker-build runs in the place of binaryen's wasm-opt: wasm-opt itself, and
// before and after it what worker-build has no option for.
//
//   wasm-opt.mjs INPUT -o OUTPUT OPTION...
//
// The names of the functions, which worker-build asks for, are a tenth of the file after
// gzip. They go into $WARIFU_NAMED instead, the same code with names: numbers of
// functions in a stack trace are looked up there, and `make size` counts with it.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

// Classes of the crate `worker` that JavaScript could be given and never is: what is
// exported is never left out by the linker.
const UNUSED = ["ContainerStartupOptions", "IntoUnderlyingByteSource", "IntoUnderlyingSink", "IntoUnderlyingSource", "MinifyConfig", "R2Range"];

// A function with one caller is made a part of it only up to this size. V8 compiles a
// function whole when it is first called, so what a first request does not use had
// better not stand in the middle of what it uses.
const INLINED_MAX = 300;

const binaryen = fileURLToPath(new URL("../node_modules/binaryen/bin/", import.meta.url));
const run = (tool, ...args) => execFileSync(path.join(binaryen, tool), args, { stdio: "inherit" });

const [input, o, output, ...options] = process.argv.slice(2);
if (o !== "-o" || !output || !process.env.WARIFU_NAMED) throw new Error("usage: WARIFU_NAMED=FILE wasm-opt.mjs INPUT -o OUTPUT OPTION...");
const features = options.filter((option) => option.startsWith("--enable-"));

const glue = readFileSync(path.join(path.dirname(input), "index.js"), "utf8");
const made = UNUSED.filter((name) => new RegExp(`\\b${name}\\.__wrap\\b`).test(glue));
if (made.length > 0) throw new Error(`${made} is given to JavaScript now, and cannot be left out`);

const isOf = (name) => new RegExp(`^(__wbg_((get|set)_)?)?(${UNUSED.join("|")})_`, "i").test(name);
const exported = WebAssembly.Module.exports(new WebAssembly.Module(readFileSync(input))).map(({ name }) => name);
const graph = exported
  .filter((name) => !isOf(name))
  .map((name) => ({ name: `export ${name}`, root: true, export: name }));

const folder = mkdtempSync(path.join(tmpdir(), "warifu-wasm-"));
try {
  const [roots, rest] = [path.join(folder, "roots.json"), path.join(folder, "rest.wasm")];
  writeFileSync(roots, JSON.stringify(graph));
  const unused = execFileSync(path.join(binaryen, "wasm-metadce"), [input, "-o", rest, "--graph-file", roots, "--debuginfo", ...features]);
  if (unused.length === 0) throw new Error("nothing was left out: worker-build does what this was for");
  const named = process.env.WARIFU_NAMED;
  mkdirSync(path.dirname(named), { recursive: true });
  run("wasm-opt", rest, "-o", named, ...options, `--one-caller-inline-max-function-size=${INLINED_MAX}`);
  run("wasm-opt", named, "-o", output, "--strip-debug", ...features);
} finally {
  rmSync(folder, { recursive: true });
}
