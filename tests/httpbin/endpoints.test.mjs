// Each endpoint of httpbin, asked directly, through the gateway, and through a Worker that
// does nothing: whatever differs is listed here, with who does it and why. What stands in the
// list and differs no more fails too. Only in CI, like the tests of requests.
import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, test } from "node:test";
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";

import { start } from "../workerd/support/gateway.mjs";
import { CASES } from "./cases.mjs";
import { startHttpbin } from "./support.mjs";

// [who, what, reason]. `what` matches a line `METHOD target | difference`. What the platform
// does must be seen with the Worker that does nothing as well, and what warifu does must not.
const DIFFERENCES = [
  ["platform", /\| request accept-encoding: .* → br, gzip$/, "it can decode these two, and asks for them always"],
  ["platform", /\| request connection: close → undefined$/, "its connections are its own"],
  ["platform", /\| request te: trailers → undefined$/, "it passes on no trailers"],
  ["platform", /\| request cf-worker: undefined → \S+$/, "it names the Worker's zone"],
  ["platform", /^DELETE .*\| request content-length: undefined → 0$/, "it says of a request without a body that it has none"],
  ["platform", /^FOO .*\| 501 Not Implemented, without httpbin$/, "it knows no other methods than those that are registered"],
  ["platform", /^GET \/anything \| 400 Bad Request, without httpbin$/, "a GET with a body, which it cannot send"],
  ["platform", /\| answer trailer: x → undefined$/, "it passes on no trailers"],
  ["platform", /\| answer content-type: (\S+) & (\S+) → \1, \2$/, "one line for each name but Set-Cookie"],
  ["platform", /\| answer content-encoding: \S+ → \S+$/, "texts in the coding that the client likes best"],
  ["platform", /\| answer content-length: right → undefined$/, "texts: it has coded them anew, or may have"],
  ["platform", /\| answer transfer-encoding: undefined → chunked$/, "the same"],
  ["warifu", /\| request x-forwarded-(host|for|proto): .* → (HOST|127\.0\.0\.1|http)$/, "whom the client asked, and who it is"],
  ["warifu", /\| request x-real-ip: .* → 127\.0\.0\.1$/, "the same, for what Cloudflare makes of it"],
  ["warifu", /\| request forwarded: .* → for=127\.0\.0\.1;host="HOST";proto=http$/, "the same, as RFC 7239 has it"],
  ["warifu", /\| request host: a\.test → HOST$/, "httpbin believes X-Forwarded-Host, and the client's own is not passed on"],
  ["warifu", /show_env.*\| body: .*"origin":"1\.2\.3\.4".* → .*"origin":"127\.0\.0\.1"/, "so it is with X-Forwarded-For"],
  ["warifu", /\| request (warifu-subject|x-http-method-override): \S+ → undefined$/, "nobody says that for the client"],
  ["warifu", /\| answer warifu-\w+: \S+ → undefined$/, "meant for warifu only"],
  ["warifu", /^GET \/anything\/%zz \| 400 Bad Request, without httpbin$/, "not a path: a % without two hex digits"],
  ["warifu", /^GET \/status\/520 \| 502 Bad Gateway, without httpbin$/, "a status of Cloudflare's, for an application that gave no answer"],
  ["warifu", /^TRACE .*\| 405 Method Not Allowed, without httpbin$/, "what comes back would show what only the application may know"],
];

let httpbin, bare, gateway;
const found = [];
before(async () => {
  httpbin = await startHttpbin();
  const public_ = { origin: httpbin.url, warifu: { routes: [{ path: "/*", access: "public" }] } };
  gateway = await start(public_);
  bare = await start({ ...public_, build: "tests/httpbin/bare" });
  for (const one of CASES) {
    // One after the other: httpbin's threads draw from one generator.
    const [direct, plain, through] = [await ask(httpbin.url, one), await ask(bare.url, one), await ask(gateway.url, one)];
    const name = `${one[0]} ${one[1]}`;
    found.push({ name, type: through.fields["content-type"]?.[0], platform: differences(direct, plain), warifu: differences(direct, through) });
  }
});
after(async () => {
  await bare?.close();
  await gateway?.close();
  await httpbin?.stop();
});

// The answer as it came, with the asked address as BASE, whatever that is.
async function ask(base, [method, target, { headers = {}, body, chunks } = {}]) {
  const sent = http.request(base + target.replaceAll("BASE", encodeURIComponent(base)), { method, headers, agent: false });
  let continued = false;
  sent.on("continue", () => {
    continued = true;
    sent.end(body);
  });
  if (headers.expect !== undefined) sent.flushHeaders();
  else {
    for (const chunk of chunks ?? []) sent.write(chunk);
    sent.end(body);
  }
  const [answer] = await once(sent, "response");
  const parts = [];
  for await (const part of answer) parts.push(part);
  const bytes = Buffer.concat(parts);
  const neutral = (text) => text.replaceAll(base, "BASE").replaceAll(new URL(base).host, "HOST");
  const fields = {};
  for (let i = 0; i < answer.rawHeaders.length; i += 2) (fields[answer.rawHeaders[i].toLowerCase()] ??= []).push(neutral(answer.rawHeaders[i + 1]));
  const plain = decoded(bytes, fields["content-encoding"]?.[0]).toString("latin1");
  const status = `${answer.statusCode} ${answer.statusMessage}`;
  return { method, status, continued, fields, length: bytes.length, ...parsed(neutral(plain)) };
}

function decoded(bytes, coding) {
  if (bytes.length === 0) return bytes;
  if (coding === "gzip") return gunzipSync(bytes);
  if (coding === "br") return brotliDecompressSync(bytes);
  return coding === "deflate" ? inflateSync(bytes) : bytes;
}

// The headers that httpbin got are compared by themselves; of /stream, each line has some.
function parsed(text) {
  const whole = json(text);
  const parts = whole === undefined ? text.trim().split("\n").map(json) : [whole];
  if (!parts.every((part) => typeof part?.headers === "object")) return { body: text, seen: {} };
  return { body: parts.map(({ headers, ...rest }) => JSON.stringify(rest)).join("\n"), seen: parts[0].headers };
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// What differs, a line for each thing.
function differences(a, b) {
  const lines = [];
  const compare = (what, x, y) => x === y || lines.push(`${what}: ${x} → ${y}`);
  if (b.fields.server === undefined) return [`${b.status}, without httpbin`];
  compare("status", a.status, b.status);
  compare("100 Continue", a.continued, b.continued);
  if (a.body !== b.body) lines.push(`body: ${a.body.slice(0, 200)} → ${b.body.slice(0, 200)}`);
  for (const name of new Set([...Object.keys(a.fields), ...Object.keys(b.fields)])) {
    if (name === "date") continue; // each writes its own second
    compare(`answer ${name}`, field(a, name), field(b, name));
  }
  for (const name of new Set([...Object.keys(a.seen), ...Object.keys(b.seen)])) {
    compare(`request ${name.toLowerCase()}`, a.seen[name], b.seen[name]);
  }
  return lines;
}

function field({ fields, length, method }, name) {
  if (name === "content-length" && method !== "HEAD" && Number(fields[name]) === length) return "right";
  return fields[name]?.join(" & ");
}

const lines = ({ name, warifu }) => warifu.map((line) => `${name} | ${line}`);

test("what differs is listed, and done by whom the list says", (t) => {
  for (const one of found) {
    for (const line of lines(one)) {
      const listed = DIFFERENCES.filter(([, what]) => what.test(line));
      assert.equal(listed.length, 1, `${listed.length} entries for: ${line}`);
      const isPlatforms = one.platform.some((other) => line === `${one.name} | ${other}`);
      assert.equal(listed[0][0], isPlatforms ? "platform" : "warifu", line);
    }
  }
  const same = found.filter(({ warifu }) => warifu.every((line) => line.startsWith("request ")));
  assert.ok(same.length >= 80);
  t.diagnostic(`${found.length} requests; ${same.length} answers are the same in all headers and bytes`);
});

test("what is listed differs", () => {
  const all = found.flatMap(lines);
  for (const [, what] of DIFFERENCES) assert.ok(all.some((line) => what.test(line)), `nothing differs as ${what} says`);
});

// The platform codes texts anew, and then does not know their length. Nothing else is coded.
test("only texts lose their length, and only they are coded anew", () => {
  const framing = /\| answer (content-length|content-encoding|transfer-encoding):/;
  const lost = found.filter((one) => lines(one).some((line) => framing.test(line)));
  assert.ok(lost.length > 20);
  for (const { name, type } of lost) assert.match(type, /^(text\/|application\/json)/, name);
});
