// better-auth's getSession: the sessions in KV, its secondary storage, which is the
// cheapest of the stores that it can have at the edge; people in its own memory
// adapter, which no check of a session asks. With COOKIE_CACHE the session is in a
// signed cookie too, and that is gone by.
import { betterAuth } from "better-auth/minimal";
import { memoryAdapter } from "@better-auth/memory-adapter";

import { forward, refuse } from "./shared.mjs";

const people = { user: [], session: [], account: [], verification: [] };
let auth;

const make = (env) =>
  betterAuth({
    baseURL: "http://127.0.0.1",
    secret: env.PASSWORD,
    database: memoryAdapter(people),
    secondaryStorage: {
      get: (key) => env.KV.get(key),
      set: (key, value) => env.KV.put(key, value),
      delete: (key) => env.KV.delete(key),
    },
    emailAndPassword: { enabled: true },
    // Longer than its default of five minutes, so that no run sees it expire.
    session: { cookieCache: { enabled: env.COOKIE_CACHE === "yes", maxAge: 86_400 } },
    telemetry: { enabled: false },
    rateLimit: { enabled: false },
    logger: { level: "error" },
  });

export default {
  async fetch(request, env) {
    auth ??= make(env);
    if (request.url.includes("/api/auth/")) return auth.handler(request);
    const found = await auth.api.getSession({ headers: request.headers });
    return found === null ? refuse() : forward(request, env, found.user.id);
  },
};
