// What is fetched from registries: exact versions, each held against a checksum, and nothing that runs
// code of its own when it is installed but what is named.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { parse } from "smol-toml";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file) => readFileSync(path.join(root, file), "utf8");
const tracked = (name) => execFileSync("git", ["-C", root, "ls-files", `:(glob)**/${name}`], { encoding: "utf8" }).trim().split("\n");
const isExact = (version) => /^(?:npm:(?:@[a-z0-9-]+\/)?[a-z0-9-]+@)?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/.test(version);

test("npm packages are of exact versions, with a checksum and no address", () => {
  const locks = tracked("package-lock.json");
  assert.ok(locks.length >= 2, `${locks}`);
  for (const file of locks) {
    const { lockfileVersion, packages } = JSON.parse(read(file));
    assert.equal(lockfileVersion, 3, file);
    const { "": own, ...others } = packages;
    for (const [name, version] of Object.entries({ ...own.dependencies, ...own.devDependencies, ...own.optionalDependencies })) {
      assert.ok(isExact(version), `${file}: ${name} ${version}`);
    }
    assert.ok(Object.keys(others).length > 10, file);
    for (const [name, { integrity, resolved, link }] of Object.entries(others)) {
      assert.match(integrity ?? "none", /^sha512-[A-Za-z0-9+/]{86}==$/, `${file}: ${name}`);
      assert.deepEqual([resolved, link], [undefined, undefined], `${file}: ${name}`);
    }
  }
});

test("who deploys an archive is told of the wrangler that is pinned", () => {
  const { wrangler } = JSON.parse(read("package.json")).devDependencies;
  const [, named] = /^npm install --no-save wrangler@(\S+)$/m.exec(read("docs/operations/release.md")) ?? [];
  assert.equal(named, wrangler);
});

test("npm runs no script of a package but those that are named", () => {
  const scripts = read(".npmrc").split("\n").filter((line) => line.startsWith("ignore-scripts"));
  assert.deepEqual(scripts, ["ignore-scripts=true"]);
  const { packages } = JSON.parse(read("package-lock.json"));
  const wants = Object.entries(packages).filter(([, { hasInstallScript }]) => hasInstallScript).map(([at]) => at.split("node_modules/").at(-1));
  const { allowScripts } = JSON.parse(read("package.json"));
  for (const name of wants) assert.ok(Object.hasOwn(allowScripts, name), `${name} wants to run a script: package.json says whether it may`);
  const [, run] = /npm rebuild --ignore-scripts=false .*--loglevel=error ([a-z -]+)$/m.exec(read("scripts/setup"));
  assert.deepEqual(run.split(" "), Object.keys(allowScripts).filter((name) => allowScripts[name]).sort());
});

test("what Python installs is of exact versions, with checksums that pip asks for", () => {
  const files = tracked("requirements.txt");
  assert.ok(files.length >= 3, `${files}`);
  for (const file of files) {
    const lines = read(file).replaceAll(/ \\\n +/g, " ").split("\n").filter((line) => line && !line.startsWith("#"));
    assert.ok(lines.length > 5, file);
    for (const line of lines) assert.match(line, /^[A-Za-z0-9_.-]+==[0-9a-z.]+(?: ; [^;]+?)?(?: --hash=sha256:[0-9a-f]{64})+$/, file);
  }
  const installs = [...read("scripts/setup").matchAll(/\/bin\/pip" (?:install|download) (?:.*\\\n)*.*/g)].map(([command]) => command);
  assert.equal(installs.length, 2);
  for (const command of installs) assert.match(command, /--require-hashes/);
});

test("crates come from the registry, with a checksum", () => {
  const locks = tracked("Cargo.lock");
  assert.ok(locks.length >= 3, `${locks}`);
  for (const file of locks) {
    const { package: crates } = parse(read(file));
    for (const { name, source, checksum } of crates) {
      // Without a source it is of this repository.
      if (!source) assert.match(name, /^warifu/, `${file}: ${name}`);
      else assert.deepEqual([source.split("+")[0], /^[0-9a-f]{64}$/.test(checksum)], ["registry", true], `${file}: ${name}`);
    }
  }
});
