// The tests of the origins in examples/verify/, the same for each: behind a gateway in real
// workerd, and asked directly, with what the gateway signed and with what it did not.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import path from "node:path";
import { after, before, test } from "node:test";

import { freePort } from "../../scripts/dev/ports.mjs";
import { newAdminKey, root, start, until } from "../workerd/support/gateway.mjs";

const admin = newAdminKey("ops", ["mint"]);
const newest = { kid: 7, key: randomBytes(32).toString("base64url") };
const oldest = { kid: 3, key: randomBytes(32).toString("base64url") };
export const RING = JSON.stringify([newest, oldest]);
const unknown = { kid: 9, key: randomBytes(32).toString("base64url") };
const IDENTITY = ["warifu-session", "warifu-level", "warifu-auth-time", "warifu-claims", "warifu-subject"];
const COVERED = ["@method", "@authority", "@path", "@query", ...IDENTITY];

// --- who is tested ----------------------------------------------------------------------

// Starts `command` in examples/verify/, which must answer at PORT. `missing` is said where
// there is no such command.
export async function startOrigin({ command, args, folder, missing, env = {}, seconds }) {
  const port = await freePort();
  const cwd = path.join(root, "examples/verify", folder);
  const child = spawn(command, args(port), {
    cwd,
    env: { ...process.env, PORT: String(port), WARIFU_ORIGIN_KEYS: RING, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (printed += text));
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.code === "ENOENT" ? missing : error.message));
    child.once("exit", (code, signal) => resolve(`it ended with ${code ?? signal}:\n${printed}`));
  });
  let failure;
  ended.then((why) => (failure = why));
  const isUp = async () => {
    if (failure !== undefined) throw new Error(`examples/verify/${folder}: ${failure}`);
    const probe = text({ method: "GET", target: "/", headers: [["host", "a"]], body: "" });
    return (await send(port, probe).catch(() => undefined)) !== undefined;
  };
  const stop = async () => {
    child.kill();
    await ended;
  };
  try {
    await until(isUp, `examples/verify/${folder} answers`, { seconds });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, stop };
}

// Passes everything on to the origin, and keeps what the gateway sent.
async function startTap(origin) {
  let sent = "";
  const sockets = new Set();
  const server = net.createServer((from) => {
    const to = net.connect(origin.port, "127.0.0.1");
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => [from, to].map((one) => one.destroy()) && sockets.delete(socket));
    }
    from.on("data", (bytes) => (sent += bytes.toString("latin1")));
    from.pipe(to).pipe(from);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const host = `127.0.0.1:${server.address().port}`;
  return {
    url: `http://${host}`,
    forget: () => (sent = ""),
    sent: () => sent,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

// --- requests, as they are on the wire ----------------------------------------------------

// What is asked of the origin itself: { method, target, headers, body }, the headers a list
// of pairs with names in lower case.
function parse(text) {
  const [head, body] = text.split(/\r\n\r\n(.*)/s);
  const [line, ...fields] = head.split("\r\n");
  const [method, target] = line.split(" ");
  const headers = fields.map((field) => field.split(/: ?(.*)/s).slice(0, 2));
  return { method, target, headers: headers.map(([name, value]) => [name.toLowerCase(), value]), body };
}

const value = ({ headers }, name) => headers.find(([found]) => found === name)?.[1];
const without = (request, ...names) => ({
  ...request,
  headers: request.headers.filter(([name]) => !names.includes(name)),
});
const added = (request, ...headers) => ({ ...request, headers: [...request.headers, ...headers] });
const changed = (request, name, text) => ({
  ...request,
  headers: request.headers.map(([found, old]) => [found, found === name ? text : old]),
});

const text = ({ method, target, headers, body }) =>
  `${method} ${target} HTTP/1.1\n${headers.map(([name, text]) => `${name}: ${text}\n`).join("")}\n${body}`;

// Sends a request to the origin, past the gateway, and returns the answer's status.
async function send(port, request) {
  const socket = net.connect(port, "127.0.0.1");
  // Not ended before it has been answered: some servers take that for a client that is gone.
  socket.write(Buffer.from(request.replace("\n", "\nconnection: close\n").replaceAll("\n", "\r\n"), "latin1"));
  socket.setTimeout(10_000, () => socket.destroy(new Error("no answer in 10 s")));
  let answer = "";
  for await (const chunk of socket.setEncoding("latin1")) answer += chunk;
  return Number(answer.split(" ")[1]);
}

// --- signatures of our own --------------------------------------------------------------

// What a request's components are, as the gateway has them.
function components({ method, target, headers }) {
  const [where, query = ""] = target.split(/\?(.*)/s);
  const host = value({ headers }, "host");
  const derived = { "@method": method, "@authority": host, "@path": where, "@query": `?${query}` };
  return (name) => (name in derived ? derived[name] : value({ headers }, name));
}

// Signs anew, with other parameters (undefined: without), other components, or another key.
function signed(request, { covered = COVERED, lines, key = newest, label = "warifu", ...other } = {}) {
  const now = Math.floor(Date.now() / 1_000);
  const params = {
    ...{ created: now, expires: now + 60, nonce: randomBytes(16).toString("base64url") },
    ...{ keyid: String(key.kid), alg: "hmac-sha256", tag: "warifu", ...other },
  };
  const of = components(request);
  const ids = covered.map((name) => (name.startsWith('"') ? name : `"${name}"`));
  const list = Object.entries(params).filter(([, param]) => param !== undefined);
  const input = `(${ids.join(" ")})${list.map(([name, param]) => `;${name}=${JSON.stringify(param)}`).join("")}`;
  const base = lines ?? covered.map((name) => `"${name}": ${of(name)}`);
  const mac = createHmac("sha256", Buffer.from(key.key, "base64url"));
  const signature = mac.update([...base, `"@signature-params": ${input}`].join("\n")).digest("base64");
  return changed(changed(request, "signature-input", `${label}=${input}`), "signature", `${label}=:${signature}:`);
}

// --- the tests --------------------------------------------------------------------------

export function verifies(folder, how) {
  let origin, tap, gateway, session;
  const gatewayWith = (keys) =>
    start({
      origin: tap.url,
      originKeys: JSON.stringify(keys),
      adminKeys: [admin],
      warifu: {
        routes: [
          { path: "/public", access: "public" },
          { path: "/optional/*", access: "optional" },
        ],
      },
    });
  before(async () => {
    origin = await startOrigin({ folder, ...how });
    tap = await startTap(origin);
    gateway = await gatewayWith([newest, oldest]);
    session = await mint({ subject: "割 %, a=b", level: 3, claims: { plan: "pro" } });
  });
  after(async () => {
    await gateway?.close();
    tap?.close();
    await origin?.stop();
  });

  async function mint(record) {
    const init = { method: "POST", headers: { authorization: `Bearer ${admin.key}` }, body: JSON.stringify(record) };
    const answer = await gateway.fetch("/_warifu/sessions", init);
    assert.equal(answer.status, 201, await answer.clone().text());
    const { set_cookie, session: made } = await answer.json();
    return { cookie: set_cookie.split(";")[0], id: made.id };
  }

  // Through the gateway. Returns the answer's status, and what the origin said and got.
  async function ask(method, target, { cookie, headers = [], body = "", by = gateway } = {}) {
    tap.forget();
    const all = [["Host", new URL(by.url).host], ["Connection", "close"], ...headers];
    if (cookie !== undefined) all.push(["Cookie", cookie]);
    if (body !== "") all.push(["Content-Length", String(Buffer.byteLength(body))]);
    const answer = await by.raw(text({ method, target, headers: all, body }));
    const [, said = ""] = answer.text.split(/\r\n\r\n(.*)/s);
    const seen = tap.sent() === "" ? undefined : parse(tap.sent());
    return { status: answer.status, said: Buffer.from(said.match(/\{.*\}/s)?.[0] ?? "", "latin1").toString(), seen };
  }
  const genuine = async (target, options) => {
    const { status, seen } = await ask(options?.method ?? "GET", target, options);
    assert.equal(status, 200, target);
    return seen;
  };
  const accepts = async (request, what) => assert.equal(await send(origin.port, text(request)), 200, what);
  const refuses = async (request, what) => assert.equal(await send(origin.port, text(request)), 401, what);

  const TARGETS = [
    "/account",
    "/account?",
    "/account?a=1&b=%2F&a=2",
    "/account??x",
    "/account?a=1?b=2",
    "/a%20b/%E5%89%B2/%25",
    "/a;b=1/(c)'!$&*+,=:@~-._",
    "/account?filter[x]=1|2&q='%22%3C%3E'^`{}\\&%zz=%",
  ];

  test("what came through the gateway is answered", async () => {
    for (const target of TARGETS) {
      const { status, said } = await ask("GET", target, session);
      assert.equal(status, 200, target);
      assert.deepEqual(JSON.parse(said), { subject: "割 %, a=b", session: session.id, level: "3" }, target);
      const optional = `/optional${target}`;
      const anonymous = await ask("GET", optional);
      assert.equal(anonymous.status, 200, optional);
      assert.deepEqual(JSON.parse(anonymous.said), { subject: "", session: "", level: "" }, optional);
    }
  });

  test("with any method, and with a body", async () => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      for (const body of ["", "a=1", "x".repeat(50_000)]) {
        const { status, seen } = await ask(method, "/account?a=1", { ...session, body });
        assert.equal(status, 200, `${method}, ${body.length}`);
        assert.equal(seen.method, method);
      }
    }
  });

  test("a signature that the client brings along does no harm, and is none of ours", async () => {
    const theirs = (label, keyid) => [
      ["Signature-Input", `${label}=("@method");created=1;keyid="${keyid}"`],
      ["Signature", `${label}=:AAAA:`],
    ];
    for (const headers of [theirs("sig1", "theirs"), theirs("sig1", "7"), theirs("warifu", "7")]) {
      const { status, seen } = await ask("GET", "/account", { ...session, headers });
      assert.equal(status, 200);
      assert.equal(value(seen, "signature").split("warifu=").length, 2);
    }
  });

  test("what is not signed is refused, though the gateway sent it", async () => {
    assert.equal((await ask("GET", "/public", session)).status, 401);
  });

  test("a genuine request is accepted again, within its time", async () => {
    const requests = [await genuine("/account?a=1", session), await genuine("/optional/a")];
    for (const request of requests) await accepts(request);
  });

  test("without its signature it is refused", async () => {
    for (const request of [await genuine("/account?a=1", session), await genuine("/optional/a")]) {
      await refuses(without(request, "signature", "signature-input"));
      for (const name of ["signature", "signature-input"]) {
        await refuses(without(request, name), `without ${name}`);
        for (const broken of ["", "warifu", "warifu=", "warifu=()", "warifu=:AAAA:", 'warifu="a"', "=", "\xff"]) {
          await refuses(changed(request, name, broken), `${name}: ${broken}`);
        }
        await refuses(changed(request, name, value(request, name).replace("warifu=", "other=")), `${name}: label`);
      }
      const other = (text) => text.replace("warifu=", "other=");
      const renamed = changed(request, "signature", other(value(request, "signature")));
      await refuses(changed(renamed, "signature-input", other(value(request, "signature-input"))), "label");
    }
  });

  test("a copied signature fits no other request", async () => {
    const request = await genuine("/account?a=1&b=2", session);
    for (const target of ["/accounts?a=1&b=2", "/Account?a=1&b=2", "/account/?a=1&b=2", "/%61ccount?a=1&b=2"]) {
      await refuses({ ...request, target }, target);
    }
    const queries = ["", "?", "?a=1", "?a=1&b=3", "?b=2&a=1", "?a=1&b=2&c", "?a=1&b=2?", "?a=%31&b=2"];
    for (const query of queries) await refuses({ ...request, target: `/account${query}` }, query);
    for (const method of ["POST", "DELETE", "PUT"]) await refuses({ ...request, method }, method);
    for (const host of ["evil.example", value(request, "host").replace(/:.*/, "")]) {
      await refuses(changed(request, "host", host), host);
    }
    const host = value(request, "host");
    for (const target of [`http://${host}/transfer`, `http://${host}/account?a=1&b=2`]) {
      await refuses({ ...changed(request, "host", "evil.example"), target }, `${target}, for another host`);
    }
    await refuses({ ...request, target: "http://evil.example/account?a=1&b=2" }, "another host in the target");
  });

  test("nor does it where the host has a part of the path, or the path a part of the host", async () => {
    const request = await genuine("/account?a=1&b=2", session);
    const host = value(request, "host");
    const from = (host, target) => ({ ...changed(request, "host", host), target });
    for (const target of ["/transfer?a=1&b=2", "/account?a=1&b=2", "/?a=1&b=2"]) {
      for (const end of ["/account?", "/account#", "/account", "/account/..", "?", "#", "/", "\\", "%2Faccount?"]) {
        await refuses(from(`${host}${end}`, target), `${host}${end} and ${target}`);
      }
    }
    for (const other of ["x@", "x:y@", "@", "//", "http://"]) {
      await refuses(from(`${other}${host}`, request.target), `${other}${host}`);
    }
    for (const target of ["/account", "/transfer"]) {
      await refuses(from(`${host}${request.target}`, target), `${host}${request.target} and ${target}`);
      await refuses(from(`${host}/account?a=1&b=2#`, target), `${host}/account?a=1&b=2# and ${target}`);
    }
    const deep = await genuine("/account/a/b", session);
    const parts = [["/account", "/a/b"], ["/account/a", "/b"], ["/account/a/b?", "/"], ["/account/a/b#", "/c"]];
    for (const [start, target] of parts) {
      await refuses({ ...changed(deep, "host", `${host}${start}`), target }, `${host}${start} and ${target}`);
    }
  });

  test("a host is the same in upper case, and any other is another", async () => {
    const request = await genuine("/account", session);
    const named = signed(changed(request, "host", "app.example:8443"));
    for (const host of ["app.example:8443", "App.Example:8443", "APP.EXAMPLE:8443"]) {
      await accepts(changed(named, "host", host), host);
    }
    const others = ["app.example", "app.example.:8443", "app.example:08443", "app.example:8443:", "app%2Eexample:8443"];
    for (const host of [...others, ""]) {
      await refuses(changed(named, "host", host), host);
    }
    await refuses(signed(changed(request, "host", "App.Example")), "signed in upper case");
  });

  test("nor another person: every identity header is held to it", async () => {
    for (const request of [await genuine("/account", session), await genuine("/optional/a")]) {
      for (const name of IDENTITY) {
        const old = value(request, name);
        assert.notEqual(old, undefined, name);
        await refuses(without(request, name), `without ${name}`);
        for (const text of ["admin", `${old}1`, `${old},`, `, ${old}`, ...(old === "" ? [] : ["", old.slice(1)])]) {
          await refuses(changed(request, name, text), `${name}: ${text}`);
        }
        for (const text of ["admin", "", old]) {
          await refuses(added(request, [name, text]), `${name} twice: ${text}`);
          await refuses({ ...request, headers: [[name, text], ...request.headers] }, `${name} twice: ${text}`);
        }
      }
    }
    // What another's genuine request carries fits this one neither.
    const [mine, other] = [await genuine("/optional/a", session), await genuine("/optional/a")];
    await refuses(changed(other, "warifu-subject", value(mine, "warifu-subject")), "anonymous, with a subject");
    await refuses(changed(mine, "signature", value(other, "signature")), "the signature of another");
  });

  test("a signature is good for its time, and clocks may differ a little", async () => {
    const now = Math.floor(Date.now() / 1_000);
    for (const request of [await genuine("/account", session), await genuine("/optional/a")]) {
      await accepts(signed(request), "as the gateway does it");
      await accepts(signed(request, { created: now + 3 }), "created a little later");
      await accepts(signed(request, { created: now - 61, expires: now - 1 }), "expired a little earlier");
      await refuses(signed(request, { created: now - 90, expires: now - 30 }), "expired");
      await refuses(signed(request, { created: now + 60, expires: now + 120 }), "created later");
      await refuses(signed(request, { expires: undefined }), "without expires");
      await refuses(signed(request, { created: undefined }), "without created");
      const input = value(request, "signature-input").replace(/expires=\d+/, `expires=${now + 600}`);
      await refuses(changed(request, "signature-input", input), "a later expires");
    }
  });

  test("both keys verify while they are replaced, and no other", async () => {
    const request = await genuine("/account", session);
    await accepts(signed(request, { key: oldest }), "the old key");
    await refuses(signed(request, { key: unknown }), "an unknown key");
    await refuses(signed(request, { key: { ...unknown, kid: newest.kid } }), "an unknown key of a known id");
    await refuses(signed(request, { key: { ...newest, kid: oldest.kid } }), "one key under the id of another");
    for (const keyid of [undefined, "", "07", "7 ", "toString"]) {
      await refuses(signed(request, { keyid }), `keyid ${keyid}`);
    }
    const earlier = await gatewayWith([oldest]);
    try {
      for (const [by, { kid }] of [[earlier, oldest], [gateway, newest]]) {
        const { status, seen } = await ask("GET", "/optional/a?b=1", { by });
        assert.equal(status, 200, `kid ${kid}`);
        assert.ok(value(seen, "signature-input").includes(`;keyid="${kid}"`));
      }
    } finally {
      await earlier.close();
    }
  });

  test("made with the right key, but for something else", async () => {
    const request = await genuine("/account", session);
    for (const [name, wrong] of [["tag", "other"], ["tag", undefined], ["alg", "hmac-sha512"], ["alg", undefined]]) {
      await refuses(signed(request, { [name]: wrong }), `${name}: ${wrong}`);
    }
    await refuses(signed(request, { label: "other" }), "another label");
    await refuses(signed(request, { covered: [] }), "nothing is covered");
    for (const name of COVERED) {
      await refuses(signed(request, { covered: COVERED.filter((found) => found !== name) }), `${name} is not covered`);
    }
    // One member says that all is covered, and another one verifies.
    for (const key of [{ ...unknown, kid: newest.kid }, unknown]) {
      const [all, less] = [signed(request, { key }), signed(request, { covered: ["@method"], label: "other" })];
      const both = ["signature-input", "signature"].map((name) => [name, `${value(all, name)}, ${value(less, name)}`]);
      await refuses(both.reduce((next, [name, text]) => changed(next, name, text), request), "two members");
    }
    // One member of the header only.
    const part = changed(request, "warifu-subject", "a=1, b=2");
    const [subject, others] = ['"warifu-subject";key="a"', COVERED.filter((name) => name !== "warifu-subject")];
    const lines = [...others.map((name) => `"${name}": ${components(part)(name)}`), `${subject}: 1`];
    await refuses(signed(part, { covered: [...others, subject], lines }), "a part of a header");
  });
}
