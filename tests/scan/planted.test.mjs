// The scan finds what it looks for: in real gateways, each token is carried to one place where it
// must not be, by what the product and the application do with what they are given.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";

import { startBare } from "../workerd/support/bare.mjs";
import { startEdges } from "../workerd/support/edges.mjs";
import { newAdminKey, newKeys, start } from "../workerd/support/gateway.mjs";

const ops = newAdminKey();
const originKeys = newKeys();
const admin = { authorization: `Bearer ${ops.key}` };
const mark = (secret) => createHash("sha256").update(secret).digest("hex").slice(0, 8);
const HELD = "held-0123456789-held-0123456789";

// An application that says what it is told to: its reason, a header, its body.
let origin;
before(async () => {
  origin = http.createServer((request, response) => {
    const asked = new URL(request.url, "http://origin").searchParams;
    const said = (name) => Buffer.from(asked.get(name) ?? "", "hex");
    response.statusMessage = said("reason").toString("latin1") || "OK";
    response.setHeader("x-said", said("header").toString("latin1"));
    if (asked.has("held")) response.setHeader("set-cookie", `held=${HELD}`);
    response.end(said("body"));
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
});
after(() => {
  origin?.closeAllConnections();
  origin?.close();
});

const url = () => `http://127.0.0.1:${origin.address().port}`;
// In a query in hexadecimal, of which every second character is left out of the request that is
// looked at: the application alone puts it together again.
const telling = (what, text) => `/say?${what}=${Buffer.from(text, "latin1").toString("hex")}`;

function minting(fetch) {
  return async (session = { subject: "somebody" }) => {
    const answer = await fetch("/_warifu/sessions", { method: "POST", headers: admin, body: JSON.stringify(session) });
    assert.equal(answer.status, 201);
    return answer.json();
  };
}

// Closes it: what is found, a list of texts. None of them shows a part of a secret.
async function findsOf(gateway, secrets) {
  const error = await gateway.close().then(() => undefined, (error) => error);
  for (const secret of secrets) {
    for (let at = 0; at + 12 <= secret.length; at += 4) assert.ok(!error?.message.includes(secret.slice(at, at + 12)), "the secret itself is shown");
  }
  return error?.finds ?? [];
}

const about = (finds, secret) => finds.filter((find) => find.includes(mark(secret)));
const isFound = (finds, secret, ...wanted) => {
  for (const what of wanted) assert.ok(about(finds, secret).some((find) => what.test(find)), `${what} among ${JSON.stringify(about(finds, secret), null, 2)}`);
};

test("a token is found wherever it must not be, and where it must be it is none", async () => {
  const gateway = await start({
    ...{ origin: url(), originKeys, adminKeys: [ops] },
    warifu: { replica: "always", map: [{ generation: 1, shards: 2, region: "weur" }], custody: { cookies: ["held"] }, routes: [] },
  });
  const mint = minting(gateway.fetch);
  const tokens = await Promise.all(Array.from({ length: 9 }, () => mint().then(({ token }) => token)));
  const [quiet, reason, header, body, cut, smuggled, logged, stored, gone] = tokens;
  const { cookie } = { cookie: `__Host-Http-warifu=${quiet}` };
  const get = (where, headers = {}) => gateway.fetch(where, { headers: { cookie, ...headers } }).then((answer) => answer.text());

  await get(telling("reason", reason));
  await get(telling("header", `before ${header}`));
  await get(telling("body", Buffer.from(body, "base64url").toString("base64")));
  await get(telling("body", `{"part":"${cut.slice(0, 34)}"}`));
  await get("/", { "x-smuggled": smuggled });
  await get("/", { "x-key": ops.key });
  await mint({ subject: logged });
  const { set_cookie: claiming } = await mint({ subject: "claims", claims: { note: stored } });
  await get("/", { cookie: claiming.split(";")[0] });
  await gateway.fetch(telling("body", gone), { method: "HEAD", headers: { cookie } });
  await gateway.raw(`GET ${telling("body", gone)} HTTP/1.1\nHost: a.test\nCookie: ${cookie}\nConnection: close\n\n`);

  const finds = await findsOf(gateway, [...tokens, ops.key]);
  assert.deepEqual(about(finds, quiet), []);
  isFound(finds, reason, /, in the answer to GET \/say, head, first line,/);
  isFound(finds, header, /, in the answer to GET \/say, head, x-said, at byte \d+, after "x-said: before "/);
  isFound(finds, body, /, in base64, in the answer to GET \/say, body,/);
  isFound(finds, cut, /: the first half of the secret, in base64(url)?, in the answer to GET \/say, body, at byte \d+, after "\{\\"part\\":\\""/);
  isFound(finds, smuggled, /, in the application's GET \/, head, x-smuggled,/);
  isFound(finds, ops.key, /^admin key .*, in the application's GET \/, head, x-key,/);
  isFound(finds, logged, /, in the log,/);
  isFound(finds, stored, /, in the file v3\/do\/.*\.sqlite(-wal)?,/, /, in the file v3\/kv\/.*\/blobs\//, /head, warifu-claims,/);
  isFound(finds, gone, /, in the answer to GET \/say, body,/);
});

test("a clean run is clean, also where custody gives the application its own", async () => {
  const gateway = await startBare({
    warifu: { origin: url(), custody: { cookies: ["held"] }, routes: [{ path: "/login", access: "optional", commands: true }] },
    adminKeys: [ops],
  });
  const mint = minting(gateway.fetch);
  await mint();
  assert.deepEqual(await findsOf(gateway, []), []);
});

test("the gateway with nothing in front of it is looked at too", async () => {
  const gateway = await startBare({ warifu: { origin: url() }, adminKeys: [ops] });
  const { token } = await minting(gateway.fetch)();
  await gateway.raw(`GET / HTTP/1.1\nHost: a.test\nCookie: __Host-Http-warifu=${token}\nX-Smuggled: ${token}\nConnection: close\n\n`);
  isFound(await findsOf(gateway, [token]), token, /the application's GET \/, head, x-smuggled/);
});

test("and so are the edges of a site, what they send to each other, and their data points", async () => {
  const site = await startEdges({ edges: [{ name: "here" }], build: "build-test" });
  const [edge] = site.edges;
  const [told, smuggled] = [await edge.mint({ subject: "told" }), await edge.mint({ subject: "smuggled" })];
  const token = ({ cookie }) => cookie.split("=")[1];
  await edge.mint({ subject: token(told) });
  await edge.send("GET", "/", { headers: { cookie: smuggled.cookie, "x-smuggled": token(smuggled) } });
  const finds = await findsOf(site, [told, smuggled].map(token));
  isFound(finds, token(told), /, in the messages of here,/, /, in the data points,/, /, in the log,/);
  isFound(finds, token(smuggled), /, in the answer to GET \/, head, told,/);
});
