// What must never be seen, judged by what the origins saw and by what was sent; nothing of
// the gateway's own goes into it.
import { createHmac } from "node:crypto";

import { FORGED, OTHERS } from "./generate.mjs";
import { needs } from "./readings.mjs";

const IDENTITY = ["warifu-subject", "warifu-session", "warifu-level", "warifu-auth-time", "warifu-claims", "remote-user"];
const NEVER = ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-http-method", "x-method-override", "script-name"];
const COVERED = ["@method", "@authority", "@path", "@query", ...["session", "level", "auth-time", "claims"].map((name) => `warifu-${name}`), "remote-user", "warifu-subject"];

// Answers that are the gateway's, or the platform's. Nothing is broken, so 500 and 502 to 504
// are none of them.
const REFUSALS = [302, 400, 401, 403, 405, 414, 421, 431, 501, 505];

// As a careless application compares names.
const fold = (name) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, "-");

// RFC 3986, section 6.2.2: one form of each path.
const isCanonical = (path) =>
  /^(\/([\w\-.~!$&'()*+,;=:@]|%[0-9A-F]{2})*)+$/.test(path) &&
  !/\/\/|%(2F|5C|7F|[01].|2D|2E|5F|7E|3\d|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])|\/\.\.?([/;]|$)/.test(path);

// The strictest need of all the readings of one request.
export function need(seen) {
  const all = seen.resources.map((resource) => needs(resource, seen.method));
  return ["session", "anyone", "nothing"].find((one) => all.includes(one));
}

// What is wrong with one request that arrived. `site` is the one that it arrived at: its
// `identity` of the live session, `authority` and `key`.
export function* faults(sent, seen, site) {
  const headers = seen.headers.map(([name, value]) => [fold(name), value]);
  const values = (name) => headers.filter(([found]) => found === name).map(([, value]) => value);
  const found = IDENTITY.map(values);
  const isIdentified = found.some((list) => list.length > 0);
  const who = (name) => site.identity[name];
  const isWho = IDENTITY.every((name, index) => found[index].length === 1 && found[index][0] === who(name));
  const isNobody = found.every((list) => list.length === 1 && list[0] === "");
  const needed = need(seen);

  if (needed === "session" && !isWho) yield `a protected resource without a session: ${seen.resources}`;
  if (needed === "nothing" && isIdentified) yield "identity on a public route";
  if (needed === "anyone" && !isIdentified) yield "no identity headers on a route that is not public";
  if (isIdentified && !isWho && !isNobody) yield `identity headers that the gateway has not written: ${JSON.stringify(found)}`;
  if (isWho && (sent.cookie === "bad" || !sent.isAtHome)) yield "let in without a cookie that opens it";
  if (isNobody && sent.cookie === "good" && sent.isPlain) yield "a live session that was not honoured";

  for (const [name, value] of headers) {
    if (NEVER.includes(name)) yield `${name} arrived`;
    if (value.includes(FORGED) && !OTHERS.includes(name)) yield `a forged ${name} arrived: ${value}`;
    if (name.startsWith("warifu-") && !IDENTITY.includes(name)) yield `${name} arrived`;
  }
  if (values("cookie").some((value) => value.includes("__Host-Http-warifu"))) yield "the session cookie arrived";
  if (values("x-forwarded-proto").join() !== "http") yield `x-forwarded-proto: ${values("x-forwarded-proto")}`;
  // Where nobody tells the client's address, neither arrives.
  if (values("x-real-ip").join() !== values("x-forwarded-for").join()) yield `x-real-ip: ${values("x-real-ip")}`;
  if (values("x-forwarded-host").join() !== site.host) yield `x-forwarded-host: ${values("x-forwarded-host")}`;
  if (!isCanonical(seen.target.split("?")[0])) yield `a path that is not canonical: ${seen.target}`;
  if (/^[A-Z]+$/.test(sent.method) && seen.method !== sent.method) yield `the method ${seen.method} instead of ${sent.method}`;
  yield* signatureFaults(seen, values, isIdentified, site);
}

// RFC 9421: over the request as the origin sees it.
function* signatureFaults(seen, values, isIdentified, site) {
  const input = values("signature-input").join(", ");
  const signature = values("signature").join(", ");
  const count = (text) => text.match(/warifu *[=;]/gi)?.length ?? 0;
  const wanted = isIdentified ? 1 : 0;
  // What a field holds that is no dictionary is nobody's signature, and passes.
  const ours = input.match(/(?:^|, )warifu=(\([^)]*\);created=\d+;expires=\d+;nonce="[^"]*";keyid="1";alg="hmac-sha256";tag="warifu")$/)?.[1];
  const mac = signature.match(/(?:^|, )warifu=:([^:]*):$/)?.[1];
  if (wanted === 0) {
    if (count(input) + count(signature) > 0) yield `a signature on a public route: ${input} ${signature}`;
    return;
  }
  if (ours === undefined || mac === undefined || count(input.replace('tag="warifu"', "").replaceAll(/"warifu-[^"]*"/g, "")) !== 1 || count(signature) !== 1) {
    yield `not one signature: ${input} | ${signature}`;
    return;
  }
  const [path, query = ""] = seen.target.split(/\?(.*)/s);
  const derived = { "@method": seen.method, "@authority": site.authority, "@path": path, "@query": `?${query}` };
  const base = COVERED.map((name) => `"${name}": ${derived[name] ?? values(name)[0]}`);
  const right = createHmac("sha256", Buffer.from(site.key, "base64url")).update([...base, `"@signature-params": ${ours}`].join("\n")).digest("base64");
  if (ours.slice(0, ours.indexOf(")") + 1) !== `(${COVERED.map((name) => `"${name}"`).join(" ")})`) yield `covered: ${ours}`;
  if (mac !== right) yield `the signature does not fit what arrived: ${input}`;
}

// What is wrong with an answer.
export function* answerFaults(sent, answer, seen, site) {
  const from = answer.headers.find(([name]) => name === "x-origin")?.[1];
  if (answer.extra) yield "more than one answer";
  if (seen.length > 1) yield `it arrived ${seen.length} times`;
  if (seen.length > 0 && (answer.status !== 200 || from !== seen[0].origin)) yield `it arrived, and was answered with ${answer.status} by ${from ?? "the gateway"}`;
  if (seen.length === 0 && from !== undefined) yield `answered by ${from}, which never got it`;
  const isOurs = seen.length === 0 && answer.status === 200 && /\/_warifu/i.test(decodeURIComponent(sent.target.replaceAll(/%(?![0-7][0-9a-f])/gi, "")));
  if (seen.length === 0 && !isOurs && ![0, ...REFUSALS, 404].includes(answer.status)) yield `answered with ${answer.status}, and never arrived`;
  if (sent.isPlain) yield* plainFaults(sent, answer, seen, site);
}

// An honest request is served or refused as the routes say.
function* plainFaults(sent, answer, seen, site) {
  if (!["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"].includes(sent.method)) return;
  const needed = needs(site.resource(sent.target.split("?")[0]), sent.method);
  const isLetIn = needed !== "session" || sent.cookie === "good";
  if (sent.cookie === "either" && needed === "session") return;
  const expected = isLetIn ? 200 : 401;
  if (answer.status !== expected) yield `an honest request, answered with ${answer.status} instead of ${expected}`;
  if (seen.length !== (isLetIn ? 1 : 0)) yield `an honest request that arrived ${seen.length} times`;
}
