// What the scan looks with: each way of writing is found wherever it stands, and nothing else is.
import assert from "node:assert/strict";
import { randomBytes, randomInt } from "node:crypto";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { formsOf } from "./forms.mjs";
import { answersIn, requestsIn } from "./messages.mjs";
import { PATTERN_BYTES_MIN, Search } from "./search.mjs";
import { Secrets } from "./secrets.mjs";

test("patterns of all lengths are found at every place, also at the ends and one over the other", () => {
  const patterns = Array.from({ length: 60 }, (_, n) => randomBytes(PATTERN_BYTES_MIN + n));
  const search = new Search(patterns);
  for (const [index, pattern] of patterns.entries()) {
    for (let offset = 0; offset < 24; offset += 1) {
      const bytes = Buffer.concat([randomBytes(offset), pattern, randomBytes(randomInt(3))]);
      assert.deepEqual(search.find(bytes), [{ pattern: index, at: offset }]);
      // A part of a buffer, as what comes from a socket is.
      const within = Buffer.concat([randomBytes(3), bytes]).subarray(3);
      assert.deepEqual(search.find(within), [{ pattern: index, at: offset }]);
    }
    assert.deepEqual(search.find(pattern.subarray(1)), []);
  }
  const twice = new Search([Buffer.alloc(16, "a"), Buffer.alloc(15, "a")]);
  assert.equal(twice.find(Buffer.alloc(17, "a")).length, 5);
});

test("it finds what a naive search finds, among thousands", () => {
  const patterns = Array.from({ length: 1_000 }, () => randomBytes(16));
  const bytes = randomBytes(100_000);
  for (let n = 0; n < 100; n += 1) patterns[randomInt(patterns.length)].copy(bytes, randomInt(bytes.length));
  const found = new Search(patterns).find(bytes);
  const naive = patterns.flatMap((pattern, index) => (bytes.includes(pattern) ? [{ pattern: index, at: bytes.indexOf(pattern) }] : []));
  assert.ok(naive.length > 50);
  for (const one of naive) assert.ok(found.some(({ pattern, at }) => pattern === one.pattern && at === one.at));
  for (const { pattern, at } of found) assert.ok(bytes.subarray(at, at + 16).equals(patterns[pattern]));
});

test("whatever is too short to be looked for is a mistake", () => {
  assert.throws(() => new Search([Buffer.alloc(PATTERN_BYTES_MIN - 1)]), /pattern/);
});

// As others write them, not as forms.mjs does.
const WAYS = {
  "as it is": (bytes) => bytes,
  hexadecimal: (bytes) => bytes.toString("hex"),
  "hexadecimal in capitals": (bytes) => bytes.toString("hex").toUpperCase(),
  base64: (bytes) => bytes.toString("base64"),
  base64url: (bytes) => bytes.toString("base64url"),
  "base64 in an address": (bytes) => encodeURIComponent(bytes.toString("base64")),
  "a list of numbers": (bytes) => JSON.stringify([...bytes]),
  "UTF-16": (bytes) => Buffer.from(bytes.toString("latin1"), "utf16le"),
  "a form": (bytes) => new URLSearchParams({ a: bytes.toString("base64") }).toString(),
  "percent-encoded": (bytes) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  "percent-encoded in capitals": (bytes) => [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join(""),
  backwards: (bytes) => Buffer.from(bytes).reverse(),
  "base64 backwards": (bytes) => Buffer.from(bytes).reverse().toString("base64"),
};

for (const [way, write] of Object.entries(WAYS)) {
  test(`a part of a token is found: ${way}`, () => {
    for (let round = 0; round < 30; round += 1) {
      const token = randomBytes(54);
      const secrets = new Secrets();
      secrets.token(token.toString("base64url"), "here");
      for (const [from, to] of [[0, 54], [6, 22], [22, 38], [38, 54]]) {
        for (const before of [0, 1, 2]) {
          const written = Buffer.from(write(Buffer.concat([randomBytes(before), token.subarray(from, to), randomBytes(2)])));
          assert.notDeepEqual(secrets.find(Buffer.concat([Buffer.from("{"), written])), [], `${from} to ${to} after ${before}: ${written}`);
        }
      }
      assert.deepEqual(secrets.find(Buffer.from(write(randomBytes(54)))), []);
    }
  });
}

test("each form is what its name says, once", () => {
  for (let round = 0; round < 100; round += 1) {
    const forms = formsOf(randomBytes(16)).map(([, form]) => form.toString("latin1"));
    assert.equal(new Set(forms).size, forms.length);
  }
});

test("bodies are looked at without the framing of chunks, and decoded", () => {
  const text = "the body of an answer, which comes in two parts";
  const body = gzipSync(text);
  const chunk = (part) => Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]);
  const head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
  const bytes = Buffer.concat([Buffer.from(head), chunk(body.subarray(0, 11)), chunk(body.subarray(11)), Buffer.from("0\r\n\r\n"), Buffer.from("HTTP/1.1 204 No\r\n\r\n")]);
  const requests = requestsIn(Buffer.from("GET /a HTTP/1.1\r\nHost: a\r\n\r\nPUT /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"));
  const [answer, next] = answersIn(bytes, requests);
  assert.deepEqual([answer.body.toString(), answer.request.target, next.status, next.request.target], [text, "/a", 204, "/b"]);
  assert.equal(requests[1].body.toString(), "ab");
});

test("what is no HTTP, what comes after a change of protocol, and what does not end, is looked at as it came", () => {
  const all = (bytes) => answersIn(Buffer.from(bytes), []).map(({ head, body }) => `${head}${body}`).join("");
  for (const [bytes, wanted] of [
    ["nonsense\r\n", "nonsense"],
    ["HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes", "frames"],
    ["HTTP/1.1 200 OK\r\nX-Cut: in the mid", "in the mid"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nin the mid", "in the mid"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nin the mid", "in the mid"],
    ["HTTP/1.1 204 No\r\n\r\nnonsense", "nonsense"],
  ]) {
    assert.ok(all(bytes).includes(wanted), bytes);
  }
});

test("a request that is no HTTP has an answer all the same", () => {
  const requests = requestsIn(Buffer.from("nonsense\r\n\r\n"));
  const [answer] = answersIn(Buffer.from("HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"), requests);
  assert.deepEqual([answer.status, answer.body.toString(), answer.request.method], [400, "no", undefined]);
});

test("a key of zeros is no secret, and any other is", () => {
  const secrets = new Secrets();
  secrets.key("key", "A".repeat(43), "here");
  assert.deepEqual(secrets.find(Buffer.alloc(100)), []);
  const key = randomBytes(32);
  secrets.key("key", key.toString("base64url"), "here");
  assert.notDeepEqual(secrets.find(Buffer.concat([Buffer.alloc(50), key.subarray(16)])), []);
});
