// The site under load, in one workerd: two edges, each an isolate with a memory of its own,
// and the objects in a third, behind which they keep their SQLite files. nginx is the
// application: it gives the command that a request asks for, and shows who it was told is there.
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { freePort } from "../../scripts/dev/ports.mjs";
import { runNginx } from "../cost/nginx.mjs";
import { writeConfiguration } from "../support/capnp.mjs";
import { binary, follow, listening } from "../support/processes.mjs";
import { root } from "../support/project.mjs";

export const EDGES = ["edge-1", "edge-2"];
export const COOKIE = "__Host-Http-warifu";
export const SHARDS = 64;
export const BOUND_MS = 2_000;
export const GRACE_MS = 15_000;
const IDLE = "3h";
const OBJECTS = "objects";

// The defaults, but for the routes, and for sessions that idle for longer than a run takes.
const configuration = (origin) => ({
  origin,
  idle_timeout: IDLE,
  bound: `${BOUND_MS}ms`,
  rotation_grace: `${GRACE_MS}ms`,
  map: [{ generation: 1, shards: SHARDS }],
  routes: [
    { path: "/public", access: "public" },
    { path: "/do", access: "optional", commands: true },
    { path: "/strict", access: "strict" },
    { path: "/*", access: "required" },
  ],
});

// A folder for a store of so many sessions, which does not outlive this process. In memory if
// there is room: a store that syncs to a disk for each commit would measure that disk.
export function newFolder(sessions, parent) {
  const memory = "/dev/shm";
  const { bavail, bsize } = existsSync(memory) ? statfsSync(memory) : { bavail: 0, bsize: 0 };
  const hasRoom = bavail * bsize > 512e6 + 3_000 * sessions;
  const folder = mkdtempSync(path.join(parent || (hasRoom ? memory : tmpdir()), "warifu-soak-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export class Site {
  constructor(folder, { build = path.join(root, "build") } = {}) {
    this.folder = folder;
    this.build = build;
    this.mac = randomBytes(32);
    this.admin = randomBytes(32).toString("base64url");
    this.objects = path.join(folder, "objects");
    mkdirSync(this.objects, { recursive: true });
  }

  // Starts the application, and with it the site for the first time.
  async begin() {
    this.nginx = await startNginx(this.folder);
    await this.start();
  }

  async start() {
    const config = path.join(this.folder, "config.capnp");
    writeConfiguration(config, { workers: this.#workers(), sockets: EDGES, disk: this.objects });
    const child = follow(
      spawn(binary, ["serve", "--control-fd=3", "--inspector-addr=127.0.0.1:0", config], {
        stdio: ["ignore", "ignore", "ignore", "pipe"],
      }),
    );
    this.ended = once(child, "exit").then(([code, signal]) => Promise.reject(new Error(`workerd ended with ${code ?? signal}`)));
    this.ended.catch(() => {});
    const ports = await listening(child, [...EDGES, "inspector"]);
    this.child = child;
    this.edges = EDGES.map((name) => ({ name, url: `http://127.0.0.1:${ports[name]}` }));
    this.inspector = `127.0.0.1:${ports.inspector}`;
  }

  // At once, as a machine that fails: what was answered has to be in the files all the same.
  // (Asked to end, workerd waits for its debugger's connections, now and then for ever.)
  async stop() {
    const exit = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await exit;
  }

  close() {
    this.child?.kill("SIGKILL");
    this.nginx?.kill("SIGKILL");
  }

  #workers() {
    const key = { kid: 1, key: this.mac.toString("base64url") };
    const admin = {
      id: "soak",
      sha256: createHash("sha256").update(this.admin).digest("hex"),
      scopes: ["sessions:read", "sessions:write", "mint", "revoke", "verify", "metrics"],
    };
    const file = (name) => path.join(this.build, name);
    const shared = {
      modules: { "index.js": file("index.js"), "index_bg.wasm": file("index_bg.wasm") },
      bindings: { WARIFU: configuration(this.nginx.url), WARIFU_KEYS: JSON.stringify([key]), WARIFU_ADMIN_KEYS: JSON.stringify([admin]) },
    };
    return [{ ...shared, name: OBJECTS, objects: true }, ...EDGES.map((name) => ({ ...shared, name, objects: OBJECTS }))];
  }
}

// What the application shows of a request: who it was told is there.
const SEEN = ["warifu-subject", "warifu-session", "warifu-level", "warifu-claims"];

async function startNginx(folder) {
  const port = await freePort();
  const seen = SEEN.map((name) => `"${name.slice("warifu-".length)}":"$http_${name.replaceAll("-", "_")}"`).join(",");
  const url = `http://127.0.0.1:${port}`;
  const child = await runNginx(
    folder,
    `server {
    listen 127.0.0.1:${port}; keepalive_timeout 1h; keepalive_requests 1000000000;
    add_header Cache-Control private;
    add_header Warifu-Command $http_x_wanted;
    location / { return 200 '{${seen}}'; }
  }`,
    url,
  );
  return Object.assign(child, { url });
}
