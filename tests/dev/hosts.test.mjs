// `make dev` with the configuration of a gateway that is deployed: its hosts and routes are not of this machine.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";

import { dev, folder, ports, root, send } from "./support.mjs";

let origin, table;
before(async () => {
  origin = http.createServer((request, response) => response.end(`${request.headers["x-forwarded-host"]}${request.url}`));
  await once(origin.listen(0, "127.0.0.1"), "listening");
  table = `[vars.WARIFU]\norigin = "http://127.0.0.1:${origin.address().port}"\nroutes = [{ path = "/*", access = "public" }]\n`;
});
after(() => origin.close());

async function withConfig(text, test) {
  const file = path.join(folder, "deployed.toml");
  writeFileSync(file, text);
  const running = dev({ CONFIG: file });
  try {
    await running.ready;
    await test(running);
  } finally {
    await running.stop();
  }
}

test("a gateway that has hosts is reached by this machine's names too", async () => {
  await withConfig(`${table}hosts = ["app.example"]\n`, async () => {
    const here = ["127.0.0.1", "[::1]", "localhost"].map((name) => `${name}:${ports.PORT}`);
    for (const host of [...here, "app.example"]) {
      const { status, text } = await send("/x", { headers: { host } });
      assert.deepEqual({ status, text }, { status: 200, text: `${host}/x` });
    }
    assert.equal((await send("/", { headers: { host: "other.example" } })).status, 421);
  });
});

test("of several sites each has a name on this machine, and it is said which", async () => {
  const sites = '[[vars.WARIFU.sites]]\nsite = "Shop_1"\nhosts = ["shop.example", "www.shop.example"]\n[[vars.WARIFU.sites]]\nsite = "news"\nhosts = ["news.example"]\norigin = "http://127.0.0.1:9"\n';
  await withConfig(table + sites, async (running) => {
    const [shop, news] = ["shop-1", "news"].map((name) => `${name}.localhost:${ports.PORT}`);
    for (const host of [shop, news]) assert.ok(running.output().includes(`http://${host}/`), "it says where");
    assert.equal((await send("/x", { headers: { host: shop } })).text, `${shop}/x`);
    assert.equal((await send("/x", { headers: { host: news } })).status, 502, "its own origin, where nobody is");
    assert.match(running.output(), /Shop_1: .* curl -H 'Host: www\.shop\.example' http:\/\/127\.0\.0\.1:\d+\/$/m);
    assert.equal((await send("/x", { headers: { host: "www.shop.example" } })).text, "www.shop.example/x");
    assert.equal((await send("/x")).status, 421, "nobody's");
    assert.match(running.output(), /^browsers .*Safari takes no Secure cookie over http/m);
  });
});

// A checkout with everything that is built here, as a person has it after the first deployment.
test("the project's routes are not taken for this machine's", async () => {
  const checkout = path.join(folder, "checkout");
  const tracked = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" });
  for (const file of [...tracked.split("\0"), ".dev.vars", ".warifu/dev-admin-key", `.warifu/named/build.wasm`, "build"]) {
    if (file !== "" && existsSync(path.join(root, file))) cpSync(path.join(root, file), path.join(checkout, file), { recursive: true, preserveTimestamps: true });
  }
  mkdirSync(path.join(checkout, ".warifu"), { recursive: true });
  execFileSync("sh", ["-c", 'cp -al node_modules "$1" 2>/dev/null || cp -a node_modules "$1"', "sh", checkout], { cwd: root });
  const file = path.join(checkout, "wrangler.toml");
  writeFileSync(file, `workers_dev = false\npreview_urls = false\nroutes = [{ pattern = "app.example", custom_domain = true }]\n${readFileSync(file, "utf8")}`);
  const running = dev({}, checkout);
  try {
    await running.ready;
    const page = await send("/_warifu/console/", { headers: { host: `localhost:${ports.PORT}` } });
    assert.equal(page.status, 200, "the operators' host is what it is without routes");
    assert.equal((await send("/_warifu/console/", { headers: { host: "app.example" } })).status, 421);
  } finally {
    await running.stop();
  }
});
