// Three stacks that read paths and headers each in its own way. What arrives at them is
// written down by the number of its case: which resource it was routed to, by the stack
// and by careless readings beside it, the target as it came, and the headers.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import express from "express";

import { freePort } from "../../../scripts/dev/ports.mjs";
import { until } from "../../workerd/support/gateway.mjs";
import { area, readings } from "./readings.mjs";

// `saw` gets each record.
export async function startOrigins(saw) {
  const started = [];
  try {
    for (const start of [startExpress, startWsgi, startNginx]) started.push(await start(saw));
  } catch (error) {
    for (const { stop } of started) stop();
    throw error;
  }
  return { urls: Object.fromEntries(started.map(({ name, url }) => [name, url])), stop: () => Promise.all(started.map(({ stop }) => stop())) };
}

const HEADER_BYTES_MAX = 128 * 1024;

async function listening(handler) {
  const server = createServer({ maxHeaderSize: HEADER_BYTES_MAX, keepAliveTimeout: 75_000 }, handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = () => (server.closeAllConnections(), server.close());
  return { port: server.address().port, url: `http://127.0.0.1:${server.address().port}`, stop };
}

function pairs({ rawHeaders }) {
  const found = [];
  for (let i = 0; i < rawHeaders.length; i += 2) found.push([rawHeaders[i], rawHeaders[i + 1]]);
  return found;
}

// --- Node, with Express: its router takes the path as it is, without regard to case --------

async function startExpress(saw) {
  const app = express().disable("x-powered-by").disable("etag");
  const at = (resource) => (request, response) => {
    const paths = [...readings(request.originalUrl), ...[request.get("x-original-url"), request.get("x-rewrite-url")].filter(Boolean)];
    saw({
      id: request.get("x-case"),
      origin: "express",
      method: request.get("x-http-method-override") ?? request.method,
      target: request.originalUrl,
      resources: [...new Set([resource, ...paths.map((path) => area(path, { ignoreCase: true }))])],
      headers: pairs(request),
    });
    response.set("x-origin", "express").send("ok");
  };
  app.use("/open/admin", at("admin"));
  app.use("/open/vault", at("vault"));
  app.use("/open", at("open"));
  app.use("/guest", at("guest"));
  app.use("/members", at("members"));
  app.use(at("none"));
  return { name: "express", ...(await listening(app)) };
}

// --- Python's WSGI server --------------------------------------------------------------------

async function startWsgi(saw) {
  const script = fileURLToPath(new URL("wsgi.py", import.meta.url));
  const child = spawn("python3", ["-u", script], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const [first] = await Promise.race([
    once(lines, "line"),
    once(child, "exit").then(([code]) => Promise.reject(new Error(`python3 ended with ${code}`))),
  ]);
  lines.on("line", (line) => saw(JSON.parse(line)));
  return { name: "wsgi", url: `http://127.0.0.1:${JSON.parse(first).port}`, stop: () => child.kill() };
}

// --- nginx: location blocks, on the path that it has decoded and resolved ---------------------

// It says to a reporter behind it where it has routed the request.
async function startNginx(saw) {
  const reporter = await listening((request, response) => {
    const headers = pairs(request);
    const take = (name) => headers.splice(headers.findIndex(([found]) => found === name), 1)[0][1];
    const [resource, target, read] = ["Nginx-Resource", "Nginx-Target", "Nginx-Uri"].map(take);
    const paths = [read.slice(1, -1), ...readings(target)];
    const { "x-case": id } = request.headers;
    saw({ id, origin: "nginx", method: request.method, target, resources: [...new Set([resource, ...paths.map((path) => area(path))])], headers });
    response.setHeader("x-origin", "nginx");
    response.end("ok");
  });
  const folder = mkdtempSync(path.join(tmpdir(), "warifu-differential-"));
  const port = await freePort();
  mkdirSync(path.join(folder, "temp"));
  writeFileSync(path.join(folder, "nginx.conf"), configuration(port, reporter.port));
  // Debian's is not on everybody's PATH.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
  const child = spawn("nginx", ["-e", "stderr", "-p", folder, "-c", "nginx.conf"], { env, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (log += text));
  const ended = new Promise((resolve) => child.once("error", resolve).once("exit", resolve));
  const stop = async () => {
    child.kill();
    await ended;
    reporter.stop();
    rmSync(folder, { recursive: true });
  };
  const url = `http://127.0.0.1:${port}`;
  const isUp = async () => {
    if (child.exitCode !== null || child.pid === undefined) throw new Error(`nginx ended: ${log}`);
    return (await fetch(`${url}/up`).catch(() => undefined))?.status === 204;
  };
  try {
    await until(isUp, "nginx answers");
  } catch (error) {
    await stop();
    throw error;
  }
  return { name: "nginx", url, stop };
}

function configuration(port, reporter) {
  const temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path temp/${name};`).join(" ");
  const locations = ["open/admin", "open/vault", "open", "guest", "members"]
    .map((name) => ({ name, resource: name.split("/").at(-1) }))
    .flatMap(({ name, resource }) => [`= /${name}`, `/${name}/`].map((where) => `location ${where} { set $resource ${resource}; proxy_pass http://reporter; }`));
  return `
daemon off; master_process off; pid nginx.pid; error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off; ${temp}
  large_client_header_buffers 8 128k;
  # As careless as it can be told to be.
  underscores_in_headers on; ignore_invalid_headers off;
  upstream reporter { server 127.0.0.1:${reporter}; keepalive 16; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 100000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header Nginx-Resource $resource;
    proxy_set_header Nginx-Target $request_uri;
    # It is decoded, and a space at its end would be lost.
    proxy_set_header Nginx-Uri "<$uri>";
    location / { set $resource none; proxy_pass http://reporter; }
    location = /up { return 204; }
    ${locations.join("\n    ")}
  }
}
`;
}
