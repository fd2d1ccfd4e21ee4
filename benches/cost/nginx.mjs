// What stands behind all contenders: nginx as the application, and as the store that
// a KV binding of workerd talks to. Both are processes of their own, so that only the
// Worker's side of a call counts.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { freePort } from "../../scripts/dev/ports.mjs";
import { follow, until } from "../support/processes.mjs";

// The body of an answer to `/api/orders`: some JSON, as a page asks for.
const BODY = JSON.stringify({ orders: Array.from({ length: 8 }, (_, n) => ({ id: 1_000 + n, total: "12.50", currency: "EUR", state: "shipped" })) });

// What /seen shows of a request.
const SEEN = ["cookie", "warifu-subject", "warifu-session", "warifu-claims", "signature", "x-forwarded-host", "x-original-url", "user-agent"];

export async function startNginx(folder) {
  const [origin, kv] = [await freePort(), await freePort()];
  const values = path.join(folder, "kv");
  const log = path.join(folder, "kv.log");
  mkdirSync(values);
  const seen = SEEN.map((name) => `"${name}":"$http_${name.replaceAll("-", "_")}"`).join(",");
  const keptAlive = "keepalive_timeout 1h; keepalive_requests 1000000000;";
  const url = `http://127.0.0.1:${origin}`;
  await runNginx(
    folder,
    `log_format asked '$request_method';
  server {
    listen 127.0.0.1:${origin}; ${keptAlive}
    add_header Cache-Control private;
    location / { return 200 '${BODY}'; }
    location = /seen { return 200 '{${seen}}'; }
  }
  server {
    listen 127.0.0.1:${kv}; ${keptAlive}
    access_log ${log} asked;
    root ${values}; dav_methods PUT DELETE;
  }`,
    `${url}/seen`,
  );
  return {
    url,
    kv: `127.0.0.1:${kv}`,
    // A value that the KV binding then has.
    put: (key, value) => writeFileSync(path.join(values, key), value),
    // How often the KV binding has asked so far.
    asked: () => (existsSync(log) ? readFileSync(log, "utf8").split("\n").length - 1 : 0),
  };
}

// The process, once it answers at `url`. `servers` is what stands in its block `http`; all else that
// it writes is in the folder.
export async function runNginx(folder, servers, url) {
  const config = path.join(folder, "nginx.conf");
  writeFileSync(
    config,
    `daemon off; master_process off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; default_type application/json; etag off; tcp_nodelay on;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  ${servers}
}
`,
  );
  const binary = ["/usr/sbin/nginx", "/usr/local/bin/nginx", "/opt/homebrew/bin/nginx"].find(existsSync) ?? "nginx";
  const child = follow(spawn(binary, ["-c", config, "-p", folder], { stdio: ["ignore", "ignore", "inherit"] }));
  await until(() => fetch(url).then(({ ok }) => ok, () => false), "nginx answers");
  return child;
}
