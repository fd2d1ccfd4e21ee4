// Bodies of any size pass through a protected route, and the Worker's memory stays as it is:
// nothing is kept, and who reads slowly holds back who writes. Runs by name only, since it
// takes a minute or two, and on Linux only, since it reads /proc.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import http from "node:http";
import { after, before, test } from "node:test";

import { newAdminKey, start, until } from "../workerd/support/gateway.mjs";

const MIB = 1 << 20;
const BULK_BYTES = Number(process.env.WARIFU_BULK_MIB ?? 2048) * MIB;
const WARM_BYTES = 64 * MIB;
const GROWTH_MAX = 64 * MIB;
// What may be on the way: three connections, whose buffers the kernel may let grow to 36 MiB
// each; 55 in all have been seen. The runtimes' memory has the limit above, whatever this is.
const IN_FLIGHT_MAX = 128 * MIB;

// Bodies repeat one block. Twice, so that any part of a body is a part of this.
const block = randomBytes(MIB);
const twice = Buffer.concat([block, block]);

const ops = newAdminKey();
let origin, gateway, headers;
before(async () => {
  origin = await startOrigin();
  // The scan gets the heads; every byte of the bodies is compared here.
  gateway = await start({ origin: origin.url, adminKeys: [ops], warifu: { routes: [] }, limit: 64 * 1024 });
  const authorization = `Bearer ${ops.key}`;
  const minted = await gateway.fetch("/_warifu/sessions", { method: "POST", headers: { authorization }, body: '{"subject":"alice"}' });
  headers = { cookie: (await minted.json()).set_cookie.split(";")[0] };
});
after(async () => {
  await gateway?.close();
  origin?.stop();
});

// --- both ends ------------------------------------------------------------------------

// Sends `?bytes=…`, and takes in what comes; `held` keeps it from reading.
async function startOrigin() {
  const seen = { sent: 0, subjects: new Set(), held: false, release: () => {} };
  const server = http.createServer(async (request, answer) => {
    seen.subjects.add(request.headers["warifu-subject"]);
    const bytes = Number(new URL(request.url, "http://origin").searchParams.get("bytes"));
    if (request.method === "GET") {
      answer.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
      await write(answer, bytes, (sent) => (seen.sent = sent)).catch(() => {});
      return;
    }
    if (seen.held) await new Promise((resolve) => (seen.release = resolve));
    answer.end(await read(request).catch((error) => error.message));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { seen, url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

async function write(stream, bytes, progress = () => {}) {
  let sent = 0;
  const gone = once(stream, "close").then(() => Promise.reject(new Error("closed")));
  gone.catch(() => {});
  while (sent < bytes) {
    const part = block.subarray(0, Math.min(block.length, bytes - sent));
    if (!stream.write(part)) await Promise.race([once(stream, "drain"), gone]);
    progress((sent += part.length));
  }
  stream.end();
}

// How much came, if all of it was right.
async function read(stream) {
  let bytes = 0;
  for await (const part of stream) {
    const at = bytes % block.length;
    assert.ok(part.equals(twice.subarray(at, at + part.length)), `another byte in the ${part.length} from ${bytes}`);
    bytes += part.length;
  }
  return String(bytes);
}

async function download(bytes) {
  const [answer] = await once(http.get(`${gateway.url}/bulk?bytes=${bytes}`, { headers, agent: false }), "response");
  assert.equal(answer.statusCode, 200);
  return answer;
}

function upload(bytes) {
  const request = http.request(`${gateway.url}/bulk`, {
    method: "POST",
    headers: { ...headers, "content-length": bytes },
    agent: false,
  });
  const answered = once(request, "response").then(async ([answer]) => {
    let text = "";
    for await (const part of answer.setEncoding("utf8")) text += part;
    return text;
  });
  answered.catch(() => {}); // where the writing fails, that is what is told
  return { request, answered };
}

// --- memory -----------------------------------------------------------------------------

// The runtimes that this process has started: that of the Worker, and the one in front of
// it that belongs to wrangler.
function runtimes() {
  const found = readdirSync("/proc").filter((pid) => {
    try {
      return status(pid, "PPid") === process.pid && readFileSync(`/proc/${pid}/comm`, "utf8") === "workerd\n";
    } catch {
      return false; // ended meanwhile, or no process
    }
  });
  assert.equal(found.length, 2, `${found.length} runtimes`);
  return found;
}

const status = (pid, name) => Number(new RegExp(`^${name}:\\s*(\\d+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]);

// By how many bytes each runtime's memory was above that of now, at its highest.
async function growth(work) {
  const pids = runtimes();
  const earlier = pids.map((pid) => {
    writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the highest is counted from now
    return status(pid, "VmRSS");
  });
  await work();
  return pids.map((pid, at) => (status(pid, "VmHWM") - earlier[at]) * 1024);
}

const mib = (bytes) => `${Math.round(bytes / MIB)} MiB`;

function flat(t, grown, what) {
  t.diagnostic(`${what}: the memory grew by ${grown.map(mib).join(" and ")}`);
  for (const bytes of grown) assert.ok(bytes < GROWTH_MAX, `${what}: ${mib(bytes)}`);
}

// --- tests ------------------------------------------------------------------------------

test("a download is never kept", async (t) => {
  assert.equal(await read(await download(WARM_BYTES)), String(WARM_BYTES));
  const began = performance.now();
  const grown = await growth(async () => assert.equal(await read(await download(BULK_BYTES)), String(BULK_BYTES)));
  flat(t, grown, `${mib(BULK_BYTES)} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
});

test("an upload is never kept", async (t) => {
  const send = async (bytes) => {
    const { request, answered } = upload(bytes);
    await write(request, bytes);
    assert.equal(await answered, String(bytes));
  };
  await send(WARM_BYTES);
  const began = performance.now();
  const grown = await growth(() => send(BULK_BYTES));
  flat(t, grown, `${mib(BULK_BYTES)} in ${((performance.now() - began) / 1000).toFixed(1)} s`);
});

// Nothing moves any more: the same number for a second.
async function stands(progress) {
  let last = -1;
  let since = 0;
  await until(() => {
    const now = progress();
    if (now !== last) [last, since] = [now, performance.now()];
    return now > 0 && performance.now() - since > 1_000;
  }, "it stands");
  return last;
}

test("a client that does not read holds the application back", async (t) => {
  const bytes = 512 * MIB;
  let answer;
  const grown = await growth(async () => {
    answer = await download(bytes);
    const sent = await stands(() => origin.seen.sent);
    t.diagnostic(`the application stood still after ${mib(sent)}`);
    assert.ok(sent < IN_FLIGHT_MAX, mib(sent));
    assert.equal(await read(answer), String(bytes), "and then all of it");
  });
  flat(t, grown, mib(bytes));
});

test("an application that does not read holds the client back", async (t) => {
  const bytes = 512 * MIB;
  origin.seen.held = true;
  const grown = await growth(async () => {
    const { request, answered } = upload(bytes);
    let sent = 0;
    const writing = write(request, bytes, (now) => (sent = now));
    await stands(() => sent);
    t.diagnostic(`the client stood still after ${mib(sent)}`);
    assert.ok(sent < IN_FLIGHT_MAX, mib(sent));
    origin.seen.held = false;
    origin.seen.release();
    await writing;
    assert.equal(await answered, String(bytes), "and then all of it");
  });
  flat(t, grown, mib(bytes));
});

test("all of it came with the session's identity", () => assert.deepEqual([...origin.seen.subjects], ["alice"]));
