// An application of examples/, twice: as it is, and the very same behind the gateway in
// real workerd, with the configuration that stands beside it. Each is a process of its own.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { parse } from "smol-toml";

import { client, newAdminKey, newKeys, root, start } from "../workerd/support/gateway.mjs";

export const PASSWORD = "correct horse battery staple";

// What is run, and not what is said about it.
const IS_CODE = /\.(mjs|js|html|py)$/;

// The files of an application and their hash; the gateway is not mentioned in any.
export function codeOf(example, folder = path.join(root, "examples", example)) {
  const files = readdirSync(folder, { recursive: true })
    .filter((name) => IS_CODE.test(name) && !name.startsWith("node_modules"))
    .sort();
  assert.ok(files.length > 0, folder);
  const hash = createHash("sha256");
  for (const name of files) {
    const text = readFileSync(path.join(folder, name));
    assert.doesNotMatch(text.toString(), /warifu/i, `${example}/${name} knows of the gateway`);
    hash.update(`${name}\0${text.length}\0`).update(text);
  }
  return hash.digest("hex");
}

// The same files in a folder where `jsonwebtoken` is another version of it.
function copyWith(example, library) {
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-article-"));
  cpSync(path.join(root, "examples", example), folder, { recursive: true });
  mkdirSync(path.join(folder, "node_modules"));
  const names = [["express", "express"], ["cookie-parser", "cookie-parser"], ["jsonwebtoken", library]];
  for (const [name, from] of names) {
    symlinkSync(path.join(root, "node_modules", from), path.join(folder, "node_modules", name));
  }
  assert.equal(codeOf(example, folder), codeOf(example), "the very same code");
  return folder;
}

// The command of an application; it listens at PORT, prints where once it does, and signs with JWT_KEY.
async function run(example, env, { library, port = "0" } = {}) {
  const folder = library === undefined ? path.join(root, "examples", example) : copyWith(example, library);
  const child = spawn(process.execPath, [path.join(folder, "server.mjs")], {
    env: { ...process.env, PORT: port, PASSWORD, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const failed = ended.then(([code]) => Promise.reject(new Error(`${example} ended with ${code}`)));
  failed.catch(() => {});
  const [line] = await Promise.race([once(child.stdout, "data"), failed]);
  return {
    url: /http:\S+/.exec(line)[0],
    async stop() {
      child.kill();
      await ended;
      if (library !== undefined) rmSync(folder, { recursive: true });
    },
  };
}

// The application as it is.
export async function plainDoor(example, { key = randomBytes(32).toString("base64url"), library } = {}) {
  const code = codeOf(example);
  let application = await run(example, { JWT_KEY: key }, { library });
  const { url } = application;
  return {
    name: "as it is",
    code,
    url,
    fetch: client(url),
    keys: () => ({ application: key }),
    // All that its operator can do about somebody is to sign with another key.
    async end() {
      await application.stop();
      key = randomBytes(32).toString("base64url");
      application = await run(example, { JWT_KEY: key }, { library, port: new URL(url).port });
    },
    reads: async () => 0,
    close: () => application.stop(),
  };
}

// The same behind the gateway.
export async function guardedDoor(example, { key = randomBytes(32).toString("base64url"), env = {}, library } = {}) {
  const code = codeOf(example);
  const application = await run(example, { JWT_KEY: key, ...env }, { library });
  const ops = newAdminKey();
  const keys = newKeys();
  const table = parse(readFileSync(path.join(root, "examples", example, "warifu.toml"), "utf8")).vars.WARIFU;
  const gateway = await start({ table, origin: application.url, adminKeys: [ops], keys });
  return {
    name: "behind warifu",
    code,
    url: gateway.url,
    fetch: gateway.fetch,
    keys: () => ({ application: key, gateway: JSON.parse(keys)[0], site: table.site }),
    async end(subject) {
      const answer = await gateway.fetch(`/_warifu/sessions?subject=${subject}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${ops.key}` },
      });
      assert.equal(answer.status, 200, await answer.text());
    },
    // How often this isolate has asked objects that hold sessions.
    async reads() {
      return (await (await gateway.fetch("/_warifu/test/store-calls")).json()).store_calls;
    },
    async close() {
      await gateway.close();
      await application.stop();
    },
  };
}
