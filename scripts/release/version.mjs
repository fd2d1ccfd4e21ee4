// The version of a release: it is written in several places, and they have to agree.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

import { parse } from "smol-toml";

import { Failure } from "../dev/failure.mjs";

// The newest section of the changelog that has a number (https://keepachangelog.com/en/1.1.0/).
const SECTION = /^## \[(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)\] - \d{4}-\d{2}-\d{2}$/m;

/** The version of the tree at `root`, or a failure that says who says what. */
export function version(root) {
  const read = (file) => readFileSync(path.join(root, file), "utf8");
  const lock = parse(read("Cargo.lock")).package.find(({ name, source }) => name === "warifu" && !source);
  const said = {
    "Cargo.toml": parse(read("Cargo.toml")).package.version,
    "Cargo.lock": lock?.version,
    "package.json": JSON.parse(read("package.json")).version,
    "package-lock.json": JSON.parse(read("package-lock.json")).version,
    "CHANGELOG.md": SECTION.exec(read("CHANGELOG.md"))?.[1],
  };
  const wanted = said["Cargo.toml"];
  const others = Object.entries(said).filter(([, version]) => version !== wanted);
  if (others.length > 0) {
    const list = others.map(([file, version]) => `${file} ${version ?? "names none"}`).join(", ");
    throw new Failure(`the version does not agree: Cargo.toml ${wanted}, ${list}`);
  }
  return wanted;
}

/** Refuses what is not as it was committed, and a commit that is tagged as another version. */
export function refuseOther(root, version) {
  const git = (...args) => execFileSync("git", ["-C", root, ...args], { encoding: "utf8" });
  const changes = git("status", "--porcelain").trimEnd();
  if (changes) throw new Failure(`a release is of a commit, and this tree differs from it:\n${changes}`);
  const tags = git("tag", "--points-at", "HEAD", "--list", "v[0-9]*").split("\n").filter(Boolean);
  if (tags.length > 0 && !tags.includes(`v${version}`)) {
    throw new Failure(`this commit is tagged ${tags.join(", ")}, and its version is ${version}`);
  }
}

/** When the commit was made, in seconds: the one time that a release knows. */
export function committed(root) {
  const said = process.env.SOURCE_DATE_EPOCH || execFileSync("git", ["-C", root, "log", "-1", "--format=%ct"], { encoding: "utf8" });
  const seconds = Number(said);
  if (!Number.isSafeInteger(seconds) || seconds < 0) throw new Failure(`SOURCE_DATE_EPOCH must be seconds since 1970, not '${said.trim()}'`);
  return seconds;
}
