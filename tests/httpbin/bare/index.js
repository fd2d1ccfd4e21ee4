// Passes requests on and does nothing else: what differs here, the platform does, and
// not warifu. What it cannot pass on gets 400.
import { DurableObject } from "cloudflare:workers";

export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const { method, headers, body } = request;
    const url = `${env.WARIFU.origin}${pathname}${search}`;
    try {
      return fetch(new Request(url, { method, headers, body, redirect: "manual" }));
    } catch {
      return new Response(null, { status: 400 });
    }
  },
};

// Named by wrangler.toml, and never asked.
export class SessionObject extends DurableObject {}
export class FeedObject extends DurableObject {}
