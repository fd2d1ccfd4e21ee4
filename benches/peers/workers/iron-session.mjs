// iron-session: the session itself in the cookie, encrypted and authenticated.
import { unsealData } from "iron-session";

import { cookie, forward, refuse } from "./shared.mjs";

export default {
  async fetch(request, env) {
    const { subject } = await unsealData(decodeURIComponent(cookie(request, "session")), { password: env.PASSWORD });
    return subject === undefined ? refuse() : forward(request, env, subject);
  },
};
