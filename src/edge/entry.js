// The Worker's entry, around what worker-build has made. Its own entry is a class behind
// a proxy, of which the runtime makes two proxies for each request.
import Gateway, { FeedObject, SessionObject } from "gateway";

const { fetch } = Gateway.prototype;

// Of src/edge/precedents.js, which is a part of what was made.
const repeat = globalThis[Symbol.for("warifu.repeat")];

export default {
  fetch(request, env, ctx) {
    const hear = () => fetch.call({ env, ctx }, request);
    return repeat(request, env, ctx, hear) ?? hear();
  },
};

export { FeedObject, SessionObject };
