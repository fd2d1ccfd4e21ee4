// An origin that answers only what came through the gateway: all else gets 401.
// docs/signatures.md says what is signed, and what that is good for.
import express from "express";
import { createVerifier, httpbis } from "http-message-signatures";
import { parseDictionary, serializeDictionary } from "structured-headers";

import { command } from "./sign.mjs";

// Where the gateway has a user_header, and you read it: add its name, in lower case.
const IDENTITY = ["warifu-session", "warifu-level", "warifu-auth-time", "warifu-claims", "warifu-subject"];
const COVERED = ["@method", "@authority", "@path", "@query", ...IDENTITY];
const PARAMETERS = ["created", "expires", "nonce", "keyid", "alg", "tag"];

// All keys verify, so that they can be replaced one after the other.
const list = JSON.parse(process.env.WARIFU_ORIGIN_KEYS);
const hmac = (key) => ({ algs: ["hmac-sha256"], verify: createVerifier(Buffer.from(key, "base64url"), "hmac-sha256") });
const keys = new Map(list.map(({ kid, key }) => [String(kid), hmac(key)]));
const keyLookup = async ({ keyid, tag }) => (tag === "warifu" ? keys.get(keyid) : null);

async function verify({ method, originalUrl, headers }) {
  // The library knows no labels, and takes a part of a header ("warifu-claims";key="a") for the header. So what is
  // covered is looked at here, and the library gets the member `warifu` alone.
  const ours = ["signature-input", "signature"].map((name) => [name, parseDictionary(headers[name]).get("warifu")]);
  const [[, [covered]]] = ours;
  if (!COVERED.every((name) => covered.some(([item, part]) => item === name && part.size === 0))) return false;
  const only = ours.map(([name, member]) => [name, serializeDictionary(new Map([["warifu", member]]))]);
  // As they arrived: the library would make a URL of them, which encodes some characters that do arrive.
  const [path, query = ""] = originalUrl.split(/\?(.*)/s);
  const authority = headers.host.toLowerCase();
  const arrived = { "@method": [method], "@authority": [authority], "@path": [path], "@query": [`?${query}`] };
  const componentParser = (name) => arrived[name] ?? null;
  const settings = { keyLookup, componentParser, requiredParams: PARAMETERS, tolerance: 5 }; // seconds between clocks
  return httpbis.verifyMessage(settings, { method, url: "", headers: { ...headers, ...Object.fromEntries(only) } });
}

const app = express();
app.use(async (request, response, next) => {
  // It throws for most of what is wrong, and says null where no key is found.
  const verified = await verify(request).catch(() => false);
  return verified === true ? next() : response.sendStatus(401);
});
// Once the password is right, which is not asked for here.
app.post("/login", async (request, response) => {
  await command(request, response.status(303).location("/account"), 'do=start, sub="42"');
  response.end();
});
app.use(({ headers: { "warifu-subject": subject, "warifu-session": session, "warifu-level": level } }, response) => {
  response.json({ subject: decodeURIComponent(subject), session, level });
});
app.listen(Number(process.env.PORT ?? 8790), "127.0.0.1");
