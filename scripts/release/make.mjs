// Makes release/ of the tree that it is in, which scripts/release/run has built:
//
//   warifu-VERSION.tar.gz          what is deployed
//   warifu-VERSION-*.cdx.json      what is in it, as CycloneDX
//   SHA256SUMS                     of these, as `sha256sum --check` reads it
//
//   node scripts/release/make.mjs --check    only says whether a release can be made
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Failure } from "../dev/failure.mjs";
import { archive } from "./archive.mjs";
import { sboms } from "./sbom.mjs";
import { committed, refuseOther, version } from "./version.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

try {
  const number = version(root);
  refuseOther(root, number);
  if (!process.argv.includes("--check")) {
    const seconds = committed(root);
    const made = sboms(root, number, seconds);
    made.set(`warifu-${number}.tar.gz`, await archive(root, number, seconds));
    const sums = [...made.keys()].sort().map((name) => `${createHash("sha256").update(made.get(name)).digest("hex")}  ${name}\n`);
    made.set("SHA256SUMS", sums.join(""));
    // What an earlier commit had is not left beside it.
    const folder = path.join(root, "release");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    for (const [name, body] of made) writeFileSync(path.join(folder, name), body);
    process.stdout.write(`release/ has warifu ${number}:\n${sums.join("")}`);
  }
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`warifu: ${error.message}`);
  process.exitCode = 1;
}
