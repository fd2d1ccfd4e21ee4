// wrk, the load generator: so many connections, one request after the other on each.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { lua } from "./slots.mjs";

export const CONNECTIONS = 16;

// What a browser sends with a request of a page's script.
export const BROWSER = {
  accept: "application/json, text/plain, */*",
  "accept-encoding": "gzip, deflate, br, zstd",
  "accept-language": "en-GB,en;q=0.9,de;q=0.8",
  "sec-ch-ua": '"Chromium";v="156", "Not)A;Brand";v="24"',
  "sec-ch-ua-mobile": "?0",
  "sec-ch-ua-platform": '"Linux"',
  "sec-fetch-dest": "empty",
  "sec-fetch-mode": "cors",
  "sec-fetch-site": "same-origin",
  "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
};

// The scripts and lists that wrk reads.
const folder = mkdtempSync(path.join(tmpdir(), "warifu-load-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
let loads = 0;

// Other cookies of the site.
const OTHERS = "theme=dark; _ga=GA1.1.1234567890.1790000000";

export const headersWith = (cookie) => ({ ...BROWSER, cookie: cookie === undefined ? OTHERS : `${OTHERS}; ${cookie}` });

// Until it has been `seconds`; or, with `slots`, only in these, as slots.mjs has them, of which
// the last ends at `until`. `cookies` are headers, one for each request, where requests differ.
// Each has a CF-Ray of its own, as on the platform; with `unlike` also a field of the client's.
export async function load(url, { cookie, seconds, slots, cookies, unlike = false, refused = false }) {
  const headers = Object.entries(headersWith(cookie)).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  loads += 1;
  const script = path.join(folder, `${loads}.lua`);
  const list = cookies && path.join(folder, `${loads}.cookies`);
  if (list) writeFileSync(list, cookies.join("\n"));
  writeFileSync(script, lua({ ...slots, cookies: list, count: cookies?.length, unlike }));
  const length = slots === undefined ? seconds : Math.ceil((slots.until - Date.now()) / 1_000) + 1;
  const running = promisify(execFile)("wrk", ["-t1", `-c${CONNECTIONS}`, `-d${length}s`, "--latency", "--timeout", "20s", "-s", script, ...headers, url]);
  // wrk counts in whole seconds. When it is interrupted it says what has been so far.
  const ends = slots && setTimeout(() => running.child.kill("SIGINT"), slots.until - Date.now());
  const { stdout } = await running.finally(() => clearTimeout(ends));
  const read = (pattern) => stdout.match(pattern)?.slice(1);
  const [requests, within] = read(/(\d+) requests in (\d+\.\d+(?:us|ms|s|m))/).map((text, at) => (at === 0 ? Number(text) : duration(text)));
  const [failed] = read(/Non-2xx or 3xx responses: (\d+)/) ?? ["0"];
  if (Number(failed) !== (refused ? requests : 0)) throw new Error(`${url}: ${failed} of ${requests} requests were refused`);
  if (/Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`);
  const micros = (part) => duration(read(new RegExp(`\\s${part}%\\s+([\\d.]+(?:us|ms|s))`))[0]);
  const busy = slots === undefined ? within : duration(read(/Busy: ([\d.]+ms)/)[0]);
  return { requests, perSecond: (requests * 1e6) / busy, p50: micros(50), p99: micros(99) };
}

function duration(text) {
  const [, number, unit] = text.match(/^([\d.]+)(us|ms|s|m)$/);
  return Number(number) * { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[unit];
}

const agent = new http.Agent({ keepAlive: true, timeout: 3_000 });

// One request, with these headers and no others, as no `fetch` sends it.
export async function ask(url, { method = "GET", headers = {}, body } = {}) {
  const length = body === undefined ? {} : { "content-length": Buffer.byteLength(body) };
  const request = http.request(url, { method, headers: { ...headers, ...length }, agent });
  request.end(body);
  const [answer] = await once(request, "response");
  const text = (await answer.toArray()).join("");
  return { status: answer.statusCode, text, cookies: (answer.headers["set-cookie"] ?? []).map((value) => value.split(";")[0]) };
}
