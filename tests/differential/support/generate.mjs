// One generated request: bytes, and what the oracle has to know of it.
import { Random } from "./random.mjs";
import { honestPath, oddPath } from "./paths.mjs";

const NAME = "__Host-Http-warifu";

// What is in forged fields. It never arrives, but for in the fields of OTHERS.
export const FORGED = "forged";
export const OTHERS = ["cookie", "x-test"];

// --- cookies -------------------------------------------------------------------------------
// `live`, `other`, `dead` and `foreign` are tokens with good MACs: two sessions of the site, one
// that was ended, and one of another site.

const flip = (token, at) => token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);

// What has to be taken for the live session, whatever else stands beside it.
const GOOD = [
  ({ live }) => [`${NAME}=${live}`],
  ({ live }) => [`a=1; ${NAME}=${live}; b=2`],
  ({ live }) => [`a=1;${NAME}=${live};b=2`],
  ({ live }) => [`${NAME}=${live}; ${NAME}=${live}`],
  ({ live }) => [`${NAME}=x; ${NAME}=${live}; ${NAME}=`],
  ({ live }) => [`$Version=1; ${NAME}=${live}; $Path=/`],
  ({ live }) => [`x=\xff; ${NAME}=${live}; ${NAME}x=y; x${NAME}=z`],
  ({ live, foreign }) => [`${NAME}=${foreign}; ${NAME}=${live}`],
  ({ live }) => [`${NAME.toLowerCase()}=x; ${NAME}=${live}`],
];

// What opens nothing.
const BAD = [
  () => [],
  () => ["a=1; b=forged"],
  () => [`${NAME}=`, `${NAME}`],
  ({ live }, random) => [`${NAME}=${flip(live, random.below(live.length - 1))}`],
  ({ live }, random) => [`${NAME}=${live.slice(0, random.below(live.length))}`],
  ({ live }) => [`${NAME}=${live}A`],
  ({ live }) => [`${NAME}=${live}=`],
  ({ live }) => [`${NAME}="${live}"`],
  ({ live }) => [`${NAME}= ${live}`],
  ({ live }) => [`${NAME} =${live}`],
  ({ live }) => [`a=1;  ${NAME}=${live}`],
  ({ live }) => [`a=1;\t${NAME}=${live}`],
  ({ live }) => [`a=1, ${NAME}=${live}`],
  ({ live }) => [`a=1,${NAME}=${live}; b=2`],
  ({ live }) => ["a=1", `${NAME}=${live}`],
  ({ live }) => [`\xa0${NAME}=${live}`],
  ({ live }) => [`a=1; \xa0${NAME}=${live}`],
  ({ live }) => [`a="; ${NAME}=${live}"`],
  ({ live }) => [`${NAME}=${live}\xff`],
  ({ live }) => [`${NAME.toLowerCase()}=${live}`],
  ({ live }) => [`Http-warifu=${live}; warifu=${live}; __Host-=${live}`],
  ({ live }) => [`${NAME}=${live.toLowerCase()}`],
  ({ live, other }) => [`${NAME}=${live}; ${NAME}=${other}`],
  ({ live, dead }) => [`${NAME}=${dead}; ${NAME}=${live}`],
  ({ live }) => [`${`${NAME}=x; `.repeat(4)}${NAME}=${live}`],
  ({ live }) => [`a=${"x".repeat(16_400)}; ${NAME}=${live}`],
  ({ dead }) => [`${NAME}=${dead}`],
  ({ foreign }) => [`${NAME}=${foreign}`],
  (_, random) => [`${NAME}=${"A".repeat(random.pick([0, 1, 71, 72, 73, 9_000]))}`],
];

// Two headers arrive as one, joined by a comma: in some orders that leaves the token whole.
const EITHER = [
  ({ live }) => [`${NAME}=${live}`, "a=1"],
  ({ live }) => [`${NAME}=${live}; b=2`, "a=1"],
  ({ live }) => ["a=1; b=2", `c=3; ${NAME}=${live}`],
  ({ live }) => [` ${NAME}=${live} `],
];

// --- other fields -----------------------------------------------------------------------------

const IDENTITY = ["Subject", "Session", "Level", "Auth-Time", "Claims", "Anything", "Command", "Nonce", ""].map((name) => `Warifu-${name}`);
const FORWARDING = ["For", "Host", "Proto", "Port", "Uri", "Method", "User", "Prefix", "Server"].map((name) => `X-Forwarded-${name}`);
const REWRITING = ["X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Real-IP", "Script-Name", "Forwarded"];

// Signs that may stand in a field's name (RFC 9110, section 5.6.2).
const JOINTS = ["-", "-", "_", "_", ".", "~", "!", "^", "|", "+", "'", "*", "#", "$", "%", "&", "`"];

function folded(random, name) {
  const joint = random.pick(JOINTS);
  return [...name].map((sign) => (sign === "-" ? (random.chance(70) ? joint : sign) : random.chance(30) ? swapped(sign) : sign)).join("");
}
const swapped = (sign) => (sign === sign.toLowerCase() ? sign.toUpperCase() : sign.toLowerCase());

const FIELDS = [
  ...Array(6).fill((random) => `${folded(random, random.pick([...IDENTITY, "Remote-User"]))}: ${random.pick([FORGED, FORGED, `${FORGED}, x`, ""])}`),
  (random) => `${folded(random, random.pick(FORWARDING))}: ${FORGED}`,
  (random) => `${folded(random, random.pick(REWRITING))}: ${random.pick([FORGED, "/open/admin/x", "/open/x", "DELETE", "GET", "for=forged"])}`,
  (random) => `Connection: ${random.pick(["keep-alive", "close", "TE"])}, ${random.pick(["Warifu-Subject", "Remote-User", "Signature", "Cookie", "Host", "warifu-session, warifu-level", "X-Forwarded-Host"])}`,
  (random) => `Signature${random.pick(["", "-Input"])}: ${random.pick(["", "sig1=:YQ==:, "])}${random.pick(["warifu=", "Warifu=", "warifu;a=1=", "warifu =", "warifu"])}${random.pick([":Zm9yZ2Vk:", '("@method");keyid="forged"', ":forged", ""])}`,
  (random) => `Signature: warifu=:Zm9yZ2Vk:\r\nSignature-Input: ${random.pick(['warifu=();tag="forged"', 'a=();b="\\", warifu=("@path");keyid="forged"', "warifu"])}`,
  (random) => random.pick(["X-Middleware-Subrequest: middleware:middleware", "User-Agent: kube-probe/1.27", "User-Agent: GoogleHC/1.0", "X-Warifu-Subject: x", "Authorization: Bearer x", "X-Auth-Request-Redirect: /x"]),
  (random) => random.pick(["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin", "Origin: https://evil.example", "Origin: null", "Sec-Fetch-Mode: navigate", "Accept: text/html"]),
  // What some parsers take for two fields, or for another one.
  (random) => random.pick(["Warifu-Subject : forged", "X-Test: a\r\n Warifu-Subject: forged", "X-Test: a\nWarifu-Subject: forged", "X-Test: a\rWarifu-Subject: forged", "X-Test: a\0\r\nWarifu-Subject: forged", "\tWarifu-Subject: forged", "Warifu-Subject\0: forged", "Warifu-Subject\xff: forged", ": forged", "Warifu-Subject", "X-Test: \xff\xfe", "Host: evil.example"]),
];

const METHODS = ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "get", "TRACE", "PURGE", "GET\t", "G@T"];

// --- the whole ----------------------------------------------------------------------------------

// `sites`: names with their hosts and tokens. Requests are the same for the same seed, but
// for the tokens. Each is made for every site.
export function* generate({ seed, count, sites }) {
  const random = new Random(seed);
  for (let n = 0; n < count; n += 1) {
    const own = random.below(2 ** 31);
    for (const site of sites) yield one(new Random(own), `${n}.${site.name}`, site);
  }
}

function one(random, id, site) {
  const isHonest = random.chance(40);
  const { kind, target } = isHonest ? { kind: "honest", target: honestPath(random) } : oddPath(random, site.host);
  const draw = random.below(100);
  const [cookie, list] = draw < 55 ? ["good", GOOD] : draw < 90 ? ["bad", BAD] : ["either", EITHER];
  const cookies = random.pick(list)(site, random);
  const fields = [];
  if (random.chance(isHonest ? 40 : 30)) for (let left = 1 + random.below(4); left > 0; left -= 1) fields.push(random.pick(FIELDS)(random));
  const method = random.chance(75) ? "GET" : random.pick(METHODS);
  const lines = [`X-Case: ${id}`, ...cookies.map((value) => `Cookie: ${value}`), ...fields];
  if (["POST", "PUT", "PATCH"].includes(method)) lines.push("Content-Length: 2");
  return request({ id, kind, target, method, site: site.name, host: site.host, cookie, lines, isPlain: isHonest && fields.length === 0 && cookies.join("").length < 16_000 });
}

// The same with its bytes.
export function request({ lines, method, target, host, ...rest }) {
  const body = lines.includes("Content-Length: 2") ? "{}" : "";
  const text = `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
  return { ...rest, method, target, host, lines, bytes: Buffer.from(text, "latin1") };
}
