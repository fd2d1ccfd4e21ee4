// What is deployed, as one archive: the same bytes from the same files, wherever and whenever it is
// made. Nothing of the file system gets in but names and contents.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";

import { gzipSync } from "fflate";
import { packTar } from "modern-tar";

import { Failure } from "../dev/failure.mjs";

const FILES = ["CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT", "build/index.js", "build/index_bg.wasm"];

// Pages; what is not known here is left lying about and has no business in a release.
const SERVED = /\.(?:css|html|js|svg)$|\/LICENSE$/;

// wrangler.toml tells wrangler to build, which is done here.
const BUILD = /^\[build\]\n(?:[a-z_]+ = .*\n)+\n/gm;

/** `warifu-VERSION.tar.gz` of the tree at `root`; `seconds` is the time of all that is in it. */
export async function archive(root, version, seconds) {
  const pages = readdirSync(path.join(root, "www"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"));
  const unknown = pages.filter((name) => !SERVED.test(name));
  if (unknown.length > 0) throw new Failure(`www/ has files that are no part of the pages: ${unknown.join(", ")}`);

  const contents = new Map([...FILES, ...pages].map((name) => [name, readFileSync(path.join(root, name))]));
  contents.set("wrangler.toml", Buffer.from(withoutBuild(readFileSync(path.join(root, "wrangler.toml"), "utf8"))));

  const header = { mode: 0o644, mtime: new Date(seconds * 1000), uid: 0, gid: 0, uname: "", gname: "" };
  const names = [...contents.keys()].sort(); // by code unit, in every locale
  const entries = names.map((name) => {
    const body = contents.get(name);
    return { header: { name: `warifu-${version}/${name}`, type: "file", size: body.length, ...header }, body };
  });
  // Not zlib: what it makes depends on its version and the processor.
  return gzipSync(await packTar(entries), { level: 9, mtime: 0 });
}

function withoutBuild(text) {
  const found = text.match(BUILD) ?? [];
  if (found.length !== 1) throw new Failure(`wrangler.toml has ${found.length} tables [build] with an empty line behind, and not one`);
  return text.replace(BUILD, "");
}
