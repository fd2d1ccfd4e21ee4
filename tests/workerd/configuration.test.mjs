// A bad configuration serves nothing: 500 on every path, and the log says why.
import assert from "node:assert/strict";
import { test } from "node:test";

import { newKeys, start, until } from "./support/gateway.mjs";

const weak = JSON.stringify([{ kid: 1, key: Buffer.alloc(32).toString("base64url") }]);
const cases = [
  ["an unknown key", { warifu: { idel_timeout: "1h" } }, /idel_timeout: unknown key/],
  ["a bad duration", { warifu: { idle_timeout: "30" } }, /idle_timeout: found \\"30\\"/],
  ["no keys", { keys: null }, /WARIFU_KEYS: the secret is not set/],
  ["a weak key", { keys: weak }, /WARIFU_KEYS\[0\]\.key: it is weak/],
  ["a cookie name without __Host-", { warifu: { cookie: { name: "session" } } }, /cookie\.name/],
  [
    "continue on a strict route",
    { warifu: { routes: [{ path: "/x", access: "strict", on_outage: "continue" }] } },
    /routes\[0\]\.on_outage: found \\"continue\\"/,
  ],
  ["a bound that is too short", { warifu: { bound: "249ms" } }, /bound: found \\"249ms\\"/],
  ["a copy in KV without KV", { warifu: { replica: "always" }, kv: false }, /replica: found \\"always\\", and no KV/],
  ["custody without a name", { warifu: { custody: { cookies: [""] } } }, /custody\.cookies: found \\"\\"/],
  ["signed commands without keys", { warifu: { require_signed_commands: true } }, /require_signed_commands: .*WARIFU_ORIGIN_KEYS/],
];

for (const [name, options, says] of cases) {
  test(name, async () => {
    const gateway = await start({ origin: "http://127.0.0.1:9", ...options });
    try {
      for (const path of ["/", "/account", "/_warifu/health"]) {
        const answer = await gateway.fetch(path);
        assert.equal(answer.status, 500, path);
        const problem = await answer.json();
        assert.equal(problem.code, "misconfigured");
        assert.equal(problem.detail, "the Worker's log says what is wrong, in the event misconfigured");
        assert.doesNotMatch(JSON.stringify(problem), says, "the client is not told how");
      }
      await until(() => says.test(gateway.logs()), `the log says ${says}`);
    } finally {
      await gateway.close();
    }
  });
}

test("keys are never in the log", async () => {
  const [good] = JSON.parse(newKeys());
  const gateway = await start({ origin: "http://127.0.0.1:9", keys: JSON.stringify([good, good]) });
  try {
    assert.equal((await gateway.fetch("/")).status, 500);
    await until(() => /WARIFU_KEYS\[1\]/.test(gateway.logs()), "the log says which");
  } finally {
    await gateway.close();
  }
  assert.ok(!gateway.logs().includes(good.key));
});

test("an origin out of reach is 502, with a page for browsers", async () => {
  const gateway = await start({ origin: "http://127.0.0.1:9" });
  try {
    const program = await gateway.fetch("/");
    assert.equal(program.status, 502);
    assert.equal((await program.json()).code, "origin_unreachable");
    const browser = await gateway.fetch("/", { headers: { "sec-fetch-mode": "navigate" } });
    assert.match(await browser.text(), /<h1>The application cannot be reached<\/h1>/);
  } finally {
    await gateway.close();
  }
});
