// What the Worker and the pages are made of, as CycloneDX: the crates that are compiled into the
// wasm by cargo-cyclonedx, the packages that the pages are served with by npm.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

// What scripts/build copies into the pages. Not `dependencies` of package.json: wasm-bindgen takes those
// for the Worker's.
const OF_PAGES = new Set(["uplot"]);

const CRATES = "warifu.cdx"; // cargo-cyclonedx writes beside Cargo.toml, and adds .json

/** Names of files and their texts. `seconds` is the time that they bear. */
export function sboms(root, version, seconds) {
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(seconds) };
  const run = (command, ...args) => execFileSync(command, args, { cwd: root, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const made = path.join(root, `${CRATES}.json`);
  try {
    run(
      "cargo-cyclonedx", "cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", "wasm32-unknown-unknown",
      "--no-build-deps", "--override-filename", CRATES,
    );
    const crates = JSON.parse(readFileSync(made, "utf8"));
    const pages = JSON.parse(run("npm", "sbom", "--sbom-format", "cyclonedx", "--omit", "optional", "--package-lock-only"));
    return new Map([
      [`warifu-${version}-crates.cdx.json`, repeatable(crates, root, seconds)],
      [`warifu-${version}-pages.cdx.json`, repeatable(only(pages, OF_PAGES), root, seconds)],
    ]);
  } finally {
    rmSync(made, { force: true });
  }
}

/** The document with these components only. */
export function only(document, names) {
  const components = document.components.filter(({ name }) => names.has(name));
  if (components.length !== names.size) throw new Error(`of ${[...names]} npm knows ${components.map(({ name }) => name)} only`);
  const refs = components.map((component) => component["bom-ref"]);
  const own = document.metadata.component["bom-ref"];
  const dependencies = [{ ref: own, dependsOn: refs }, ...document.dependencies.filter(({ ref }) => refs.includes(ref))];
  return { ...document, components, dependencies };
}

/** The document without what is of this run and this machine only. */
export function repeatable(document, root, seconds) {
  // Both tools number their documents at random; npm takes the time, and calls a package by its folder.
  const { serialNumber, ...kept } = document;
  const timestamp = new Date(seconds * 1000).toISOString();
  const metadata = { ...document.metadata, timestamp, component: { ...document.metadata.component, name: "warifu" } };
  const text = JSON.stringify({ ...kept, metadata }, null, 2);
  // cargo names a package of the tree by where it lies.
  return `${text.replaceAll(`path+${pathToFileURL(root).href.replace(/\/$/, "")}#`, "")}\n`;
}
