// Passes requests on and does nothing else: what differs here, the platform does, and
// not warifu.
import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const { method, headers, body } = request;
    return fetch(`${env.WARIFU.origin}${pathname}${search}`, { method, headers, body, redirect: "manual" });
  },
};

// Named by wrangler.toml, and never asked.
export class SessionObject extends DurableObject {}
export class FeedObject extends DurableObject {}
