// Signs the commands that an application gives to the gateway, for a site with require_signed_commands.
// docs/signatures.md says what is signed, and what that is good for.
import { createSigner, httpbis } from "http-message-signatures";

const REQUEST = ["@method", "@authority", "@path", "@query", "warifu-nonce"];
const FIELDS = ["@status", "warifu-command", ...REQUEST.map((name) => `${name};req`)];
const PARAMETERS = ["created", "expires", "keyid", "alg", "tag"];

// The gateway takes all keys that it has. Signed is with the first of this list, so a new one stands behind it at first.
const [{ kid, key }] = JSON.parse(process.env.WARIFU_ORIGIN_KEYS);
const signer = createSigner(Buffer.from(key, "base64url"), "hmac-sha256", String(kid));

// Gives a command with this answer, whose status has to stand by now. Call it where the command is made: what signs
// whatever is in an answer signs what somebody else has put there.
export async function command({ method, originalUrl, headers }, response, value) {
  // As they arrived, see app.mjs.
  const [path, query = ""] = originalUrl.split(/\?(.*)/s);
  const authority = headers.host.toLowerCase();
  const arrived = { "@method": method, "@authority": authority, "@path": path, "@query": `?${query}` };
  const componentParser = (name) => (name in arrived ? [arrived[name]] : null);
  const paramValues = { expires: new Date(Date.now() + 30_000), tag: "warifu-command" };
  const settings = { key: signer, name: "warifu", fields: FIELDS, params: PARAMETERS, paramValues, componentParser };
  const answer = { status: response.statusCode, headers: { "warifu-command": value } };
  response.set((await httpbis.signMessage(settings, answer, { method, url: "", headers })).headers);
}
