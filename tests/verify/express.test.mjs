import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { test } from "node:test";

import { root, sessionCookie, start } from "../workerd/support/gateway.mjs";
import { RING, startOrigin, verifies } from "./support.mjs";

const how = { command: process.execPath, args: () => ["app.mjs"], missing: "there is no Node" };

verifies("express", how);

// Between the gateway and the application: it may change the answer's headers.
async function startMeddler(port) {
  const meddler = { change: (headers) => headers };
  const server = http.createServer((request, answer) => {
    const { method, url, headers } = request;
    const sent = http.request({ host: "127.0.0.1", port, method, path: url, headers, agent: false }, (from) => {
      from.pipe(answer.writeHead(from.statusCode, meddler.change(from.headers)));
    });
    request.pipe(sent);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(meddler, { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() });
}

test("the command that it signs is obeyed, and one that was changed, added or recorded is not", async (t) => {
  const origin = await startOrigin({ folder: "express", ...how });
  t.after(() => origin.stop());
  const meddler = await startMeddler(origin.port);
  t.after(() => meddler.close());
  const warifu = { routes: [{ path: "/login", access: "optional", commands: true }], require_signed_commands: true };
  const gateway = await start({ origin: meddler.url, originKeys: RING, warifu });
  t.after(() => gateway.close());
  const logIn = async (query = "") => {
    const answer = await gateway.fetch(`/login${query}`, { method: "POST", headers: { "sec-fetch-site": "same-origin" } });
    assert.deepEqual([answer.status, answer.headers.get("location")], [303, "/account"]);
    for (const name of ["warifu-command", "signature", "signature-input"]) assert.equal(answer.headers.get(name), null);
    return sessionCookie(answer);
  };
  for (const query of ["", "?", "?return_to=/a%20b&x='", "??"]) {
    const cookie = await logIn(query);
    const account = await gateway.fetch("/account", { headers: { cookie } });
    assert.deepEqual([account.status, (await account.json()).subject], [200, "42"], query);
  }
  const OURS = ["warifu-command", "signature", "signature-input"];
  let recorded;
  for (const [what, change] of [
    ["changed", (headers) => ({ ...headers, "warifu-command": 'do=start, sub="43"' })],
    ["added", (headers) => ({ ...headers, "warifu-command": [headers["warifu-command"], 'do=start, sub="43"'] })],
    ["unsigned", ({ signature, ...headers }) => headers],
    ["recorded", (headers) => ({ ...headers, ...recorded })],
  ]) {
    if (what === "recorded") {
      meddler.change = (headers) => {
        recorded = Object.fromEntries(OURS.map((name) => [name, headers[name]]));
        return headers;
      };
      assert.ok(await logIn());
    }
    meddler.change = change;
    assert.equal(await logIn(), undefined, what);
  }
});

test("the packages that the example names are those that it was tested with", () => {
  const { dependencies } = JSON.parse(readFileSync(path.join(root, "examples/verify/express/package.json"), "utf8"));
  for (const [name, version] of Object.entries(dependencies)) {
    const installed = JSON.parse(readFileSync(path.join(root, "node_modules", name, "package.json"), "utf8"));
    assert.equal(installed.version, version, name);
  }
});
