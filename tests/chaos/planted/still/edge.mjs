// An edge whose clock can be told to stand.
import edge from "./edge.mjs";

const { now } = Date;
let stands;
Date.now = () => stands ?? now();

export default {
  async fetch(request, env, context) {
    const { pathname } = new URL(request.url);
    if (pathname === "/stand" || pathname === "/go") {
      stands = pathname === "/stand" ? now() : undefined;
      return new Response();
    }
    return edge.fetch(request, env, context);
  },
};
