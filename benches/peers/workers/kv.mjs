// A random session id in a cookie, and the session in KV: read for each request.
import { cookie, forward, refuse } from "./shared.mjs";

export default {
  async fetch(request, env) {
    const id = cookie(request, "session");
    const session = id === "" ? null : await env.KV.get(id, "json");
    return session === null ? refuse() : forward(request, env, session.subject);
  },
};
