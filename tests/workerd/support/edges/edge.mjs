// The gateway as one more edge: an isolate and a memory of its own, and the
// objects of another Worker.
import gateway from "./gateway.mjs";
import { Messages } from "./messages.mjs";

const messages = new Messages();

// The gateway lets a request through in the turn in which it decides.
const { fetch } = globalThis;
globalThis.fetch = (url, init) => {
  init.headers.set("let-through", Date.now());
  return fetch(url, init);
};

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/hand/seen") return Response.json(messages.seen);
    if (pathname === "/hand") {
      if (request.method === "POST") messages.faults = await request.json();
      return Response.json(messages.counts);
    }
    return gateway.fetch(request, messages.held(env), context);
  },
};
