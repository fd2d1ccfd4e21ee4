// Whether a comparison of secrets goes another way when another byte is wrong, in the wasm of the
// Worker for tests, which is compiled, linked and optimised as the one that is deployed. binaryen puts
// a call before each function, loop and return and each access of memory; the calls and addresses,
// in their order, have to be the same wherever what is sent is wrong.
//
// Nothing is measured, so nothing flickers: benches/timing.rs measures, natively.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const EVENTS_MIN = 1_000;

// What the wasm uses. Not all: binaryen would write what no engine reads yet.
const FEATURES = ["bulk-memory", "exception-handling", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"].map(
  (feature) => `--enable-${feature}`,
);

// As SUBJECTS of subjects.rs has them.
const names = [...readFileSync(path.join(root, "tests/timing/subjects.rs"), "utf8").matchAll(/Subject \{ name: "([^"]+)"/g)].map(([, name]) => name);

// What is sent to this one is base64, which is read by a table: where in the table tells what was sent,
// and who sent it knows that. Of its reads the places in the code are compared, not the addresses.
const READ_BY_TABLE = "the signature of a command";

let folder, module;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "warifu-timing-"));
  const traced = path.join(folder, "traced.wasm");
  execFileSync(
    path.join(root, "node_modules/binaryen/bin/wasm-opt"),
    [path.join(root, "build-test/index_bg.wasm"), "-o", traced, ...FEATURES, "--instrument-memory", "--log-execution"],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  module = await WebAssembly.compile(readFileSync(traced));
});
after(() => rmSync(folder, { recursive: true }));

/** A Worker's wasm that nothing has run in yet: everything is where it was in the last one. */
function fresh() {
  let events, isByTable;
  const note = (kind) => (id, ...rest) => {
    events?.push(kind, id, ...rest);
    return rest.at(-1);
  };
  const observers = {
    log_execution: note(0),
    // (id, bytes, offset, address), the address goes on to the access itself.
    load_ptr: (id, bytes, offset, address) => {
      events?.push(1, id, bytes, offset, isByTable ? 0 : address);
      return address;
    },
    store_ptr: note(2),
  };
  const imports = {};
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    if (kind === "tag") imports[from][name] = new WebAssembly.Tag({ parameters: ["externref"] });
    if (kind !== "function") continue;
    // The values that are read and written are secrets: they may differ.
    const value = (id, value) => value;
    const outside = () => {
      throw new Error(`${name} is called: no comparison needs anything of outside`);
    };
    imports[from][name] = observers[name] ?? (from === "env" ? value : outside);
  }
  const { exports } = new WebAssembly.Instance(module, imports);
  return {
    subjects: exports.test_timing_subjects(),
    places: (subject) => exports.test_timing_places(subject),
    run(subject, wrong) {
      exports.test_timing_prepare(subject, wrong);
      isByTable = names[subject] === READ_BY_TABLE;
      events = [];
      const isAccepted = exports.test_timing_run() !== 0;
      const found = events;
      events = undefined;
      return { isAccepted, events: found };
    },
  };
}

/** Where the way first depends on the place of the wrong byte; `undefined`: nowhere. */
function firstDifference(subject, places) {
  const first = fresh().run(subject, 0);
  assert.equal(first.isAccepted, false);
  assert.ok(first.events.length > EVENTS_MIN, `${first.events.length} events`);
  for (let place = 1; place < places; place++) {
    const other = fresh().run(subject, place);
    assert.equal(other.isAccepted, false, `wrong in place ${place}, and accepted`);
    const at = other.events.findIndex((event, index) => event !== first.events[index]);
    if (at >= 0 || other.events.length !== first.events.length) {
      return `wrong in place ${place} goes another way than in place 0, from number ${at} of ${first.events.length} (${other.events.length}) on`;
    }
  }
  return undefined;
}

test("each is named, and is good for what is right", () => {
  assert.equal(fresh().subjects, names.length);
  for (const [subject, name] of names.entries()) {
    assert.equal(fresh().run(subject, fresh().places(subject)).isAccepted, true, name);
  }
});

for (const [subject, name] of names.entries()) {
  if (name.startsWith("planted")) {
    test(`a mistake is found: ${name}`, () => {
      assert.match(firstDifference(subject, fresh().places(subject)) ?? "nothing", /^wrong in place 1 goes another way/);
    });
  } else {
    test(`${name}: the same way, whichever byte is wrong`, () => {
      assert.equal(firstDifference(subject, fresh().places(subject)), undefined);
    });
  }
}

test("two are planted, and the others are what is deployed", () => {
  assert.equal(names.filter((name) => name.startsWith("planted")).length, 2);
  assert.ok(names.length >= 7);
});
