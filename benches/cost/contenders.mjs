// Who is measured: how each is started, and with what it is asked.
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import path from "node:path";

import { sealData } from "../peers/node_modules/iron-session/dist/index.js";
import { SignJWT } from "../peers/node_modules/jose/dist/webapi/index.js";

import { root } from "../support/project.mjs";
import { ask, headersWith } from "./load.mjs";

const SUBJECT = "3f9a7c52-8f0e-4d6b-9a51-000000000042";
const CLAIMS = { name: "Alice Example", roles: ["admin", "billing"], tenant: "3f9a7c52" };
const PASSWORD = randomBytes(32).toString("base64url");
// As long as a session's cookie, so that those who check nothing get the same request as warifu.
const COOKIE = `__Host-Http-warifu=${randomBytes(54).toString("base64url")}`;
const keys = () => JSON.stringify([{ kid: 1, key: randomBytes(32).toString("base64url") }]);

// `group` is how the figure colours it; `share` how many turns it has where others have one: those
// that all are compared with have two; `every` that it takes part only in each third round, since
// its sessions are used up: `fresh` makes others. `start` is given a `startWorkerd`, and
// returns a workerd and what is sent to it.
export const CONTENDERS = [
  { name: "bare", group: "without a check", share: 2, says: "JavaScript pass-through, bare", checks: false, identifies: false, start: js("bare", { cookie: COOKIE }) },
  { name: "floor-public", group: "without a check", share: 2, says: "JavaScript, header hygiene", checks: false, identifies: false, start: js("floor", { bindings: { IDENTITY: "no" }, cookie: COOKIE }) },
  { name: "floor", group: "without a check", share: 2, says: "JavaScript, header hygiene and identity headers: the floor", checks: false, start: js("floor", { bindings: { IDENTITY: "yes" }, cookie: COOKIE }) },
  { name: "hs256", group: "peers", says: "jose, JWT with HS256", start: jwt("HS256") },
  { name: "es256", group: "peers", says: "jose, JWT with ES256", start: jwt("ES256") },
  { name: "iron-session", group: "peers", says: "iron-session", start: ironSession },
  { name: "kv", group: "peers", says: "random session id, session in KV", start: inKv },
  { name: "better-auth-cached", group: "peers", says: "better-auth, its cookie cache", start: betterAuth("yes") },
  { name: "better-auth", group: "peers", says: "better-auth, sessions in KV", start: betterAuth("no") },
  { name: "public", group: "warifu", says: "warifu, public route", checks: false, identifies: false, floor: "floor-public", start: warifu({ access: "public" }) },
  { name: "warm", group: "warifu", says: "warifu, warm", start: warifu({}) },
  { name: "unlike", group: "warifu", says: "warifu, warm, no request like one before", start: warifu({ unlike: true }) },
  { name: "signed", group: "warifu", says: "warifu, warm, with claims and signature", start: warifu({ claims: CLAIMS, originKeys: true }) },
  { name: "strict-read", group: "warifu", says: 'warifu, strict, fence = "read"', start: warifu({ access: "strict", fence: "read" }) },
  { name: "strict-write", group: "warifu", says: 'warifu, strict, fence = "write"', start: warifu({ access: "strict", fence: "write" }) },
  { name: "cold", group: "warifu", says: "warifu, first request of a session", every: 3, share: 2, start: warifu({ fresh: true }) },
  { name: "refused", group: "warifu", says: "warifu, wrong MAC: refused", start: warifu({ forged: true }) },
];

// A Worker in JavaScript, bundled with what it imports.
function bundle(folder, name) {
  const file = path.join(folder, `${name}.js`);
  const options = ["--bundle", "--format=esm", "--conditions=workerd,worker", "--external:node:*", "--log-level=error"];
  execFileSync(path.join(root, "node_modules/.bin/esbuild"), [path.join(root, `benches/peers/workers/${name}.mjs`), `--outfile=${file}`, ...options]);
  return { "index.js": file };
}

function js(worker, { bindings = {}, kv = false, cookie } = {}) {
  return async ({ name, folder, nginx, startWorkerd }) => ({
    workerd: await startWorkerd(folder, {
      name,
      modules: bundle(folder, worker),
      bindings: { ORIGIN: nginx.url, ...bindings },
      kv: kv ? nginx.kv : undefined,
    }),
    cookie,
    usesKv: kv,
  });
}

function jwt(alg) {
  return async (world) => {
    const secret = randomBytes(32);
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const [signs, verifies] =
      alg === "HS256" ? [secret, { kty: "oct", k: secret.toString("base64url") }] : [pair.privateKey, pair.publicKey.export({ format: "jwk" })];
    const token = await new SignJWT({ sub: SUBJECT, level: 1, auth_time: Math.floor(Date.now() / 1_000) })
      .setProtectedHeader({ alg })
      .setIssuedAt()
      .setExpirationTime("12h")
      .sign(signs);
    return js(`jose-${alg.toLowerCase()}`, { bindings: { JWK: JSON.stringify(verifies) }, cookie: `session=${token}` })(world);
  };
}

async function ironSession(world) {
  const sealed = await sealData({ subject: SUBJECT, level: 1 }, { password: PASSWORD });
  return js("iron-session", { bindings: { PASSWORD }, cookie: `session=${encodeURIComponent(sealed)}` })(world);
}

async function inKv(world) {
  const id = randomBytes(32).toString("base64url");
  world.nginx.put(id, JSON.stringify({ subject: SUBJECT, level: 1, expires: Date.now() + 43_200_000 }));
  return js("kv", { kv: true, cookie: `session=${id}` })(world);
}

function betterAuth(cookieCache) {
  return async (world) => {
    const bindings = { PASSWORD, COOKIE_CACHE: cookieCache };
    const contender = await js("better-auth", { bindings, kv: true })(world);
    const { url } = contender.workerd;
    const { status, text, cookies } = await ask(`${url}/api/auth/sign-up/email`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: "http://127.0.0.1" },
      body: JSON.stringify({ name: "Alice", email: "alice@example.com", password: "correct horse battery staple" }),
    });
    if (status !== 200) throw new Error(`better-auth: ${status} ${text}`);
    return { ...contender, cookie: cookies.join("; ") };
  };
}

function warifu({ access = "required", fence = "write", claims, originKeys = false, fresh = false, forged = false, unlike = false }) {
  return async ({ name, folder, nginx, build, startWorkerd }) => {
    const admin = randomBytes(32).toString("base64url");
    const sha256 = Buffer.from(await crypto.subtle.digest("SHA-256", Buffer.from(admin))).toString("hex");
    // All comes from one network: what is measured is not to be refused for that.
    const limits = { starts: "off", bad_macs: "off", admin_failures: "off" };
    const config = { origin: nginx.url, fence, limits, routes: [{ path: "/*", access }] };
    const workerd = await startWorkerd(folder, {
      name,
      modules: { "index.js": path.join(build, "index.js"), "index_bg.wasm": path.join(build, "index_bg.wasm") },
      bindings: {
        WARIFU: config,
        WARIFU_KEYS: keys(),
        WARIFU_ADMIN_KEYS: JSON.stringify([{ id: "bench", sha256, scopes: ["mint"] }]),
        ...(originKeys ? { WARIFU_ORIGIN_KEYS: keys() } : {}),
      },
      objects: true,
    });
    const mint = async (subject) => {
      const { status, text } = await ask(`${workerd.url}/_warifu/sessions`, {
        method: "POST",
        headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
        body: JSON.stringify({ subject, claims }),
      });
      if (status !== 201) throw new Error(`mint: ${status} ${text}`);
      return JSON.parse(text).set_cookie.split(";")[0];
    };
    const cookie = await mint(SUBJECT);
    const started = { workerd, cookie, unlike, warifu: { ...config, origin: undefined } };
    if (forged) return { ...started, forged: cookie.slice(0, -2) + (cookie.endsWith("AA") ? "BA" : "AA") };
    return fresh ? { ...started, fresh: sessionsOf(mint) } : started;
  };
}

// Cookies of so many sessions that have not been seen yet.
function sessionsOf(mint) {
  let people = 0;
  return async (count) => {
    const cookies = [];
    const worker = async () => {
      while (cookies.length < count) {
        const at = cookies.push("") - 1;
        people += 1;
        cookies[at] = headersWith(await mint(`person-${people}`)).cookie;
      }
    };
    await Promise.all(Array.from({ length: 32 }, worker));
    return cookies;
  };
}
