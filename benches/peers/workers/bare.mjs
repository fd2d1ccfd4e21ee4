// Passes on what comes: nothing is looked at, nothing is changed.
import { target } from "./shared.mjs";

export default {
  fetch: (request, env) => fetch(new Request(target(request.url, env.ORIGIN), request)),
};
