// The Worker's entry, around what worker-build has made. Its own entry is a class behind
// a proxy, of which the runtime makes two proxies for each request.
import Gateway, { FeedObject, SessionObject } from "gateway";

const { fetch } = Gateway.prototype;

export default {
  fetch: (request, env, ctx) => fetch.call({ env, ctx }, request),
};

export { FeedObject, SessionObject };
