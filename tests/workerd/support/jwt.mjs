// JWTs as an application makes them. The gateway holds them and does not look at the signature,
// which without a `key` is nobody's.
import { createHmac, randomBytes } from "node:crypto";

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// `seconds`: for how long it is good, unless the claims have an exp of their own.
export function jwt(claims, { seconds = 3_600, key = randomBytes(32) } = {}) {
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ exp: Math.floor(Date.now() / 1_000) + seconds, ...claims })}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}
