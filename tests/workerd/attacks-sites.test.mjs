// How other web sites, and caches in between, got what they should not, each break under its
// name; the rules are in docs/attacks.md.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startAttacked } from "./support/attacked.mjs";

let target, cookie;
before(async () => {
  target = await startAttacked();
  cookie = await target.logIn();
});
after(() => target?.close());

const location = (text) => text.match(/^location: (.*)\r$/im)?.[1];

test("Pomerium CVE-2021-29651, mod_auth_openidc CVE-2022-23527: the way to the login stays on this site", async () => {
  for (const path of ["//evil.example", "/\\evil.example", "/%5cevil.example", "/%2fevil.example", "/.//evil.example", "/\tevil.example", "//evil.example/..", "https://evil.example/account"]) {
    const { status, text } = await target.get(path, "Sec-Fetch-Mode: navigate");
    if (status === 302) assert.match(location(text), /^\/login\?return_to=\/[\w.%-]/, path);
    else assert.ok([400, 421].includes(status), `${path}: ${status}`);
  }
  const { text } = await target.get("/account?next=https://evil.example&return_to=//evil.example", "Sec-Fetch-Mode: navigate");
  assert.equal(location(text), "/login?return_to=/account%3Fnext%3Dhttps%3A//evil.example%26return_to%3D//evil.example");
});

test("Authelia GHSA-36f2-fcrx-fp4j, workers-oauth-provider CVE-2025-4143: the way back from the logout stays on this site", async () => {
  const out = async (to) => {
    const body = `return_to=${to}`;
    const lines = ["Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded", `Content-Length: ${body.length}`];
    return target.send(`POST /_warifu/logout HTTP/1.1\nHost: app.test\nConnection: close\n${lines.join("\n")}\n\n${body}`);
  };
  for (const bad of ["//evil.example", "/%5Cevil.example", "https://evil.example", "%09//evil.example", "/%09/evil.example", "/%0d%0aSet-Cookie:a=1", "javascript:alert(1)", "evil.example", "/%E3%80%82evil", "%20/"]) {
    const { status, text } = await out(bad);
    assert.equal(status, 400, bad);
    assert.equal(location(text), undefined, bad);
  }
  assert.equal(location((await out("/bye?x=%252F")).text), "/bye?x=%2F");
  assert.equal(location((await out("/a&return_to=//evil.example")).text), "/a", "the first one counts");
});

test("gorilla/csrf CVE-2025-24358, CVE-2025-47909: another site changes nothing", async () => {
  const post = async (...lines) => (await target.request("POST", "/transfer", `Cookie: ${cookie}`, "Content-Length: 0", ...lines)).status;
  const foreign = [
    ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Sec-Fetch-Site: cross-site", "Origin: http://app.test"], ["Sec-Fetch-Site: nonsense"],
    ["Origin: https://evil.example"], ["Origin: null"], ["Origin: http://app.test.evil.example"], ["Origin: http://app.test:8443"], ["Origin: http://evil.test"],
    ["Origin: https://evil.example", "Referer: http://app.test/"], ["Origin: http://app.test", "Origin: https://evil.example"],
  ];
  for (const lines of foreign) assert.equal(await post(...lines), 403, `${lines}`);
  for (const lines of [["Sec-Fetch-Site: same-origin"], ["Sec-Fetch-Site: none"], ["Origin: http://app.test"]]) assert.equal(await post(...lines), 200, `${lines}`);
  for (const method of ["PUT", "DELETE", "PATCH"]) {
    const { status, arrived } = await target.request(method, "/transfer", `Cookie: ${cookie}`, "Sec-Fetch-Site: cross-site", "Content-Length: 0");
    assert.deepEqual([status, arrived], [403, []], method);
  }
});

test("method overrides: a GET stays one", async () => {
  const names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x_http_method_override", "X.Method.Override"];
  for (const path of ["/transfer", "/public/x"]) {
    const { arrived } = await target.get(path, `Cookie: ${cookie}`, "Sec-Fetch-Site: cross-site", ...names.map((name) => `${name}: DELETE`));
    assert.deepEqual(arrived.map(({ method }) => method), ["GET"]);
    assert.ok(!JSON.stringify(arrived[0].headers).includes("DELETE"));
  }
  const { status, arrived } = await target.request("POST", "/public/x", "X-HTTP-Method-Override: GET", "Content-Length: 0");
  assert.deepEqual([status, arrived], [401, []], "a rule for GET is not one for POST");
});

test("logout CSRF: another site ends no session, and neither does a link", async () => {
  const own = await target.logIn();
  const out = async (method, ...lines) => (await target.request(method, "/_warifu/logout", `Cookie: ${own}`, ...lines)).status;
  for (const lines of [["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Origin: https://evil.example"]]) {
    assert.equal(await out("POST", "Content-Length: 0", ...lines), 403, `${lines}`);
  }
  for (const method of ["GET", "HEAD"]) assert.equal(await out(method), 405, method);
  assert.equal((await target.get("/account", `Cookie: ${own}`)).status, 200);
});

test("cross-site WebSocket: an upgrade from elsewhere, or from nowhere, is refused", async () => {
  const upgrade = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
  for (const path of ["/account", "/public/x", "/maybe/x"]) {
    for (const from of ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site", "X-Nothing: x"]) {
      const lines = ["Connection: Upgrade", ...upgrade, `Cookie: ${cookie}`, from].join("\n");
      const { status, arrived } = await target.send(`GET ${path} HTTP/1.1\nHost: app.test\n${lines}\n\n`);
      assert.deepEqual([status, arrived], [403, []], `${path}, ${from}`);
    }
  }
});

test("web cache deception: an answer to somebody is not stored, whatever its path looks like", async () => {
  for (const path of ["/account", "/account/x.css", "/account;x.css", "/account%3Bx.js", "/account/%0A.png", "/account?x.css", "/maybe/x.css", "/login/x.ico"]) {
    const { status, text, arrived } = await target.get(path, `Cookie: ${cookie}`);
    if (status === 400) continue;
    assert.match(text, /^cache-control: no-store\r$/im, path);
    assert.doesNotMatch(text, /max-age=600/, path);
    assert.deepEqual(arrived[0].values("cache-control"), ["no-cache"], "the runtime's sign that no shared cache is used");
    const refused = await target.get(path.startsWith("/account") ? path : `/account${path}`);
    assert.equal(refused.status, 401);
    assert.match(refused.text, /^cache-control: no-store\r$/im, path);
  }
});

test("HTML and header injection: what was asked for is text in every answer of ours", async () => {
  const marks = ["/account?<script>alert(1)</script>", "/account?%3Cscript%3E", '/account?"onload="x', "/account/<b>", "/account?a%0d%0aX-Injected:1", "/account/%0d%0aX-Injected:1", "/_warifu/<script>", "/_warifu/%3Cscript%3E"];
  for (const path of marks) {
    for (const lines of [[], ["Sec-Fetch-Mode: navigate"], ["Accept: text/html"]]) {
      const { text, arrived } = await target.get(path, ...lines);
      assert.deepEqual(arrived, []);
      assert.ok(!/<script|<b>|onload="/.test(text), `${path}\n${text}`);
      assert.ok(!/^x-injected/im.test(text), `${path}\n${text}`);
    }
  }
  const { text } = await target.get("/public/%00", "Sec-Fetch-Mode: navigate");
  assert.match(text, /^content-security-policy: default-src 'none';/im);
});

test("oauth2-proxy clears the cookie on any error: a cookie that opens nothing is left alone", async () => {
  for (const value of [`${cookie}x`, cookie.replace(/.$/, "!"), `${cookie.split("=")[0]}=${"A".repeat(72)}`]) {
    const { status, text } = await target.get("/account", `Cookie: ${value}`);
    assert.equal(status, 401);
    assert.ok(!/^set-cookie/im.test(text), text);
  }
});
