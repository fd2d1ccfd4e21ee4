// How gates were made to see another path than their origins, each break under its name; the
// rules are in docs/attacks.md. Raw sockets, since client libraries tidy up what they send.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startAttacked } from "./support/attacked.mjs";

let target, cookie;
before(async () => {
  target = await startAttacked();
  cookie = await target.logIn();
});
after(() => target?.close());

// Refused, by anyone, and nothing arrived.
async function refused(paths, statuses, ...lines) {
  for (const path of paths) {
    const { status, arrived } = await target.get(path, ...lines);
    assert.ok(statuses.includes(status), `${path}: ${status}`);
    assert.deepEqual(arrived, [], path);
  }
}

// It arrives, and as this.
async function arrives(path, as, ...lines) {
  const { status, arrived } = await target.get(path, ...lines);
  assert.deepEqual([status, arrived.map((one) => one.target)], [200, [as]], path);
}

test("oauth2-proxy CVE-2025-54576: a query does not change which rule matches", async () => {
  await refused(["/account?/public/x", "/account?x=/public/x", "/account?/../public/x", "/public/admin/x?/public/y", "/account?%2fpublic%2fx"], [401]);
  await arrives("/public/x?/account", "/public/x?/account");
});

test("oauth2-proxy CVE-2026-41059: a # does not change which rule matches", async () => {
  await refused(["/account#/public/x", "/account#/../public/x", "/account%23/public/x", "/public/../account#", "/account%2523/public/x"], [400, 401]);
  await arrives("/public/x#/account", "/public/x");
});

test("oauth2-proxy CVE-2026-40575: a header does not change the path", async () => {
  for (const name of ["X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL", "x_original_url", "X-Forwarded-Path", "X-Forwarded-Prefix"]) {
    await refused(["/account"], [401], `${name}: /public/x`);
  }
  for (const name of ["X-Forwarded-Uri", "X-Original-URL", "X.Rewrite_URL", "SCRIPT_NAME"]) {
    const { arrived } = await target.get("/public/x", `${name}: /account`);
    assert.ok(!JSON.stringify(arrived).includes("/account"), name);
  }
});

test("Oathkeeper GHSA-p224-6x5r-fjpm: .. leads nowhere that the rule does not see", async () => {
  const ups = ["..", "%2e%2e", ".%2E", "%2E.", "..;", "..;x=1", "%2e%2e;", "..%2f..", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%252e%252e"];
  for (const up of ups) await refused([`/public/${up}/account`, `/public/x/${up}/admin/x`, `/public/${up}/public/${up}/account`], [400, 401]);
  await refused(["/public/..\\account", "/public\\..\\account", "/public/./admin/x", "/./account"], [400, 401]);
});

test("Traefik CVE-2025-66490, CVE-2026-48020: encoded separators and control characters are refused", async () => {
  for (const code of ["%2f", "%2F", "%5c", "%5C", "%00", "%0d%0aX:y", "%0a", "%09", "%7f", "%7F"]) {
    await refused([`/public${code}x`, `/public/x${code}`, `/public/x${code}..${code}account`, `/public/..${code}account`], [400]);
  }
  await refused(["//account", "/public//account", "//public/x", "/public/x//", "/public/\\account", "/public/a b", "/public/\xe4", "/public/%", "/public/%4", "/public/%zz"], [400, 401]);
});

test("Heimdall CVE-2026-42274: what is matched is what is forwarded", async () => {
  await arrives("/publi%63/%7Ea%c3%a4%7c'?q=%2f..%2F//&%zz", "/public/~a%C3%A4%7C'?q=%2f..%2F//&%zz");
  await arrives("/account/%61", "/account/a", `Cookie: ${cookie}`);
  await refused(["/%61ccount", "/public/%61dmin/x", "/%70ublic/admin"], [401]);
});

test("Keycloak CVE-2026-15573: a path with parameters gets the stricter rule", async () => {
  await refused(["/public/admin;x", "/public/admin;x=1/y", "/public;/admin/x", "/public/admin%3Bx", "/account;/public/x", "/account;.css"], [401]);
  await refused(["/public/;/admin/x", "/public/;x/admin", "/;/account", "/public/.;/admin/x"], [400]);
  await arrives("/public/x;v=1", "/public/x;v=1");
});

test("Caddy CVE-2026-27587: the case of %xx changes no match", async () => {
  await refused(["/public/caf%C3%A9", "/public/caf%c3%a9", "/public/caf%C3%a9", "/public/c%61f%c3%A9"], [401]);
  await arrives("/public/%c3%a9", "/public/%C3%A9");
});

test("fasthttp GO-2026-4950: what is encoded twice is refused", async () => {
  const twice = ["%252f", "%255c", "%2500", "%252e%252e", "%2561dmin", "%25%32%66", "%25252f", "%2525252e"];
  for (const code of twice) await refused([`/public/${code}/x`, `/public/..${code}account`, `/${code}account`], [400]);
  await arrives("/public/100%25", "/public/100%25");
});

test("Pingora CVE-2025-4366, CVE-2026-2833, -2835, -2836: no request gets past the gate inside of another", async () => {
  const inner = "GET /account HTTP/1.1\nHost: app.test\nWarifu-Subject: admin\nX-Inner: 1\n\n";
  const size = inner.replaceAll("\n", "\r\n").length;
  const outer = (lines, body, method = "POST") => `${method} /maybe/x HTTP/1.1\nHost: app.test\n${lines.map((line) => `${line}\n`).join("")}\n${body}`;
  const tricks = [
    outer([`Content-Length: ${size + 5}`, "Transfer-Encoding: chunked"], `0\n\n${inner}`),
    outer(["Transfer-Encoding: chunked", "Content-Length: 0"], `0\n\n${inner}`),
    outer(["Content-Length: 0", `Content-Length: ${size}`], inner),
    outer([`Content-Length: 0, ${size}`], inner),
    outer(["Transfer-Encoding: xchunked"], `0\n\n${inner}`),
    outer(["Transfer-Encoding: chunked, identity"], `0\n\n${inner}`),
    outer(["Transfer-Encoding : chunked"], `0\n\n${inner}`),
    outer(["Transfer-Encoding:\x0bchunked"], `0\n\n${inner}`),
    outer(["Content-Length: +0"], inner),
    outer(["Content-Length: 0"], inner),
    outer(["Upgrade: websocket", "Connection: Upgrade", "Origin: http://app.test"], inner, "GET"),
    outer(["Expect: 100-continue", "Content-Length: 0"], inner),
  ];
  let outside = 0;
  for (const trick of tricks) {
    const { arrived, text } = await target.send(trick);
    outside += arrived.length;
    assert.ok(arrived.every((one) => one.target === "/maybe/x"), `${trick}\n${text}`);
    assert.ok(!JSON.stringify(arrived.map(({ headers }) => headers)).includes("admin"), trick);
  }
  assert.ok(outside > 0, "the one around it is let through where it is in order");
});
