// The gateway in real workerd, started by wrangler, in front of the exchange as
// a process of its own. (wrangler's createTestHarness would send the Worker's
// requests through Node's fetch, which follows redirects and hides failures;
// here they leave workerd for a real socket.)
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";

import { unstable_startWorker } from "wrangler";

import { project, root } from "../../../benches/support/project.mjs";
import { Scan } from "../../scan/scan.mjs";

export { project, root };
export const PASSWORD = "correct horse battery staple";
export const COOKIE = "__Host-Http-warifu";
// All tests come from one network.
export const UNLIMITED = { starts: "off", bad_macs: "off", admin_failures: "off" };

// Starts the exchange and the gateway. `build` is the folder of the Worker, `table` takes
// the place of the project's [vars.WARIFU], `warifu` changes keys of it, `keys` is
// WARIFU_KEYS (null: none), `originKeys` is WARIFU_ORIGIN_KEYS, `adminKeys` a list of what newAdminKey makes,
// `state` a folder in which the objects live on; `kv` says whether there is a KV
// namespace, `assets` whether there are the pages; `bindings` adds to the Worker's; `port` is 0 for any.
// What the gateway lets out is searched for secrets when it is closed; `limit` is how much of each
// connection (tests/scan/scan.mjs).
export async function start({
  build = "build-test",
  table = project.vars.WARIFU,
  warifu = {},
  keys = newKeys(),
  originKeys,
  adminKeys = [],
  origin,
  state = false,
  kv = true,
  assets = true,
  bindings = {},
  port = 0,
  limit,
} = {}) {
  const exchange = origin === undefined ? await startExchange() : undefined;
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-"));
  const config = path.join(folder, "wrangler.json");
  const stores = state || path.join(folder, "state");
  const configured = { limits: UNLIMITED, ...table, origin: origin ?? exchange.url, ...warifu };
  const scan = new Scan({ warifu: configured, keys, originKeys, adminKeys, limit });
  writeFileSync(
    config,
    JSON.stringify({
      name: "warifu",
      main: path.join(root, build, "index.js"),
      compatibility_date: project.compatibility_date,
      compatibility_flags: project.compatibility_flags,
      durable_objects: project.durable_objects,
      migrations: project.migrations,
      ...(assets ? { assets: { ...project.assets, directory: path.join(root, project.assets.directory) } } : {}),
      kv_namespaces: (kv ? project.kv_namespaces : []).map((namespace) => ({ id: namespace.binding, ...namespace })),
      ...bindings,
      vars: {
        WARIFU: await scan.behind(configured),
        ...(keys === null ? {} : { WARIFU_KEYS: keys }),
        ...(originKeys === undefined ? {} : { WARIFU_ORIGIN_KEYS: originKeys }),
        ...(adminKeys.length === 0 ? {} : { WARIFU_ADMIN_KEYS: JSON.stringify(adminKeys.map(({ entry }) => entry)) }),
      },
    }),
  );
  const logs = [];
  const worker = await unstable_startWorker({
    config,
    dev: {
      server: { hostname: "127.0.0.1", port: 0 },
      inspector: false,
      logLevel: "none",
      watch: false,
      persist: stores,
      structuredLogsHandler({ message }) {
        logs.push(message);
        scan.saw("the log", `${message}\n`);
      },
    },
  });
  await worker.ready;
  const { url, dial } = await scan.before(Number((await worker.url).port), port);
  const gateway = {
    url: url.origin,
    fetch: client(url, dial),
    raw: (text) => raw(dial(), text),
    logs: () => logs.join("\n"),
    async logIn(username = "alice") {
      const answer = await gateway.fetch("/login", {
        method: "POST",
        body: new URLSearchParams({ username, password: PASSWORD, return_to: "/account" }),
        headers: { "sec-fetch-site": "same-origin" },
      });
      const setCookie = setCookieOf(answer);
      if (setCookie === undefined) throw new Error(`log-in: ${answer.status} ${await answer.text()}`);
      return { setCookie, cookie: setCookie.split(";")[0] };
    },
    async close() {
      await worker.dispose();
      exchange?.stop();
      try {
        scan.finish([stores]);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  };
  return gateway;
}

// The session's cookie as an answer sets it, with all that is said of it. The headers are those of
// fetch, or of node:http.
function setCookieOf({ headers }) {
  const all = headers.getSetCookie?.() ?? headers["set-cookie"] ?? [];
  // The last one: before it, what another configuration has set is removed.
  return all.findLast((value) => value.startsWith(`${COOKIE}=`));
}

// The pair of it that a client sends back.
export const sessionCookie = (answer) => setCookieOf(answer)?.split(";")[0];

// Resolves once the condition holds.
export async function until(condition, what, { seconds = 30 } = {}) {
  const deadline = Date.now() + seconds * 1_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// The events in its log so far.
export const events = (gateway) =>
  gateway.logs().split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));

// The first event that says all of this. The log comes by itself, and may come later than the answer.
export async function told(gateway, wanted) {
  const says = (event) => Object.entries(wanted).every(([name, value]) => event[name] === value);
  let found;
  await until(() => (found = events(gateway).find(says)) !== undefined, `the log says ${JSON.stringify(wanted)}`);
  return found;
}

// Calls to one server, to which `dial` connects where that is not its address.
export const client = (base, dial) => (where, init = {}) => send(new URL(where, base), init, dial);

// Like fetch, but it sends the headers that it is given and no others, so that
// it can stand for a browser, and follows no redirect.
async function send(url, { method = "GET", headers = {}, body } = {}, dial) {
  const isForm = body instanceof URLSearchParams;
  const isStream = body instanceof ReadableStream;
  const bytes = isStream || body === undefined ? undefined : Buffer.from(body.toString());
  const request = http.request(url, {
    method,
    headers: {
      ...(isForm ? { "content-type": "application/x-www-form-urlencoded" } : {}),
      // Node would send the body of a DELETE without saying how long it is.
      ...(bytes === undefined ? {} : { "content-length": bytes.length }),
      ...headers,
    },
    ...(dial === undefined ? { agent: false } : { createConnection: dial }),
  });
  if (isStream) Readable.fromWeb(body).pipe(request);
  else request.end(bytes);
  const [answer] = await once(request, "response");
  const received = new Headers();
  for (let i = 0; i < answer.rawHeaders.length; i += 2) received.append(answer.rawHeaders[i], answer.rawHeaders[i + 1]);
  const bodyless = method === "HEAD" || [204, 304].includes(answer.statusCode);
  if (bodyless) answer.resume();
  return new Response(bodyless ? null : Readable.toWeb(answer), { status: answer.statusCode, headers: received });
}

export function newKeys() {
  return JSON.stringify([{ kid: 1, key: randomBytes(32).toString("base64url") }]);
}

export const SCOPES = ["sessions:read", "sessions:write", "mint", "revoke", "verify", "metrics"];

// A key for administrators, and its entry in WARIFU_ADMIN_KEYS.
export function newAdminKey(id = "ops", scopes = SCOPES) {
  const key = randomBytes(32).toString("base64url");
  return { key, entry: { id, sha256: createHash("sha256").update(key).digest("hex"), scopes } };
}

async function startExchange() {
  const child = spawn(process.execPath, [path.join(root, "examples/exchange/server.mjs")], {
    env: { ...process.env, ORIGIN_PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  // It prints where it listens, once it does.
  const [line] = await Promise.race([
    once(child.stdout, "data"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`the exchange ended with ${code}`))),
  ]);
  return { url: /http:\S+/.exec(line)[0], stop: () => child.kill() };
}

// Sends bytes as they are, past any client library that would normalise them,
// and returns all that comes back.
export async function raw(socket, text) {
  socket.write(Buffer.from(text.replaceAll("\n", "\r\n"), "latin1"));
  socket.end();
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  const answer = Buffer.concat(chunks).toString("latin1");
  return { status: Number(answer.split(" ")[1]), text: answer };
}
