// The pages' files from the binding ASSETS in real workerd: what is served, what is not, and that
// they are never served in the place of the application's own.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { start } from "./support/gateway.mjs";

const ADMIN_HOST = "admin.test";
let gateway;
before(async () => {
  gateway = await start({ warifu: { admin_host: ADMIN_HOST } });
});
after(() => gateway?.close());

const ops = (path, headers = {}) => gateway.fetch(path, { headers: { host: ADMIN_HOST, ...headers } });

test("the console and all that it loads are served, and kept while they are the same", async () => {
  const page = await ops("/_warifu/console/");
  assert.equal(page.status, 200);
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  assert.equal(page.headers.get("cache-control"), "no-store");
  const policy = page.headers.get("content-security-policy");
  assert.match(policy, /script-src http:\/\/admin\.test\/_warifu\/;/);
  const html = await page.text();
  assert.ok(!/<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=/.test(html), "nothing inline");
  // Whatever is named in the page and in its modules, from one to the next.
  const left = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, where]) => new URL(where, "http://x/_warifu/console/").pathname);
  const seen = new Set();
  while (left.length > 0) {
    const path = left.pop();
    if (seen.has(path)) continue;
    seen.add(path);
    const file = await ops(path);
    assert.equal(file.status, 200, path);
    assert.equal(file.headers.get("x-content-type-options"), "nosniff");
    assert.equal(file.headers.get("cache-control"), "no-cache");
    const again = await ops(path, { "if-none-match": file.headers.get("etag") });
    assert.equal(again.status, 304, path);
    const text = await file.text();
    if (!path.endsWith(".js")) continue;
    for (const [, where] of text.matchAll(/^import [^"]*"([^"]+)";$/gm)) left.push(new URL(where, `http://x${path}`).pathname);
  }
  assert.ok(seen.size > 20, [...seen].join());
  assert.ok([...seen].some((path) => path.includes("vendor")));
});

test("a folder without its slash leads to the page, and on the wrong host there is none", async () => {
  const bare = await ops("/_warifu/console");
  assert.deepEqual([bare.status, bare.headers.get("location")], [308, "/_warifu/console/"]);
  for (const path of ["/_warifu/console/", "/_warifu/console/main.js", "/_warifu/console"]) {
    assert.equal((await gateway.fetch(path)).status, 404, path);
  }
  assert.equal((await ops("/_warifu/account/")).status, 404);
  const { cookie } = await gateway.logIn();
  assert.equal((await gateway.fetch("/_warifu/account/", { headers: { cookie } })).status, 200);
});

test("the files are nowhere else, and nothing but the pages is among them", async () => {
  // These are the application's own paths: it is asked, and does not have them.
  for (const path of ["/console/", "/console/index.html", "/shared/dom.js", "/account/main.js"]) {
    const answer = await gateway.fetch(path, { headers: { accept: "application/json" } });
    assert.equal(answer.status, 401, `${path}: protected, as what no route names`);
  }
  for (const path of ["shared/vendor/LICENSE", "shared/none.js", "shared/", "shared/text/", "console/..%2fshared/dom.js"]) {
    assert.ok([400, 404].includes((await ops(`/_warifu/${path}`)).status), path);
  }
});

test("without the binding there are no pages, and the rest goes on", async () => {
  const bare = await start({ assets: false, warifu: { admin_host: ADMIN_HOST } });
  try {
    assert.equal((await bare.fetch("/_warifu/console/", { headers: { host: ADMIN_HOST } })).status, 404);
    const { cookie } = await bare.logIn();
    assert.equal((await bare.fetch("/_warifu/account/", { headers: { cookie } })).status, 404);
    assert.equal((await bare.fetch("/account", { headers: { cookie } })).status, 200);
  } finally {
    await bare.close();
  }
});
