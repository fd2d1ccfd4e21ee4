// Several sites in one Worker: each has its own origin, routes, cookie, sessions and
// feed, and nothing of one is worth anything at another.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, test } from "node:test";

import { events, newAdminKey, start, told, until } from "./support/gateway.mjs";

const admin = newAdminKey();
const login = { path: "/login", access: "optional", commands: true };
const SITES = {
  shop: { host: "shop.test", cookie: "__Host-shop" },
  news: { host: "news.test", cookie: "__Host-news" },
};
let gateway;
const origins = {};

before(async () => {
  for (const name of Object.keys(SITES)) origins[name] = await startOrigin(name);
  gateway = await start({
    origin: origins.shop.url,
    adminKeys: [admin],
    warifu: {
      ...{ origin: undefined, site: undefined, hosts: undefined, admin_host: undefined },
      routes: [login, { path: "/open", access: "public" }],
      bound: "2s",
      sites: Object.entries(SITES).map(([site, { host, cookie }]) => ({
        site,
        hosts: [host],
        origin: origins[site].url,
        cookie: { name: cookie },
        ...(site === "news" ? { routes: [login] } : {}),
      })),
    },
  });
});

after(async () => {
  await gateway?.close();
  for (const origin of Object.values(origins)) origin.close();
});

// Answers with its name and what it was told; starts a session at /login.
async function startOrigin(name) {
  const server = createServer((request, response) => {
    const subject = request.headers["warifu-subject"] ?? null;
    if (request.url === "/login") response.setHeader("warifu-command", 'do=start, sub="alice"');
    response.setHeader("content-type", "application/json").end(JSON.stringify({ name, subject, cookie: request.headers.cookie ?? "" }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const visit = (site, path, headers = {}) =>
  gateway.fetch(path, { headers: { host: SITES[site].host, "sec-fetch-site": "same-origin", accept: "application/json", ...headers } });

async function logIn(site) {
  const answer = await visit(site, "/login");
  const pair = answer.headers.getSetCookie().map((value) => value.split(";")[0]).findLast((value) => value.startsWith(SITES[site].cookie));
  assert.ok(pair, `${site}: ${answer.status} ${await answer.text()}`);
  return pair;
}

const call = (site, method, path, body) =>
  gateway.fetch(`/_warifu${path}`, {
    method,
    body: body && JSON.stringify(body),
    headers: { host: SITES[site].host, authorization: `Bearer ${admin.key}`, "content-type": "application/json" },
  });

test("a host leads to its own origin, with its own routes and cookie", async () => {
  for (const site of Object.keys(SITES)) {
    const answer = await visit(site, "/account", { cookie: await logIn(site) });
    assert.deepEqual(await answer.json(), { name: site, subject: "alice", cookie: "" });
  }
  assert.equal((await visit("shop", "/open")).status, 200);
  assert.equal((await visit("news", "/open")).status, 401, "that route is not one of this site's");
});

test("a host of none of them is refused, our own API too", async () => {
  for (const path of ["/open", "/account", "/_warifu/health"]) {
    const answer = await gateway.fetch(path, { headers: { host: "else.test", accept: "application/json" } });
    assert.equal(answer.status, 421, path);
    assert.equal((await answer.json()).code, "misdirected");
  }
});

test("a token of one is none at another, under either name", async () => {
  const token = (await logIn("shop")).split("=")[1];
  for (const name of Object.values(SITES).map(({ cookie }) => cookie)) {
    const answer = await visit("news", "/account", { cookie: `${name}=${token}` });
    assert.equal(answer.status, 401, name);
  }
});

test("the same name is another person, and an end of one leaves the other", async () => {
  const [shop, news] = [await logIn("shop"), await logIn("news")];
  const of = async (site) => (await (await call(site, "GET", "/sessions?subject=alice")).json()).sessions.map(({ id }) => id);
  const both = [...(await of("shop")), ...(await of("news"))];
  assert.equal(new Set(both).size, both.length);
  const receipt = await (await call("shop", "DELETE", "/sessions?subject=alice&wait=quiesced")).json();
  assert.equal(receipt.state, "quiesced");
  assert.equal((await visit("shop", "/account", { cookie: shop })).status, 401);
  assert.equal((await visit("news", "/account", { cookie: news })).status, 200);
  assert.deepEqual(await of("shop"), []);
});

test("everything of one site can be ended, and the other knows nothing of it", async () => {
  const [shop, news] = [await logIn("shop"), await logIn("news")];
  const wrong = await call("news", "DELETE", "/sessions", { confirm: "shop" });
  assert.equal(wrong.status, 400, "the site that is asked is the one that is ended");
  const ended = await call("news", "DELETE", "/sessions", { confirm: "news" });
  assert.ok([200, 202].includes(ended.status), await ended.clone().text());
  const { kill_id } = await ended.json();
  await until(async () => (await visit("news", "/account", { cookie: news })).status === 401, "the end of the site");
  assert.equal((await visit("shop", "/account", { cookie: shop })).status, 200);
  assert.equal((await call("news", "GET", `/revocations/${kill_id}`)).status, 200);
  assert.equal((await call("shop", "GET", `/revocations/${kill_id}`)).status, 404, "a receipt of another site's feed");
});

test("each line of the log says of which site it is, also what an object says by itself", async () => {
  const cookies = { shop: await logIn("shop"), news: await logIn("news") };
  for (const site of Object.keys(SITES)) {
    const ended = await call(site, "DELETE", "/sessions?subject=alice");
    assert.equal(ended.status, 200, await ended.clone().text());
    await told(gateway, { event: "sessions_ended", subject: "alice", site });
  }
  const panics = await gateway.fetch("/_warifu/test/panics/feed-object/1", { headers: { host: SITES.news.host } });
  assert.equal(panics.status, 204);
  // The feed's object has to be asked.
  await call("news", "DELETE", "/sessions", { confirm: "news" });
  await told(gateway, { event: "panicked", place: "feed object", site: "news" });
  assert.ok(cookies.shop && events(gateway).every(({ site }) => site in SITES), "none of them is of no site");
});
