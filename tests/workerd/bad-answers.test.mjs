// What an application says that cannot be done, in the runtime itself: the client gets an
// error with its code, the log one event, and nothing has happened.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { COOKIE, newAdminKey, sessionCookie, start, until } from "./support/gateway.mjs";
import { jwt as newJwt } from "./support/jwt.mjs";

const tokens = [];
const jwt = (claims) => {
  tokens.push(newJwt(claims));
  return tokens.at(-1);
};
// The beginning of the header, the claims or the signature of one of these, since a text may be cut.
const quotes = (text) => tokens.flatMap((token) => token.split(".")).some((part) => text.includes(part.slice(0, 20)));

const ops = newAdminKey();
let application, gateway, answer;
before(async () => {
  application = createServer((request, response) => answer(request, response));
  application.listen(0, "127.0.0.1");
  await once(application, "listening");
  gateway = await start({
    origin: `http://127.0.0.1:${application.address().port}`,
    adminKeys: [ops],
    warifu: {
      origin_timeout: "1s",
      max_sessions: 2,
      on_limit: "refuse",
      adopt: { cookie: "old", probe: "/api/me", subject: "/id", until: "2999-01-01" },
      custody: { cookies: ["token", "refresh"], bearer: [{ path: "/api/login", tokens: ["/access_token", "/refresh_token"] }] },
      routes: [
        { path: "/login", access: "optional", commands: true },
        { path: "/api/login", access: "optional" },
      ],
    },
  });
});
after(async () => {
  await gateway?.close();
  application?.closeAllConnections();
  application?.close();
});

const says = (headers, body = "", status = 200) => (_, response) => response.writeHead(status, headers).end(body);
const commands = (...values) => says({ "warifu-command": values });
const cookies = (...values) => says({ "set-cookie": values });
const json = { "content-type": "application/json" };
const claims = (text) => `:${Buffer.from(text).toString("base64")}:`;
const logIn = { method: "POST", path: "/login" };
const apiLogIn = { method: "POST", path: "/api/login" };

const CASES = [
  ["a command that does not exist", logIn, commands("do=begin"), 502, "bad_command", "command_refused"],
  ["a start without a subject", logIn, commands("do=start"), 502, "bad_command", "command_refused"],
  ["claims that are no JSON", logIn, commands(`do=start, sub="alice", claims=${claims("{a}")}`), 502, "bad_command", "command_refused"],
  ["claims that are no object", logIn, commands(`do=start, sub="alice", claims=${claims("[]")}`), 502, "bad_command", "command_refused"],
  ["claims that are too large", logIn, commands(`do=start, sub="alice", claims=${claims(JSON.stringify({ a: "x".repeat(3000) }))}`), 502, "bad_command", "command_refused"],
  ["two commands", logIn, commands('do=start, sub="alice"', "do=end"), 502, "bad_command", "command_refused"],
  ["two starts in one field", logIn, commands('do=start, sub="alice", do=start, sub="bob"'), 502, "bad_command", "command_refused"],
  ["a command that is none", logIn, commands('"'), 502, "bad_command", "command_refused"],
  ["a huge command", logIn, commands(`do=start, sub="alice", x="${"x".repeat(9000)}"`), 502, "bad_command", "command_refused"],
  ["a change beside a value to keep", logIn, says({ "warifu-command": "do=rotate", "set-cookie": `token=${jwt({ sub: "alice" })}` }), 502, "bad_command", "command_refused"],
  ["a JWT that is none", logIn, cookies("token=opaque"), 502, "bad_custody", "custody_refused"],
  ["a JWT of three parts that is none", logIn, cookies("token=a.b.c"), 502, "bad_custody", "custody_refused"],
  ["a JWT of nobody's", logIn, cookies(`token=${jwt({})}`), 502, "bad_custody", "custody_refused"],
  ["a JWT that is over", logIn, cookies(`token=${jwt({ sub: "alice", exp: 1 })}; Path=/`), 502, "bad_custody", "custody_refused"],
  ["a huge token", logIn, cookies(`token=${jwt({ sub: "alice", more: "x".repeat(15_000) })}`), 502, "bad_custody", "custody_refused"],
  ["tokens that are huge together", logIn, cookies(`token=${jwt({ sub: "alice", more: "x".repeat(6_000) })}`, `refresh=${"r".repeat(9_000)}`), 502, "bad_custody", "custody_refused"],
  ["a log-in that is no JSON", apiLogIn, says({ "content-type": "text/html" }, "<p>welcome"), 502, "bad_custody", "custody_refused"],
  ["a log-in whose JSON is broken", apiLogIn, says(json, '{"access_token":'), 502, "bad_custody", "custody_refused"],
  ["a log-in with a number for a token", apiLogIn, says(json, '{"access_token":1}'), 502, "bad_custody", "custody_refused"],
  ["a log-in with a token that is no JWT", apiLogIn, says(json, '{"access_token":"opaque-and-long-enough"}'), 502, "bad_custody", "custody_refused"],
  ["a log-in with a huge token", apiLogIn, says(json, JSON.stringify({ access_token: jwt({ sub: "alice", more: "x".repeat(20_000) }) })), 502, "bad_custody", "custody_refused"],
  ["a log-in that is too long", apiLogIn, says(json, JSON.stringify({ access_token: jwt({ sub: "alice" }), more: "x".repeat(70_000) })), 502, "bad_custody", "custody_refused"],
  ["a log-in that streams forever", apiLogIn, (_, response) => {
    response.writeHead(200, json).write(`{"access_token":"${jwt({ sub: "alice" })}"`);
    const timer = setInterval(() => response.write(" "), 100);
    response.on("close", () => clearInterval(timer));
  }, 502, "bad_custody", "custody_refused"],
  ["a log-in that breaks off", apiLogIn, (_, response) => {
    response.writeHead(200, { ...json, "content-length": 100 }).write('{"access_token"', () => response.destroy());
  }, 502, "bad_custody", "custody_refused"],
  ["Cloudflare's page, in the place of an answer that is late", logIn, says({ "content-type": "text/html", "warifu-command": 'do=start, sub="alice"' }, "<title>o", 522), 504, "origin_unreachable", "origin_unreachable"],
  ["Cloudflare's page, where the name does not resolve", apiLogIn, says({ ...json, "set-cookie": "a=b" }, JSON.stringify({ access_token: jwt({ sub: "alice" }) }), 530), 502, "origin_unreachable", "origin_unreachable"],
  ["more sessions than there may be", logIn, commands('do=start, sub="many"'), 409, "session_limit", "start_refused"],
];

// What objects do by themselves meanwhile is not about the answer.
const BY_ITSELF = ["alarm_failed", "feed_failed"];
const events = () => {
  const lines = gateway.logs().split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line).event).filter((event) => !BY_ITSELF.includes(event));
};
const sessionsOf = async (subject) => {
  const listed = await gateway.fetch(`/_warifu/sessions?subject=${subject}`, { headers: { authorization: `Bearer ${ops.key}` } });
  return (await listed.json()).sessions.length;
};

test("the application's bad answers", async (t) => {
  answer = cookies(`token=${jwt({ sub: "bob" })}`);
  const bob = sessionCookie(await gateway.fetch("/login", { method: "POST" }));
  answer = commands('do=start, sub="many"');
  for (let n = 0; n < 2; n += 1) assert.ok(sessionCookie(await gateway.fetch("/login", { method: "POST" })));
  for (const [name, { method, path }, badAnswer, status, code, event] of CASES) {
    await t.test(name, async () => {
      for (const cookie of [undefined, bob]) {
        const before = events().length;
        answer = badAnswer;
        const got = await gateway.fetch(path, { method, headers: cookie ? { cookie } : {} });
        const text = await got.text();
        assert.deepEqual([got.status, JSON.parse(text).code], [status, code], text);
        assert.match(got.headers.get("content-type"), /^application\/problem\+json/);
        assert.deepEqual(got.headers.getSetCookie(), []);
        assert.ok(!quotes(text), "nothing of a token");
        await until(() => events().length > before, event);
        assert.deepEqual(events().slice(before), [event]);
      }
      // Nothing has begun, and nothing has ended.
      answer = says({}, "fine");
      assert.equal(await (await gateway.fetch("/account", { headers: { cookie: bob } })).text(), "fine");
      assert.deepEqual([await sessionsOf("alice"), await sessionsOf("many"), await sessionsOf("bob")], [0, 2, 1]);
    });
  }
});

test("a value that is set and cleared in one answer: the last word counts, as in a browser", async () => {
  const token = `token=${jwt({ sub: "carol" })}`;
  answer = cookies(token, "token=; Max-Age=0");
  const nothing = await gateway.fetch("/login", { method: "POST" });
  assert.deepEqual([nothing.status, nothing.headers.getSetCookie(), await sessionsOf("carol")], [200, [], 0]);
  answer = cookies("token=; Max-Age=0", token);
  const cookie = sessionCookie(await gateway.fetch("/login", { method: "POST" }));
  assert.equal(await sessionsOf("carol"), 1);
  answer = cookies(token, "token=; Max-Age=0");
  const ended = await gateway.fetch("/login", { method: "POST", headers: { cookie } });
  assert.match(ended.headers.getSetCookie().join(), new RegExp(`^${COOKIE}=;.*Max-Age=0`));
  assert.equal(await sessionsOf("carol"), 0);
});

test("a probe that hangs", async () => {
  for (const [hangs, what] of [
    [() => {}, "before it answers"],
    [(_, response) => response.writeHead(200, json).write("{"), "in its answer"],
  ]) {
    const before = events().length;
    answer = hangs;
    const began = Date.now();
    const got = await gateway.fetch("/account", { headers: { cookie: `old=${what.length}` } });
    assert.deepEqual([got.status, (await got.json()).code, got.headers.getSetCookie()], [504, "origin_unreachable", []], what);
    assert.ok(Date.now() - began < 5_000);
    await until(() => events().length > before, "an event");
    assert.deepEqual(events().slice(before), ["origin_unreachable"], what);
  }
});
