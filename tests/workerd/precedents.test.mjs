// Requests that are like one before (src/precedent.rs): they go on without their header fields
// crossing to the WebAssembly, and nobody can tell, neither the origin nor the client.
import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";

import { callsTo } from "./support/calls.mjs";
import { newAdminKey, sessionCookie, start, told, until } from "./support/gateway.mjs";

const ops = newAdminKey();
const originKey = randomBytes(32);
const originKeys = JSON.stringify([{ kid: 7, key: originKey.toString("base64url") }]);

let origin, plain, signing, strict, renewing;
// What the application does for a path; else it says what it has been asked.
const paths = {};
let seen = [];

before(async () => {
  origin = createServer((request, response) => {
    const { method, url, headers } = request;
    seen.push({ method, url, headers });
    const path = url.split("?")[0];
    if (paths[path]) return paths[path](response, request);
    response.writeHead(200, { "content-type": "application/json", "cache-control": "max-age=60" });
    return response.end(method === "HEAD" ? undefined : JSON.stringify({ method, url, headers }));
  });
  await once(origin.listen(0, "127.0.0.1"), "listening");
  const common = {
    origin: `http://127.0.0.1:${origin.address().port}`,
    adminKeys: [ops],
  };
  const warifu = {
    origin_timeout: "2s",
    bound: "2s",
    max_header_bytes: 16_384,
    routes: [
      { path: "/public/*", access: "public" },
      { path: "/optional/*", access: "optional" },
      { path: "/strict/*", access: "strict" },
      { path: "/keep/*", access: "required", on_end: "keep" },
      { path: "/do/*", access: "required", commands: true },
    ],
  };
  [plain, signing, strict, renewing] = await Promise.all([
    start({ ...common, warifu }),
    start({ ...common, warifu, originKeys }),
    start({ ...common, warifu: { ...warifu, origin_timeout: "10s", rotation_grace: "1s", on_replay: "end" } }),
    start({ ...common, warifu: { ...warifu, idle_timeout: "1m" } }),
  ]);
});
after(async () => {
  await Promise.all([plain, signing, strict, renewing].map((gateway) => gateway?.close()));
  origin?.closeAllConnections();
  origin?.close();
});

const mint = async (gateway, subject) => (await callsTo(() => gateway, ops).mint({ subject })).cookie;

const kill = async (subject) => {
  const { status } = await callsTo(() => plain, ops).admin("DELETE", `sessions?subject=${subject}`);
  assert.equal(status, 200);
};

const counts = async (gateway) => (await gateway.fetch("/_warifu/test/precedents")).json();

// What comes of a request, and how many went by a precedent meanwhile.
async function ask(gateway, path, init = {}) {
  const before = await counts(gateway);
  const answer = await gateway.fetch(path, init);
  const text = await answer.text();
  const { kept, followed, heard } = await counts(gateway);
  const headers = Object.fromEntries([...answer.headers].filter(([name]) => !["date", "cf-ray"].includes(name)));
  return { status: answer.status, headers, text, kept: kept - before.kept, followed: followed - before.followed, heard: heard - before.heard };
}

// Asks until a request went by a precedent: others have something to do along with them, such
// as a poll of the feed.
async function followed(gateway, path, init) {
  let answer;
  await until(async () => (answer = await ask(gateway, path, init)).followed === 1, `a precedent for ${path}`);
  return answer;
}

const what = ({ status, headers, text }) => ({ status, headers, text: JSON.parse(text) });

test("the origin and the client get the same from one that is heard and from one that is not", async () => {
  for (const [path, cookie] of [
    ["/a", await mint(plain, "alice")],
    ["/optional/a", await mint(plain, "alice ünïcode")],
    ["/optional/b", undefined],
    ["/public/a", await mint(plain, "bob")],
  ]) {
    const headers = {
      host: "app.test",
      accept: "application/json",
      "user-agent": "a browser",
      "warifu-subject": "mallory",
      "x-forwarded-for": "192.0.2.1",
      connection: "x-hop",
      "x-hop": "1",
      ...(cookie === undefined ? { cookie: "theme=dark" } : { cookie: `theme=dark; ${cookie}; lang=de` }),
    };
    seen = [];
    const first = await ask(plain, path, { headers });
    assert.equal(first.status, 200);
    assert.equal(first.followed, 0);
    const other = await followed(plain, path, { headers });
    assert.deepEqual(what(other), what(first), path);
    // Once the answer is known too, nothing of it crosses.
    const third = await followed(plain, path, { headers });
    assert.deepEqual([what(third), third.heard], [what(first), 0], path);
    const [{ headers: at }] = seen;
    assert.equal(at["warifu-subject"] ?? "nobody", path.startsWith("/public") ? "nobody" : cookie === undefined ? "" : at["warifu-subject"]);
    assert.notEqual(at["warifu-subject"], "mallory");
    assert.equal(at.cookie, cookie === undefined ? "theme=dark" : "theme=dark; lang=de");
  }
});

test("queries, and what differs from request to request, are the request's own", async () => {
  const headers = { cookie: await mint(plain, "alice") };
  await followed(plain, "/own", { headers });
  const answer = await followed(plain, "/own?a=1&b=%27", { headers });
  assert.equal(JSON.parse(answer.text).url, "/own?a=1&b=%27");
  for (const value of ["1", "2"]) {
    const more = { ...headers, "if-none-match": `"${value}"`, traceparent: value };
    const { text } = value === "1" ? await ask(plain, "/own", { headers: more }) : await followed(plain, "/own", { headers: more });
    assert.deepEqual([JSON.parse(text).headers["if-none-match"], JSON.parse(text).headers.traceparent], [`"${value}"`, value]);
  }
  const odd = await ask(plain, "/own?a='1'", { headers });
  assert.equal(JSON.parse(odd.text).url, "/own?a=%271%27");
  const another = await ask(plain, "/other", { headers });
  assert.equal(another.followed, 0);
  const head = await followed(plain, "/own", { method: "HEAD", headers });
  assert.deepEqual([head.status, head.text], [200, ""]);
});

test("a header that is not known to say nothing makes another case", async () => {
  const cookie = await mint(plain, "alice");
  await followed(plain, "/case", { headers: { cookie, "x-tenant": "1" } });
  const { text, followed: how } = await ask(plain, "/case", { headers: { cookie, "x-tenant": "2" } });
  assert.deepEqual([JSON.parse(text).headers["x-tenant"], how], ["2", 0]);
  const bob = await ask(plain, "/case", { headers: { cookie: await mint(plain, "bob"), "x-tenant": "1" } });
  assert.deepEqual([JSON.parse(bob.text).headers["warifu-subject"], bob.followed], ["bob", 0]);
});

test("what is left out can be too long all the same, or no text", async () => {
  const headers = { cookie: await mint(plain, "alice") };
  const referer = (chars, first = "") => ({ ...headers, referer: `${first}${"a".repeat(chars)}` });
  await followed(plain, "/long", { headers: referer(10) });
  await followed(plain, "/long", { headers: referer(4_000) });
  for (const [chars, first, status] of [[6_000, "", 200], [17_000, "", 431], [10, "\u00e9", 200]]) {
    const { status: got, followed: how } = await ask(plain, "/long", { headers: referer(chars, first) });
    assert.deepEqual([got, how], [status, 0], `${first}${chars}`);
  }
});

test("other methods and routes with commands are heard each time", async () => {
  const headers = { cookie: await mint(plain, "alice"), "sec-fetch-site": "same-origin" };
  for (const [path, method] of [["/do/a", "GET"], ["/a", "POST"], ["/strict/a", "POST"], ["/a", "DELETE"]]) {
    for (let times = 0; times < 3; times += 1) {
      const { status, kept, followed } = await ask(plain, path, { method, headers });
      assert.deepEqual([status, kept, followed], [200, 0, 0], `${method} ${path}`);
    }
  }
  const before = await counts(plain);
  const body = new ReadableStream({ start: (it) => (it.enqueue(new TextEncoder().encode("abc")), it.close()) });
  await plain.fetch("/a", { headers: { ...headers, "transfer-encoding": "chunked" }, body }).catch(() => {});
  assert.equal((await counts(plain)).followed, before.followed, "a GET with a body");
});

const storeCalls = async (gateway) => (await (await gateway.fetch("/_warifu/test/store-calls")).json()).store_calls;

test("on strict routes each asks the object, and goes on where that says the same", async () => {
  const headers = { cookie: await mint(plain, "stella"), "user-agent": "a browser" };
  const first = await ask(plain, "/strict/a", { headers });
  assert.deepEqual([first.status, first.followed], [200, 0]);
  await followed(plain, "/strict/a", { headers });
  const before = await storeCalls(plain);
  const other = await followed(plain, "/strict/a?b=1", { headers });
  assert.equal((await storeCalls(plain)) - before, 1);
  assert.deepEqual([other.headers, other.heard], [first.headers, 0]);
  const [one, two] = [first, other].map(({ text }) => JSON.parse(text));
  assert.deepEqual([two.headers, two.url], [one.headers, "/strict/a?b=1"]);
  await kill("stella");
  const after = await ask(plain, "/strict/a", { headers });
  assert.deepEqual([after.status, after.followed], [401, 0]);
});

test("after a renewal another precedent is made", async () => {
  const headers = { cookie: await mint(renewing, "rena"), "user-agent": "a browser" };
  const began = Date.now();
  await followed(renewing, "/strict/a", { headers });
  // A tenth of its idle timeout is six seconds.
  for (let kept = 0; kept === 0; ) {
    assert.ok(Date.now() - began < 20_000, "none is made");
    ({ kept } = await ask(renewing, "/strict/a", { headers }));
    await pause(100);
  }
  await followed(renewing, "/strict/a", { headers });
});

test("those that ask at one time stay apart", async () => {
  const people = await Promise.all(["sol", "sky"].map(async (name) => ({ name, headers: { cookie: await mint(signing, name) } })));
  for (const { headers } of people) await followed(signing, "/strict/apart", { headers: { ...headers, "x-request-id": "0" } });
  const before = await storeCalls(signing);
  const answers = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => {
      const { name, headers } = people[n % 2];
      const answer = await signing.fetch(`/strict/apart?${n}`, { headers: { ...headers, "x-request-id": `${n}` } });
      return { n, name, told: await answer.json() };
    }),
  );
  // None goes by another's question.
  assert.ok((await storeCalls(signing)) - before >= 30, `${(await storeCalls(signing)) - before} questions`);
  const signatures = new Set();
  for (const { n, name, told } of answers) {
    assert.deepEqual([told.url, told.headers["warifu-subject"], told.headers["x-request-id"]], [`/strict/apart?${n}`, name, `${n}`]);
    signatures.add(told.headers.signature);
  }
  assert.equal(signatures.size, 30);
});

test("who is killed is refused at the next request", async () => {
  const headers = { cookie: await mint(plain, "carol") };
  await followed(plain, "/killed", { headers });
  await kill("carol");
  const { status, followed: how } = await ask(plain, "/killed", { headers });
  assert.deepEqual([status, how], [401, 0]);
});

test("an answer of another kind is heard in full", async () => {
  const headers = { cookie: await mint(plain, "alice") };
  const says = (status, fields, text = "") => (response) => response.writeHead(status, fields).end(text);
  paths["/kinds"] = says(200, { "cache-control": "private" });
  await followed(plain, "/kinds", { headers });
  const cases = [
    [says(404, {}), 404, { "cache-control": "no-store" }],
    [says(304, { etag: '"1"' }), 304, { etag: '"1"' }],
    [says(200, { "set-cookie": "a=1", "cache-control": "no-store" }), 200, { "set-cookie": "a=1" }],
    [says(200, { "set-cookie": "__Host-Http-warifu=stolen" }), 200, { "set-cookie": undefined }],
    [says(200, { "warifu-command": "do=end-all" }), 200, { "warifu-command": undefined }],
    [says(302, { location: "/elsewhere" }), 302, { location: "/elsewhere" }],
    [says(521, {}), 502, { "content-type": "application/problem+json" }],
    [(response) => response.destroy(), 502, { "content-type": "application/problem+json" }],
    [() => {}, 504, { "content-type": "application/problem+json" }],
  ];
  for (const [answer, status, fields] of cases) {
    let got;
    // After one that took as long as the bound, the next has something to do along with it again.
    await until(async () => {
      paths["/kinds"] = says(200, { "cache-control": "private" });
      await followed(plain, "/kinds", { headers });
      paths["/kinds"] = answer;
      got = await ask(plain, "/kinds", { headers });
      return got.followed === 1;
    }, `${status} by a precedent`);
    assert.equal(got.status, status);
    assert.equal(got.heard, 1);
    for (const [name, value] of Object.entries(fields)) assert.equal(got.headers[name], value, `${status}: ${name}`);
  }
  await told(plain, { event: "cookie_refused", path: "/kinds" });
  await told(plain, { event: "command_ignored", path: "/kinds" });
  await told(plain, { event: "origin_unreachable" });
});

test("an event stream that begins by a precedent is cut when its session ends", async () => {
  const headers = { cookie: await mint(plain, "dave") };
  paths["/stream"] = (response) => response.writeHead(200, { "cache-control": "private" }).end();
  await followed(plain, "/stream", { headers });
  paths["/stream"] = (response) => response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
  let answer;
  await until(async () => {
    await answer?.body.cancel();
    const before = await counts(plain);
    answer = await plain.fetch("/stream", { headers });
    return (await counts(plain)).followed > before.followed;
  }, "one goes by a precedent");
  const reader = answer.body.getReader();
  assert.match(new TextDecoder().decode((await reader.read()).value), /data: 1/);
  await kill("dave");
  let rest = await reader.read().catch(() => ({ done: true }));
  while (!rest.done) rest = await reader.read().catch(() => ({ done: true }));
  await told(plain, { event: "connection_cut" });
});

// Has a request that goes by a precedent wait at the application: `go` answers it.
async function waits(path, headers, answer, gateway = plain) {
  const known = (response) => response.writeHead(200, { "cache-control": "private" }).end("known");
  paths[path] = known;
  await followed(gateway, path, { headers });
  for (;;) {
    const waiting = [];
    paths[path] = (response) => waiting.push(response);
    const before = await counts(gateway);
    const asked = gateway.fetch(path, { headers });
    await until(() => waiting.length === 1, "the application is asked");
    if ((await counts(gateway)).followed > before.followed) return { asked, go: () => answer(waiting[0]), waiting };
    // It had something to do along with it, such as a poll of the feed.
    known(waiting[0]);
    await (await asked).text();
  }
}

test("who was ended while the application took its time gets the answer, and no stream", async () => {
  for (const [subject, type, status] of [["erin", "text/plain", 200], ["eve", "text/event-stream", 401]]) {
    const { asked, go } = await waits("/optional/slow", { cookie: await mint(plain, subject) }, (response) =>
      response.writeHead(200, { "content-type": type }).end(`of ${subject}`),
    );
    await kill(subject);
    // Where it has just been asked for, a stream opens, and is cut at the first look.
    await new Promise((resolve) => setTimeout(resolve, 700));
    go();
    const answer = await asked;
    assert.equal(answer.status, status);
    assert.equal((await answer.text()) === `of ${subject}`, status === 200);
  }
});

test("an answer that comes after the grace of its secret is no replay", async () => {
  const cookie = await mint(strict, "ida");
  const { asked, waiting } = await waits("/late", { cookie }, undefined, strict);
  paths["/do/rotate"] = (response) => response.writeHead(200, { "warifu-command": "do=rotate" }).end();
  const rotated = await strict.fetch("/do/rotate", { method: "POST", headers: { cookie, "sec-fetch-site": "same-origin" } });
  const newer = sessionCookie(rotated);
  const status = async () => (await strict.fetch("/mine", { headers: { cookie: newer } })).status;
  assert.equal(await status(), 200);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  waiting[0].writeHead(404).end();
  assert.equal((await asked).status, 404);
  assert.equal(await status(), 200);
});

test("where one route lets streams go on, another still cuts them", async () => {
  const stream = (response) => response.writeHead(200, { "content-type": "text/event-stream" });
  paths["/keep/a"] = (response) => stream(response).end("data: 1\n\n");
  const [kim, lee] = [{ cookie: await mint(plain, "kim") }, { cookie: await mint(plain, "lee") }];
  for (let times = 0; times < 10; times += 1) await ask(plain, "/keep/a", { headers: kim });
  paths["/cuts"] = (response) => response.writeHead(200, { "cache-control": "private" }).end();
  await followed(plain, "/cuts", { headers: lee });
  paths["/cuts"] = (response) => stream(response).write("data: 1\n\n");
  const answer = await plain.fetch("/cuts", { headers: lee });
  const reader = answer.body.getReader();
  await reader.read();
  await kill("lee");
  let rest = { done: false };
  while (!rest.done) rest = await reader.read().catch(() => ({ done: true }));
});

test("what is left out is the request's own, however many come", async () => {
  const headers = { cookie: await mint(plain, "max"), "x-request-id": "1", "if-none-match": '"0"' };
  paths["/own/two"] = (response, { headers }) => response.writeHead(200).end(JSON.stringify(headers));
  await followed(plain, "/own/two", { headers });
  const both = await Promise.all(
    Array.from({ length: 20 }, async (_, n) => {
      const answer = await plain.fetch("/own/two", { headers: { ...headers, "x-request-id": `${n}`, "if-none-match": `"${n}"` } });
      return [n, await answer.json()];
    }),
  );
  for (const [n, seen] of both) assert.deepEqual([seen["if-none-match"], seen["x-request-id"]], [`"${n}"`, `${n}`]);
});

test("who sends something new each time, or gets it, does not keep the gateway busy", async () => {
  const headers = { cookie: await mint(plain, "ned") };
  const before = await counts(plain);
  for (let n = 0; n < 150; n += 1) await plain.fetch("/new", { headers: { ...headers, "x-own": `${n}` } });
  const after = await counts(plain);
  assert.ok(after.kept - before.kept < 60, `${after.kept - before.kept} kept`);
  assert.equal(after.followed, before.followed);
  let n = 0;
  paths["/varies"] = (response) => response.writeHead(200, { "cache-control": `max-age=${(n += 1)}` }).end();
  for (let times = 0; times < 60; times += 1) await plain.fetch("/varies", { headers });
  assert.ok((await counts(plain)).heard - after.heard < 20);
  // And once that is over, it learns again.
  paths["/varies"] = (response) => response.writeHead(200, { "cache-control": "max-age=7" }).end();
  await until(async () => {
    const { followed, heard } = await ask(plain, "/varies", { headers });
    return followed === 1 && heard === 0;
  }, "the answer is known");
});

test("many at once", async () => {
  const people = await Promise.all(["fay", "gil", "hal"].map(async (subject) => [subject, await mint(plain, subject)]));
  paths["/many"] = (response, { headers }) => response.writeHead(200, { "cache-control": "private" }).end(headers["warifu-subject"]);
  for (let times = 0; times < 5; times += 1) {
    const answers = Array.from({ length: 60 }, async (_, at) => {
      const [subject, cookie] = people[at % 3];
      assert.equal(await (await plain.fetch(`/many?${at}`, { headers: { cookie } })).text(), subject);
    });
    await Promise.all(answers);
  }
});

test("each has a signature of its own, of what arrives", async () => {
  const headers = { cookie: await mint(signing, "alice") };
  const nonces = new Set();
  for (const query of ["", "?a=1", "?a=2&b", "?a=1"]) {
    const { text } = await followed(signing, `/signed${query}`, { headers });
    const at = JSON.parse(text);
    const [, params, names] = at.headers["signature-input"].match(/^warifu=(\(([^)]*)\);.*)$/);
    const derived = { "@method": "GET", "@authority": at.headers.host, "@path": "/signed", "@query": query || "?" };
    const lines = names.split(" ").map((quoted) => `${quoted}: ${derived[quoted.slice(1, -1)] ?? at.headers[quoted.slice(1, -1)]}`);
    const mac = createHmac("sha256", originKey).update([...lines, `"@signature-params": ${params}`].join("\n")).digest("base64");
    assert.equal(at.headers.signature, `warifu=:${mac}:`);
    assert.equal(at.headers["warifu-subject"], "alice");
    nonces.add(params.match(/nonce="([^"]+)"/)[1]);
  }
  assert.equal(nonces.size, 4);
});

test("hosts that are made up do not take away what others wait for", async () => {
  const { asked, go, waiting } = await waits("/public/waits", {}, (response) => response.writeHead(404).end());
  const hosts = Array.from({ length: 270 }, (_, n) => `h${n}.test`);
  while (hosts.length > 0) await Promise.all(hosts.splice(0, 30).map((host) => plain.fetch("/public/x", { headers: { host } })));
  const { kept } = await counts(plain);
  await plain.fetch("/public/x", { headers: { host: "another.test" } });
  assert.equal((await counts(plain)).kept, kept + 1, "others are kept");
  go();
  assert.equal((await asked).status, 404);
  assert.equal(waiting.length, 1, "it is asked for once");
});

// As where it runs out of memory: the next call begins another instance. Whoever waited for that
// of before gets an error, as ever, and nobody's number means somebody else's request.
test("after the WebAssembly has ended, what was known of it is forgotten", async () => {
  const headers = { cookie: await mint(plain, "ola") };
  const abort = () => plain.fetch("/_warifu/test/abort").then((answer) => answer.arrayBuffer(), () => {});
  await followed(plain, "/again", { headers });
  for (let times = 0; times < 2; times += 1) {
    await abort();
    assert.equal((await plain.fetch("/again", { headers })).status, 200);
    await followed(plain, "/again", { headers });
  }
  // While one waits, others make precedents in the instance after.
  const { asked, go, waiting } = await waits("/ends", headers, (response) => response.writeHead(404).end());
  await abort();
  for (const path of ["/public/x", "/optional/x", "/x", "/y"]) assert.equal((await plain.fetch(path, { headers })).status, 200);
  go();
  await until(() => waiting.length === 2, "it is asked for once more");
  waiting[1].writeHead(404).end();
  const answer = await asked;
  assert.deepEqual([answer.status, answer.headers.get("cache-control")], [404, "no-store"]);
});
