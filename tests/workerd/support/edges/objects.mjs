// The gateway with the objects of all edges, which can be stopped at any time.
import { DurableObject } from "cloudflare:workers";

import * as gateway from "./gateway.mjs";
import { Messages } from "./messages.mjs";

const messages = new Messages();

const stoppable = (Inner) =>
  class extends DurableObject {
    constructor(state, env) {
      super(state, env);
      this.inner = new Inner(state, messages.held(env));
    }

    // Whatever is under way in it fails, and its memory is lost.
    fetch(request) {
      if (new URL(request.url).pathname === "/stop") this.ctx.abort("stopped on purpose");
      return this.inner.fetch(request);
    }

    alarm() {
      return this.inner.alarm();
    }
  };

export const SessionObject = stoppable(gateway.SessionObject);
export const FeedObject = stoppable(gateway.FeedObject);

export default {
  async fetch(request, env, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/hand/seen") return Response.json(messages.seen);
    if (pathname === "/hand") {
      if (request.method === "POST") messages.faults = await request.json();
      return Response.json(messages.counts);
    }
    if (pathname === "/stop") {
      const object = env[searchParams.get("binding")].getByName(searchParams.get("name"));
      await object.fetch("http://object/stop").catch(() => {});
      return new Response(null, { status: 204 });
    }
    // What an edge of a version before this one says, and is told.
    if (pathname === "/said") {
      const object = env[searchParams.get("binding")].getByName(searchParams.get("name"));
      return object.fetch("http://object/", { method: "POST", body: await request.text() });
    }
    return gateway.default.fetch(request, env, context);
  },
};
