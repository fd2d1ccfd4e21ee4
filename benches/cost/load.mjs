// wrk, the load generator: so many connections, one request after the other on each.
import { execFile } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { promisify } from "node:util";

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

// Other cookies of the site.
const OTHERS = "theme=dark; _ga=GA1.1.1234567890.1790000000";

export const headersWith = (cookie) => ({ ...BROWSER, cookie: cookie === undefined ? OTHERS : `${OTHERS}; ${cookie}` });

// `script` is a file for wrk, where requests differ.
export async function load(url, { cookie, seconds, script, refused = false }) {
  const headers = Object.entries(headersWith(cookie)).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const own = script === undefined ? [] : ["-s", script];
  const { stdout } = await promisify(execFile)("wrk", ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "--latency", "--timeout", "20s", ...own, ...headers, url]);
  const read = (pattern) => stdout.match(pattern)?.slice(1);
  const [requests, within] = read(/(\d+) requests in ([\d.]+)s/).map(Number);
  const [failed] = read(/Non-2xx or 3xx responses: (\d+)/) ?? ["0"];
  if (Number(failed) !== (refused ? requests : 0)) throw new Error(`${url}: ${failed} of ${requests} requests were refused`);
  if (/Socket errors/.test(stdout)) throw new Error(`${url}: ${stdout}`);
  const micros = (part) => duration(read(new RegExp(`\\s${part}%\\s+([\\d.]+(?:us|ms|s))`))[0]);
  return { requests, perSecond: requests / within, p50: micros(50), p99: micros(99) };
}

function duration(text) {
  const [, number, unit] = text.match(/^([\d.]+)(us|ms|s)$/);
  return Number(number) * { us: 1, ms: 1e3, s: 1e6 }[unit];
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
