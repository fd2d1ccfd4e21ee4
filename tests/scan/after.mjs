// The scan for what is no test of Node: node tests/scan/after.mjs FROM… -- IN…
//
// FROM are texts with secrets in them, answers as `curl -i` prints them, jars of cookies, .dev.vars
// and files of keys; IN are files and folders in which none of these secrets may be.
import { readFileSync, statSync } from "node:fs";

import { filesIn, leaksIn } from "./leaks.mjs";
import { Secrets } from "./secrets.mjs";

const [, , ...names] = process.argv;
const middle = names.indexOf("--");
const [from, within] = [names.slice(0, middle), names.slice(middle + 1)];
const secrets = new Secrets();
for (const name of from) {
  const text = readFileSync(name, "latin1");
  for (const [token] of text.matchAll(/(?<![\w-])[\w-]{72}(?![\w-])/g)) secrets.token(token, name);
  for (const [key] of text.matchAll(/(?<![\w-])[\w-]{43}(?![\w-])/g)) secrets.key("key", key, name);
}
if (secrets.size === 0) throw new Error(`no secret in ${from.join(", ")}, so nothing would be found`);
const places = within.flatMap((name) => (statSync(name).isDirectory() ? filesIn(name) : [{ in: "file", name, bytes: readFileSync(name) }]));
const finds = leaksIn(places, secrets);
if (finds.length > 0) throw new Error(finds.join("\n"));
console.log(`${secrets.size} secrets are nowhere in ${places.length} files`);
