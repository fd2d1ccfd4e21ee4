// The table of docs/article.md: what has happened, as the scenarios have seen it.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { root } from "../workerd/support/gateway.mjs";

const FILE = path.join(root, "docs/article.md");
const BEGIN = "<!-- From here on `make article` has written what it saw. -->\n";
const END = "<!-- Until here. -->\n";

export function table(rows, hashes) {
  const cell = ({ holds, saw }) => `${holds ? "**holds**" : "**fails**"}: ${saw}`;
  return [
    "",
    "| | the application as it is | the same, behind warifu |",
    "|---|---|---|",
    ...rows.map(({ name, plain, guarded }) => `| ${name} | ${cell(plain)} | ${cell(guarded)} |`),
    "",
    "The code that ran on both sides (SHA-256 of its files):",
    "",
    ...Object.entries(hashes).map(([example, hash]) => `- \`examples/${example}\`: \`${hash}\``),
    "",
    "",
  ].join("\n");
}

// What the document has between the marks, or undefined.
export function written() {
  const text = readFileSync(FILE, "utf8");
  return text.split(BEGIN)[1]?.split(END)[0];
}

export function write(made) {
  const text = readFileSync(FILE, "utf8");
  const [before, after] = [text.split(BEGIN)[0], text.split(END)[1]];
  writeFileSync(FILE, `${before}${BEGIN}${made}${END}${after}`);
}
