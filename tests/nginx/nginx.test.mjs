// Forward-auth with a real nginx: the lines of examples/forward-auth/nginx.conf, with
// this machine's ports in them, in front of files and of an application. Only in CI,
// since it needs nginx; scripts/setup ci installs it.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";

import { freePort } from "../../scripts/dev/ports.mjs";
import { COOKIE, client, newAdminKey, root, sessionCookie, start } from "../workerd/support/gateway.mjs";

const SECRET = "what only those who are logged in may read";
const key = newAdminKey("nginx", ["verify"]);
const ops = newAdminKey("ops", ["mint", "revoke", "sessions:read"]);

let origin, app, gateway, nginx;
before(async () => {
  // Behind the gateway: what logs in. Behind nginx: what is protected.
  origin = await listening((request, response) => {
    if (request.url.startsWith("/login")) response.setHeader("Warifu-Command", 'do=start, sub="alice"');
    if (request.url === "/rotate") response.setHeader("Warifu-Command", "do=rotate");
    response.end("the login");
  });
  app = await listening((request, response) => response.end(JSON.stringify(request.headers)));
  gateway = await start({
    origin: origin.url,
    adminKeys: [key, ops],
    warifu: {
      identity: { user_header: "Remote-User" },
      routes: [
        { path: "/login", access: "optional", commands: true },
        { path: "/rotate", access: "required", commands: true },
      ],
    },
  });
  nginx = await startNginx();
});
after(async () => {
  await nginx?.stop();
  await gateway?.close();
  for (const server of [origin, app]) server?.close();
});

async function listening(answer) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, close: () => server.close() };
}

async function startNginx() {
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-nginx-"));
  const host = `127.0.0.1:${await freePort()}`;
  const there = { "127.0.0.1:8787": new URL(gateway.url).host, "127.0.0.1:9000": app.host, "127.0.0.1:8080": host };
  const conf = readFileSync(path.join(root, "examples/forward-auth/nginx.conf"), "utf8")
    .replaceAll(/127\.0\.0\.1:\d+/g, (port) => there[port])
    .replaceAll("https://app.example", `http://${host}`)
    .replaceAll("proxy_set_header Host app.example;", `proxy_set_header Host ${host};`)
    .replaceAll("/srv/site", path.join(folder, "site"));
  const file = (name, text) => writeFileSync(path.join(folder, name), text);
  for (const name of ["site", "site/vault", "temp"]) mkdirSync(path.join(folder, name));
  file("site/index.html", SECRET);
  file("site/vault/index.html", SECRET);
  file("warifu.conf", conf);
  file("warifu-key.conf", `proxy_set_header Authorization "Bearer ${key.key}";\n`);
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path temp/${name};`);
  file(
    "nginx.conf",
    `daemon off; master_process off; pid nginx.pid; error_log stderr;\nevents {}\n` +
      `http {\n  access_log off;\n  ${temp.join(" ")}\n  include warifu.conf;\n}\n`,
  );
  // Debian's is not on everybody's PATH.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child = spawn("nginx", ["-e", "stderr", "-p", folder, "-c", "nginx.conf"], { env, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const ended = once(child, "exit");
  const url = `http://${host}`;
  const fetch = client(new URL(url));
  const ready = async () => {
    for (;;) {
      if (child.exitCode !== null) throw new Error(`nginx ended: ${log}`);
      const answer = await fetch("/_warifu_required").catch(() => undefined);
      if (answer !== undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await ready();
  return {
    url,
    fetch,
    log: () => log,
    async stop() {
      child.kill();
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

// --- people ---------------------------------------------------------------------------

const BROWSER = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", accept: "text/html" };

async function logIn() {
  const answer = await nginx.fetch("/login", { method: "POST", headers: { "sec-fetch-site": "same-origin" } });
  assert.equal(answer.status, 200);
  const cookie = sessionCookie(answer);
  assert.match(cookie, new RegExp(`^${COOKIE}=.{72}$`));
  return cookie;
}

async function admin(method, where, body) {
  const headers = { authorization: `Bearer ${ops.key}` };
  const answer = await gateway.fetch(`/_warifu/${where}`, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(answer.status < 300, `${answer.status}`);
  return answer.json();
}

const mint = async (session) => {
  const { set_cookie, session: record } = await admin("POST", "sessions", session);
  return { cookie: set_cookie.split(";")[0], id: record.id };
};

const get = async (where, headers) => {
  const answer = await nginx.fetch(where, { headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
};
const status = async (method, where, headers) => {
  const answer = await nginx.fetch(where, { method, headers });
  await answer.text();
  return answer.status;
};

// --- tests ----------------------------------------------------------------------------

test("logged out: a program gets 401, a browser the login with the way back", async () => {
  for (const where of ["/", "/index.html", "/app/x", "/vault/", "/nothing", "/_warifu/sessions?subject=alice"]) {
    const program = await get(where);
    assert.equal(program.status, 401, where);
    assert.ok(!program.text.includes(SECRET));
  }
  const ways = [
    ["/index.html?tab=1", "/index.html?tab=1"],
    ["/app/", "/app/"],
    // What would have to be encoded, or could lead elsewhere, is left out.
    ["/a?b=1&return_to=//evil.example", "/"],
    ["/a%0d%0aSet-Cookie:x=1", "/"],
    ["/.//evil.example/", "/"],
  ];
  for (const [where, back] of ways) {
    const browser = await get(where, BROWSER);
    assert.deepEqual([browser.status, browser.headers.get("location")], [302, `/login?return_to=${back}`], where);
    assert.equal(browser.headers.get("set-cookie"), null);
  }
  const old = await get("/", { accept: "text/html,*/*" });
  assert.equal(old.status, 302, "a browser without fetch metadata");
});

test("logged in: the page, and it is not kept by caches", async () => {
  const cookie = await logIn();
  const { status, text, headers } = await get("/", { cookie, ...BROWSER });
  assert.deepEqual([status, text], [200, SECRET]);
  assert.equal(headers.get("cache-control"), "private, no-store");
  assert.deepEqual(headers.getSetCookie(), []);
});

test("the application behind is told who it is; what the client says of itself does not get through", async () => {
  const { cookie, id } = await mint({ subject: "割 %", level: 3, claims: { plan: "pro" } });
  const forged = ["Warifu-Subject", "warifu_subject", "Warifu.Subject", "WARIFU-LEVEL", "Warifu-Claims", "Warifu_Claims"];
  const { text } = await get("/app/x", {
    cookie: `a=1; ${cookie}; b=2`,
    ...Object.fromEntries(forged.map((name) => [name, "admin"])),
  });
  const seen = JSON.parse(text);
  assert.ok(!text.includes("admin"), text);
  assert.equal(seen["warifu-subject"], encodeURIComponent("割 %"));
  assert.deepEqual([seen["warifu-session"], seen["warifu-level"]], [id, "3"]);
  assert.match(seen["warifu-auth-time"], /^\d{10}$/);
  assert.equal(Buffer.from(seen["warifu-claims"], "base64url").toString(), '{"plan":"pro"}');
  // Without claims there is no header at all: nginx sends none that is empty.
  const plain = await get("/app/x", { cookie: await logIn(), "Warifu-Claims": "admin" });
  assert.equal(JSON.parse(plain.text)["warifu-claims"], undefined);
});

test("the name of user_header is the gateway's to write, and what tells of the way is nginx's", async () => {
  const written = ["remote-user", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
  const emptied = [
    ...["port", "prefix", "scheme", "server", "ssl", "user"].map((name) => `x-forwarded-${name}`),
    ...["forwarded", "x-real-ip", "x-original-url", "x-rewrite-url"],
    ...["x-http-method", "x-http-method-override", "x-method-override"],
  ];
  const forged = Object.fromEntries([...written, "remote_user", ...emptied].map((name) => [name, "forged"]));
  const { cookie } = await mint({ subject: "割 %" });
  const { status, text } = await get("/app/x", { cookie, ...forged });
  assert.equal(status, 200);
  assert.ok(!text.includes("forged"), text);
  const seen = JSON.parse(text);
  assert.deepEqual(written.map((name) => seen[name]), [encodeURIComponent("割 %"), "127.0.0.1", "127.0.0.1", "http"]);
  assert.deepEqual(emptied.filter((name) => name in seen), []);
});

test("the application never gets the token, and all other cookies", async () => {
  const session = await logIn();
  const cases = [
    [session, undefined],
    [`a=1; ${session}`, "a=1"],
    [`${session}; b=2`, "b=2"],
    [`a=1; ${session}; b=2; c=3`, "a=1; b=2; c=3"],
    [`a=1; b=2; x${COOKIE}=1; ${session}`, undefined], // two of that name, almost: none
    [`${session}; ${session}`, undefined],
    ["a=1", "a=1"],
  ];
  for (const [sent, expected] of cases) {
    const { status, text } = await get("/app/x", { cookie: sent });
    if (!sent.includes(session)) {
      assert.equal(status, 401);
      continue;
    }
    assert.equal(status, 200, sent);
    assert.equal(JSON.parse(text).cookie, expected, sent);
    assert.ok(!text.includes(session.split("=")[1]));
  }
});

test("a change that another site sends is refused", async () => {
  const cookie = await logIn();
  const post = (headers) => status("POST", "/app/x", { cookie, ...headers });
  assert.equal(await post({ "sec-fetch-site": "same-origin", origin: nginx.url }), 200);
  assert.equal(await post({ origin: nginx.url }), 200);
  assert.equal(await post({}), 200, "no browser");
  for (const site of ["cross-site", "same-site", "nonsense", "Same-Origin, none"]) {
    assert.equal(await post({ "sec-fetch-site": site }), 403, site);
  }
  for (const from of ["https://evil.example", "null", `${nginx.url}.evil.example`, `${nginx.url}/`]) {
    assert.equal(await post({ origin: from }), 403, from);
  }
  for (const method of ["PUT", "DELETE", "PATCH", "PROPFIND", "POST"]) {
    assert.equal(await status(method, "/app/x", { cookie, "sec-fetch-site": "cross-site" }), 403, method);
  }
  for (const method of ["GET", "HEAD", "OPTIONS"]) {
    assert.equal(await status(method, "/app/x", { cookie, "sec-fetch-site": "cross-site" }), 200, method);
  }
  const upgrade = { cookie, upgrade: "websocket", connection: "upgrade", origin: "https://evil.example" };
  assert.equal(await status("GET", "/app/x", upgrade), 403, "a WebSocket");
});

test("nothing that a client writes becomes a parameter of the question", async () => {
  const lies = ["&access=optional", "none&access=optional", "same-origin&access=public&level=0", "%26access=optional", "x y", "?access=optional"];
  for (const lie of lies) {
    for (const name of ["origin", "sec-fetch-site", "sec-fetch-mode", "host", "x-original-uri", "x-forwarded-method", "cookie"]) {
      if (name === "host" && /[ ?&%]/.test(lie)) continue; // nginx refuses these itself
      assert.equal(await status("GET", "/", { [name]: lie }), 401, `${name}: ${lie}`);
      const code = await status("POST", "/app/x", { [name]: lie });
      assert.ok([401, 403].includes(code), `POST ${name}: ${lie}: ${code}`);
    }
    assert.equal(await status("GET", `/app/?${lie.replaceAll(" ", "+")}`), 401);
  }
  assert.equal(await status("GET", "/app/x?access=optional&level=0", { authorization: `Bearer ${key.key}` }), 401);
});

test("a client cannot ask itself, nor administer", async () => {
  const cookie = await logIn();
  const closed = ["/_warifu_required", "/_warifu_strong", "/_warifu/verify?access=optional", "/_warifu/sessions?subject=alice", "/_warifu/metrics"];
  for (const where of closed) {
    for (const authorization of [`Bearer ${ops.key}`, `Bearer ${key.key}`]) {
      assert.equal((await get(where, { cookie, authorization })).status, 404, where);
    }
  }
  for (const where of ["/_warifu/me/..%2fsessions?subject=alice", "/_warifu/me/%2e%2e/sessions?subject=alice", "/_warifu/logout/../sessions"]) {
    const { status, text } = await get(where, { cookie, authorization: `Bearer ${ops.key}` });
    assert.ok(status >= 400 && !text.includes("absolute_expires"), `${where}: ${status}`);
  }
  for (const own of ["/_warifu/me", "/_warifu/me/sessions"]) {
    assert.equal((await get(own, { cookie })).status, 200, `one's own calls are there: ${own}`);
  }
});

test("after the logout the next request is refused", async () => {
  const [cookie, other] = [await logIn(), await logIn()];
  assert.equal((await get("/", { cookie })).status, 200);
  assert.equal(await status("POST", "/_warifu/logout", { cookie, "sec-fetch-site": "cross-site" }), 403);
  assert.equal((await get("/", { cookie })).status, 200);
  const logout = await nginx.fetch("/_warifu/logout", { method: "POST", headers: { cookie, "sec-fetch-site": "same-origin" } });
  assert.equal(logout.status, 204);
  assert.match(logout.headers.getSetCookie()[0], new RegExp(`^${COOKIE}=; .*Max-Age=0`));
  assert.equal((await get("/", { cookie })).status, 401);
  assert.equal((await get("/", { cookie: other })).status, 200);
});

test("after an administrator's kill the next request is refused", async () => {
  const [one, two] = [await mint({ subject: "bob" }), await mint({ subject: "bob" })];
  assert.deepEqual([(await get("/", one)).status, (await get("/", two)).status], [200, 200]);
  await admin("DELETE", `sessions/${one.id}`);
  assert.deepEqual([(await get("/", { cookie: one.cookie })).status, (await get("/", { cookie: two.cookie })).status], [401, 200]);
  await admin("DELETE", "sessions?subject=bob");
  assert.equal((await get("/", { cookie: two.cookie })).status, 401);
});

test("a browser that missed its newer cookie gets it with the page", async () => {
  const old = await logIn();
  const rotated = sessionCookie(await gateway.fetch("/rotate", { headers: { cookie: old } }));
  const page = await get("/", { cookie: old });
  assert.deepEqual([page.status, page.text], [200, SECRET]);
  assert.deepEqual(page.headers.getSetCookie().map((value) => value.split(";")[0]), [rotated]);
  const behind = await get("/app/x", { cookie: old });
  assert.equal(behind.headers.getSetCookie().length, 1);
  assert.deepEqual((await get("/", { cookie: rotated })).headers.getSetCookie(), []);
});

test("a stronger log-in is asked for where it is wanted", async () => {
  const weak = await logIn();
  const browser = await get("/vault/?x=1", { cookie: weak, ...BROWSER });
  assert.deepEqual([browser.status, browser.headers.get("location")], [302, "/login?return_to=/vault/?x=1&step_up=2"]);
  const program = await get("/vault/", { cookie: weak });
  assert.equal(program.status, 403);
  assert.ok(!program.text.includes(SECRET));
  const strong = await mint({ subject: "alice", level: 2 });
  assert.equal((await get("/vault/", { cookie: strong.cookie })).text, SECRET);
  assert.equal((await get("/vault/", BROWSER)).headers.get("location"), "/login?return_to=/vault/");
});

test("the longest names and claims fit", async () => {
  const { cookie } = await mint({ subject: "割".repeat(85), claims: { a: "x".repeat(2_040) } });
  const { status, text } = await get("/app/x", { cookie });
  assert.equal(status, 200);
  assert.equal(JSON.parse(text)["warifu-subject"], encodeURIComponent("割".repeat(85)));
});

// nginx's auth_request knows three outcomes: let through, 401 or 403, and anything else,
// which is 500. So a store out of reach is 500 here where the gateway says 503; what
// matters is that it is never taken for `logged out` and never let through.
test("without the gateway nothing is let through, and nobody is sent to the login", async () => {
  const cookie = await logIn();
  await gateway.close();
  gateway = undefined;
  for (const headers of [{ cookie }, { cookie, ...BROWSER }, {}]) {
    for (const where of ["/", "/app/x", "/vault/"]) {
      const answer = await get(where, headers);
      assert.equal(answer.status, 500, where);
      assert.ok(!answer.text.includes(SECRET));
    }
  }
  assert.equal(await status("GET", "/login"), 502);
});
