// How gates were made to take one person for another, or to act for somebody who did not
// want it, each break under its name; the rules are in docs/attacks.md.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startAttacked } from "./support/attacked.mjs";
import { COOKIE, told } from "./support/gateway.mjs";

let target, cookie;
before(async () => {
  target = await startAttacked();
  cookie = await target.logIn();
});
after(() => target?.close());

const IDENTITY = ["warifu-subject", "warifu-session", "warifu-level", "warifu-auth-time", "warifu-claims", "remote-user"];
const status = async (path, ...lines) => (await target.get(path, ...lines)).status;

// The headers that arrived with the one request that did.
async function seen(path, ...lines) {
  const { arrived, text } = await target.get(path, ...lines);
  assert.equal(arrived.length, 1, text);
  return arrived[0];
}

test("Authelia GHSA-68wm-pfjf-wqp6, next-auth GHSA-8fpg-xm3f-6cx3, Caddy GO-2026-4539: what cannot be read is refused", async () => {
  const malformed = [
    ["GET", "/account", "Cookie: ="],
    ["GET", "/account", `Cookie: ${COOKIE}`],
    ["GET", "/account", `Cookie: ${COOKIE}=${"%".repeat(72)}`],
    ["GET", "/account", "Authorization: Bearer ", "Cookie: ;;;,"],
    ["GET", "/account", "Host: other.test"],
    ["GET", "/account%", `Cookie: ${cookie}`],
    ["GET", "/public/%zz"],
    ["GET", "account"],
    ["POST", "/maybe/x", "Origin: ://", "Content-Length: 0"],
    ["POST", "/maybe/x", "Sec-Fetch-Site: same-origin, cross-site", "Content-Length: 0"],
    ["POST", "/maybe/x", "Sec-Fetch-Site: ", "Content-Length: 0"],
    ["G@T", "/public/x"],
    ["POST", "/public/x", "Content-Length: 0"],
  ];
  for (const request of malformed) {
    const { status, arrived } = await target.request(...request);
    assert.ok([400, 401, 403, 501].includes(status), `${request}: ${status}`);
    assert.deepEqual(arrived, [], `${request}`);
  }
});

test("oauth2-proxy CVE-2025-64484: no spelling of an identity header gets through", async () => {
  const spellings = ["Warifu-Subject", "warifu_subject", "WARIFU-SUBJECT", "Warifu.Subject", "warifu~subject", "Warifu_subject", "warifu|subject", "Remote_User", "remote.user", "REMOTE-USER"];
  for (const path of ["/public/x", "/maybe/x"]) {
    const { values, headers } = await seen(path, ...spellings.map((name) => `${name}: admin`));
    assert.ok(!JSON.stringify(headers).includes("admin"), path);
    assert.deepEqual(IDENTITY.map(values), IDENTITY.map(() => (path === "/public/x" ? [] : [""])), path);
  }
  const { values, headers } = await seen("/account", `Cookie: ${cookie}`, ...spellings.map((name) => `${name}: admin`));
  assert.ok(!JSON.stringify(headers).includes("admin"));
  assert.deepEqual([values("warifu-subject"), values("remote-user")], [["alice"], ["alice"]]);
});

test("Caddy CVE-2026-30851, CVE-2026-52845, Gogs CVE-2026-25119: the whole list is written, empty where nobody is known", async () => {
  const twice = IDENTITY.flatMap((name) => [`${name}: admin`, `${name}: admin`]);
  for (const path of ["/maybe/x", "/maybe/x?a", "/login"]) {
    const { values } = await seen(path, ...twice, "Cookie: a=1");
    assert.deepEqual(IDENTITY.map(values), IDENTITY.map(() => [""]), path);
  }
  const { values } = await seen("/account", ...twice, `Cookie: ${cookie}`);
  for (const name of IDENTITY) assert.equal(values(name).length, 1, name);
  assert.equal(values("warifu-claims")[0], "", "a claim that the session has not is nobody's to fill");
});

test("Traefik CVE-2026-39858, CVE-2026-35051: Connection nominates no header of ours away", async () => {
  for (const nominated of ["Warifu-Subject", "warifu-subject, remote-user, warifu-session", "close, Warifu-Level", "X-Forwarded-Host", "Cookie"]) {
    const text = `GET /account HTTP/1.1\nHost: app.test\nConnection: ${nominated}\nCookie: ${cookie}\nWarifu-Subject: admin\n\n`;
    const { arrived } = await target.send(text);
    assert.equal(arrived.length, 1, nominated);
    const [{ values }] = arrived;
    assert.deepEqual([values("warifu-subject"), values("remote-user"), values("warifu-level")], [["alice"], ["alice"], ["1"]], nominated);
    assert.deepEqual([values("x-forwarded-host"), values("cookie")], [["app.test"], []], nominated);
  }
});

test("Next.js CVE-2025-29927, oauth2-proxy CVE-2026-34457: no header and no user agent switches the check off", async () => {
  const switches = [
    "X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware", "X-Middleware-Subrequest: src/middleware", "User-Agent: GoogleHC/1.0",
    "User-Agent: kube-probe/1.31", "User-Agent: ELB-HealthChecker/2.0", "X-Forwarded-Host: app.test", "Purpose: prefetch", "Sec-Purpose: prefetch",
    "CF-Worker: warifu", "CF-Connecting-IP: 127.0.0.1", "X-Warifu-Skip: 1", "Accept: */*", "Access-Control-Request-Method: GET", "Authorization: Bearer x",
  ];
  for (const line of switches) {
    assert.equal(await status("/account", line), 401, line);
    assert.equal((await target.request("OPTIONS", "/account", line)).status, 401, line);
    assert.equal((await target.request("HEAD", "/account", line)).status, 401, line);
  }
});

test("Oathkeeper CVE-2026-33495, ZITADEL CVE-2025-64101: what a client says of its way here is worth nothing", async () => {
  const lies = ["X-Forwarded-Host: evil.example", "X_Forwarded_Host: evil.example", "X-Forwarded-Proto: gopher", "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6;host=evil.example", "X-Real-IP: 6.6.6.6"];
  for (const path of ["/public/x", "/maybe/x", "/account"]) {
    const { values, headers } = await seen(path, ...lies, `Cookie: ${cookie}`);
    assert.ok(!/evil|gopher|6\.6\.6/.test(JSON.stringify(headers)), path);
    assert.deepEqual([values("x-forwarded-host"), values("x-forwarded-proto")], [["app.test"], ["http"]]);
  }
  const { text } = await target.get("/account", ...lies, "Sec-Fetch-Mode: navigate");
  assert.match(text, /^location: \/login\?return_to=\/account\r$/im);
});

test("cookie tossing and prefixes: names and values are compared byte for byte", async () => {
  const thiefs = await target.logIn();
  const quoted = cookie.replace("=", '="');
  const none = [
    `Cookie: ${cookie}; ${thiefs}`, `Cookie: a=1\nCookie: ${cookie}`, `Cookie: a=1, ${cookie}`, `Cookie: ${cookie}\xff`, `Cookie: ${quoted}"`,
    `Cookie: \xa0${cookie}`, `Cookie: a=1; \xa0${cookie}`, `Cookie: a=1;  ${cookie}`, `Cookie: ${cookie.replace("=", " =")}`, `Cookie: ${cookie.toLowerCase()}`,
    `Cookie: ${cookie.replace("__Host-", "__host-")}`, `Cookie: ${cookie.replace("__Host-Http-", "")}`, `Cookie: ${cookie.replace("=", "=\t")}`,
  ];
  for (const line of none) assert.equal(await status("/account", line), 401, line);
  for (const line of [`Cookie: ${cookie}`, `Cookie: ${cookie}; ${cookie}; ${COOKIE}=x`, `Cookie: $Version=1; ${cookie}; $Path=/`, `Cookie: \xff=1; ${cookie}`]) {
    assert.equal(await status("/account", line), 200, line);
  }
});

test("oauth2-proxy CVE-2026-34454, mod_auth_openidc (fixation): a log-in takes over nothing that was presented", async () => {
  const old = await target.logIn();
  const planted = `${COOKIE}=${"A".repeat(72)}`;
  const [next, other] = [await target.logIn(`Cookie: ${old}`), await target.logIn(`Cookie: ${planted}`)];
  assert.equal(new Set([old, next, other, planted]).size, 4);
  assert.deepEqual([await status("/account", `Cookie: ${old}`), await status("/account", `Cookie: ${next}`)], [401, 200]);
  assert.equal(await status("/account", `Cookie: ${planted}`), 401);
});

test("Pomerium CVE-2024-39315, Traefik CVE-2026-41181, mod_auth_openidc GHSA-59jp-rwph-878r, nebula-mesh GO-2026-5991: the token goes to no origin and into no log", async () => {
  const token = cookie.split("=")[1];
  const lines = [cookie, `a=1; ${cookie}; b=2`, `a=1, ${cookie}`, `${cookie}; ${cookie}`, `${cookie.replace("=", " =")}; a=1`, `${cookie}\nCookie: b=2`];
  for (const path of ["/public/x", "/maybe/x", "/account"]) {
    for (const line of lines) {
      for (const { headers } of (await target.get(path, `Cookie: ${line}`)).arrived) assert.ok(!JSON.stringify(headers).includes(token), line);
    }
  }
  assert.deepEqual((await seen("/account", `Cookie: a=1; ${cookie}; b=2`)).values("cookie"), ["a=1; b=2"]);
  await told(target.gateway, { event: "session_started" });
  assert.ok(!target.gateway.logs().includes(token.slice(8, 50)));
});
