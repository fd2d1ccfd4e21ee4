// A release: what is in its archive, that the same tree gives the same bytes, and what it refuses.
// That two clones are compiled to the same bytes takes minutes, and is `make release-check`.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { gunzipSync, gzipSync } from "fflate";
import { packTar, unpackTar } from "modern-tar";

import { archive } from "../../scripts/release/archive.mjs";
import { difference } from "../../scripts/release/compare.mjs";
import { repeatable } from "../../scripts/release/sbom.mjs";
import { committed, refuseOther, version } from "../../scripts/release/version.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));
const SECONDS = 1_750_000_000;
const TREE = ["CHANGELOG.md", "Cargo.lock", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "build", "package-lock.json", "package.json", "wrangler.toml", "www"];

let folder, made, number;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "warifu-release-"));
  number = version(root);
  made = await archive(root, number, SECONDS);
});
after(() => rmSync(folder, { recursive: true }));

/** What a release is made of, at another path, as another day's checkout by somebody else. */
function copied(name) {
  const copy = path.join(folder, name);
  mkdirSync(copy, { recursive: true });
  for (const file of [...TREE].reverse()) {
    cpSync(path.join(root, file), path.join(copy, file), { recursive: true, filter: (source) => path.basename(source) !== ".stamp" });
    utimesSync(path.join(copy, file), 1_000_000_000, 1_000_000_000);
  }
  return copy;
}

function changed(copy, file, change) {
  const at = path.join(copy, file);
  const text = readFileSync(at, "utf8");
  assert.notEqual(change(text), text, `${file} has what is to be changed`);
  writeFileSync(at, change(text));
}

test("the same files are the same archive, whoever packs them, wherever and whenever", async () => {
  const copy = copied("a path that is longer/than the other's");
  execFileSync("chmod", ["-R", "go-rwx,u+x", copy]);
  const script = `
    import { archive } from ${JSON.stringify(new URL("../../scripts/release/archive.mjs", import.meta.url).href)};
    import { writeFileSync } from "node:fs";
    writeFileSync("packed", await archive(${JSON.stringify(copy)}, ${JSON.stringify(number)}, ${SECONDS}));`;
  execFileSync("sh", ["-c", 'umask 077; exec "$0" "$@"', process.execPath, "--input-type=module", "--eval", script], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, TZ: "Asia/Kathmandu", LC_ALL: "C" },
  });
  const there = new Map([["warifu.tar.gz", readFileSync(path.join(folder, "packed"))]]);
  assert.equal(await difference(new Map([["warifu.tar.gz", Buffer.from(made)]]), there), undefined);
});

test("an archive says nothing of who made it, and when", async () => {
  const entries = await unpackTar(gunzipSync(made));
  const names = entries.map(({ header }) => header.name);
  assert.deepEqual(names, [...names].sort());
  for (const { header } of entries) {
    const { name, mtime, uid, gid, mode, uname, gname } = header;
    assert.ok(name.startsWith(`warifu-${number}/`), name);
    assert.deepEqual({ mtime: mtime.getTime(), uid, gid, mode }, { mtime: SECONDS * 1000, uid: 0, gid: 0, mode: 0o644 }, name);
    assert.ok(!uname && !gname, name);
  }
  // RFC 1952, section 2.3: bytes 4 to 7 are the time; bit 3 of byte 3 says that there is a name.
  assert.deepEqual([...made.subarray(3, 8)], [0, 0, 0, 0, 0]);
});

test("no path of the machine is in what is built", async () => {
  const traces = [root, homedir(), "node_modules", ".cargo/", "/rustlib/", "/rustc/", "src/lib.rs", "registry/src"];
  for (const { header, data } of await unpackTar(gunzipSync(made))) {
    if (!header.name.includes("/build/") && !header.name.includes("/www/")) continue;
    for (const trace of traces.filter((trace) => trace.length > 5)) {
      const at = Buffer.from(data).indexOf(trace);
      assert.ok(at < 0, `${header.name} has ${trace} at ${at}: ${JSON.stringify(Buffer.from(data).toString("latin1", at - 40, at + 60))}`);
    }
  }
});

test("wrangler deploys what is in the archive, and builds nothing", () => {
  const archived = path.join(folder, "warifu.tar.gz");
  writeFileSync(archived, made);
  execFileSync("tar", ["-xzf", archived, "-C", folder]);
  const unpacked = path.join(folder, `warifu-${number}`);
  assert.match(readFileSync(path.join(unpacked, "wrangler.toml"), "utf8"), /^invocation_logs = false$/m, "no request is written down");
  const wrangler = path.join(root, "node_modules/wrangler/bin/wrangler.js");
  const said = execFileSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", path.join(folder, "bundled")], {
    cwd: unpacked,
    encoding: "utf8",
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", WRANGLER_LOG_PATH: path.join(folder, "logs") },
  });
  assert.match(said, /env\.SESSIONS \(SessionObject\)/);
  assert.doesNotMatch(said, /custom build/i);
  const bundled = execFileSync("find", [path.join(folder, "bundled"), "-name", "*.wasm"], { encoding: "utf8" }).trim();
  assert.ok(readFileSync(bundled).equals(readFileSync(path.join(root, "build/index_bg.wasm"))));
});

test("what lies about in www/ gets into no archive unseen", async () => {
  const copy = copied("stray");
  writeFileSync(path.join(copy, "www/console/notes.txt"), "buy milk");
  await assert.rejects(archive(copy, number, SECONDS), /www\/ has files that are no part of the pages: www\/console\/notes.txt$/);
});

test("a wrangler.toml that still tells to build is refused", async () => {
  const copy = copied("building");
  changed(copy, "wrangler.toml", (text) => text.replace("[build]", "[build] # as ever"));
  await assert.rejects(archive(copy, number, SECONDS), /wrangler.toml has 0 tables \[build\]/);
});

test("versions that do not agree are refused, and it is said which", () => {
  const copy = copied("versions");
  assert.equal(version(copy), number);
  const bumped = (text) => text.replaceAll(`"${number}"`, '"9.9.9"');
  const sections = (text) => text.replace(`## [${number}]`, "## [9.9.9]");
  for (const [file, change] of [["Cargo.lock", bumped], ["package.json", bumped], ["package-lock.json", bumped], ["CHANGELOG.md", sections]]) {
    const one = copied(`versions-${file}`);
    changed(one, file, change);
    const other = file === "Cargo.lock" || file.endsWith(".json") || file === "CHANGELOG.md" ? file : "";
    assert.throws(() => version(one), { message: `the version does not agree: Cargo.toml ${number}, ${other} 9.9.9` });
  }
  changed(copy, "CHANGELOG.md", (text) => text.replaceAll(/^## \[\d.*$/gm, "## [Unreleased]"));
  assert.throws(() => version(copy), { message: `the version does not agree: Cargo.toml ${number}, CHANGELOG.md names none` });
});

test("a tree with changes is refused, and a commit with another version's tag", () => {
  const copy = copied("tree");
  const git = (...args) => execFileSync("git", ["-C", copy, "-c", "user.name=a", "-c", "user.email=a@example.com", ...args], { encoding: "utf8" });
  git("init", "--quiet");
  git("add", ".");
  git("commit", "--quiet", "--message", "all");
  refuseOther(copy, number);
  writeFileSync(path.join(copy, "left-over"), "");
  assert.throws(() => refuseOther(copy, number), /differs from it:\n\?\? left-over$/);
  rmSync(path.join(copy, "left-over"));
  git("tag", "v9.9.9");
  assert.throws(() => refuseOther(copy, number), { message: `this commit is tagged v9.9.9, and its version is ${number}` });
  git("tag", `v${number}`);
  refuseOther(copy, number);
  assert.equal(committed(copy), Number(git("log", "-1", "--format=%ct")));
});

test("a bill of materials says nothing of the run that made it, and of where that was", () => {
  const made = (serialNumber, timestamp, name, folder) => {
    const ref = `path+file://${folder.replaceAll(" ", "%20")}#warifu@${number}`;
    return repeatable({ bomFormat: "CycloneDX", serialNumber, metadata: { timestamp, component: { "bom-ref": ref, name } }, dependencies: [{ ref }] }, folder, SECONDS);
  };
  const one = made("urn:uuid:1", "2026-01-01T00:00:00Z", "warifu", "/home/alice/warifu");
  assert.equal(one, made("urn:uuid:2", "2026-06-01T00:00:00Z", "clone", "/srv/a longer path/of another/clone"));
  assert.deepEqual(JSON.parse(one).metadata, { timestamp: "2025-06-15T15:06:40.000Z", component: { "bom-ref": `warifu@${number}`, name: "warifu" } });
});

test("of two that differ, the first file and the place in it are named", async () => {
  const files = (entries) => new Map(Object.entries(entries).map(([name, text]) => [name, Buffer.from(text)]));
  const packed = async (mode, text) => {
    const entries = [["a", "the same"], ["b", text]].map(([name, body]) => ({
      header: { name, size: body.length, mode, mtime: new Date(0) },
      body,
    }));
    return files({ "x.tar.gz": gzipSync(await packTar(entries), { mtime: 0 }) });
  };
  assert.equal(await difference(files({ a: "1", b: "2" }), files({ a: "1", b: "2" })), undefined);
  assert.equal(await difference(files({ a: "1", b: "2", c: "3" }), files({ a: "1", b: "4" })), 'b differs from byte 0 on: "2", "4"');
  assert.equal(await difference(files({ a: "abc" }), files({ a: "abcd" })), 'a differs from byte 3 on: "abc", "abcd"');
  assert.equal(await difference(files({ a: "1" }), files({ a: "1", z: "" })), "z is only in the second");
  assert.equal(
    await difference(await packed(0o644, "built in /home/alice"), await packed(0o644, "built in /srv/b")),
    'x.tar.gz: b differs from byte 10 on: "built in /home/alice", "built in /srv/b"',
  );
  assert.equal(await difference(await packed(0o644, "same"), await packed(0o600, "same")), "x.tar.gz: a: mode 420, 384");
});
