// A JWT in a cookie, signed with ECDSA: the key is imported once.
import { jwtVerify } from "jose";

import { cookie, forward, refuse } from "./shared.mjs";

let key;

export default {
  async fetch(request, env) {
    try {
      key ??= await crypto.subtle.importKey("jwk", JSON.parse(env.JWK), { name: "ECDSA", namedCurve: "P-256" }, false, ["verify"]);
      const { payload } = await jwtVerify(cookie(request, "session"), key, { algorithms: ["ES256"] });
      return await forward(request, env, payload.sub);
    } catch {
      return refuse();
    }
  },
};
