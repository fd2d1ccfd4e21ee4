// A gateway with nothing in front of it, and an origin that remembers what arrived and
// answers as it is told: what the attacks are tried on.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

import { startBare } from "./bare.mjs";
import { COOKIE, newAdminKey } from "./gateway.mjs";

const ROUTES = [
  { path: "/login", access: "optional", commands: true },
  { path: "/public/admin/*", access: "required" },
  { path: "/public/caf%C3%A9", access: "required" },
  { path: "/public/*", methods: ["GET", "HEAD"], access: "public" },
  { path: "/maybe/*", access: "optional" },
];

const TARGETED = ["CDN-Cache-Control", "Cloudflare-CDN-Cache-Control", "Surrogate-Control"];

const folded = (name) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-");

export async function startAttacked({ warifu = {} } = {}) {
  const arrived = [];
  const server = createServer((request, response) => {
    const { method, url, rawHeaders } = request;
    const headers = [];
    for (let i = 0; i < rawHeaders.length; i += 2) headers.push([folded(rawHeaders[i]), rawHeaders[i + 1]]);
    arrived.push({ method, target: url, headers, values: (name) => headers.filter(([found]) => found === name).map(([, value]) => value) });
    // By these some caches go, whatever Cache-Control says.
    if (url.includes("x.css")) for (const name of TARGETED) response.setHeader(name, "max-age=600");
    if (url.startsWith("/login")) response.setHeader("Warifu-Command", 'do=start, sub="alice"');
    request.resume().on("end", () => response.end("the origin"));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  const admin = newAdminKey();
  const gateway = await startBare({ adminKeys: [admin], warifu: { origin, identity: { user_header: "Remote-User" }, routes: ROUTES, ...warifu } });
  const head = (method, target, lines) => `${method} ${target} HTTP/1.1\nHost: app.test\nConnection: close\n${lines.map((line) => `${line}\n`).join("")}\n`;
  // What a request led to: its status, the whole answer, and what arrived at the origin.
  const send = async (text) => {
    arrived.length = 0;
    return { ...(await gateway.raw(text)), arrived: [...arrived] };
  };
  return {
    ...{ gateway, origin, admin, send },
    get: (target, ...lines) => send(head("GET", target, lines)),
    request: (method, target, ...lines) => send(head(method, target, lines)),
    async logIn(...lines) {
      const { text } = await send(head("GET", "/login", ["Sec-Fetch-Site: same-origin", ...lines]));
      const [, cookie] = text.match(new RegExp(`(${COOKIE}=[\\w-]{72});`)) ?? assert.fail(text);
      return cookie;
    },
    async close() {
      await gateway.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
