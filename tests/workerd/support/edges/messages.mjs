// A hand on the messages to Durable Objects: it counts them by kind, and delays
// or loses them as a test wants. It keeps what they and their answers say, and the points
// of a data set, for the scan (tests/scan/).

const FIELD = "warifu-secret-message";

export class Messages {
  counts = {};
  seen = { messages: [], points: [] };
  #faults = [];

  // `faults`: a list of { to: "FEED" or "SESSIONS", kinds: ["poll", …] (default: all),
  // share: of the messages (1), beforeMs and afterMs: [least, most] of waiting
  // (none), lose: "message" or "answer", before: true for an object that a version before
  // this one runs, which knows of bodies only }. The first that fits counts.
  set faults(faults) {
    this.#faults = faults;
  }

  // The same bindings, with this hand on them.
  held(env) {
    const events = { writeDataPoint: (point) => this.seen.points.push(JSON.stringify(point)) };
    return { ...env, SESSIONS: this.#held("SESSIONS", env.SESSIONS), FEED: this.#held("FEED", env.FEED), EVENTS: events };
  }

  #held(binding, namespace) {
    const fetch = (name, options) => (url, init) =>
      this.#pass(binding, init, () => namespace.getByName(name, options).fetch(url, init));
    return { getByName: (name, options) => ({ fetch: fetch(name, options) }) };
  }

  async #pass(binding, { body, headers, signal }, send) {
    const said = headers?.[FIELD] ?? body;
    const kind = kindOf(JSON.parse(said));
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    const fits = ({ to, kinds, share = 1 }) => to === binding && (kinds?.includes(kind) ?? true) && Math.random() < share;
    const { beforeMs, afterMs, lose, before } = this.#faults.find(fits) ?? {};
    if (lose === "message") throw new Error("lost on purpose");
    this.seen.messages.push(said);
    if (before && body === undefined) return Response.json({ failed: { reason: "a call that cannot be read" } });
    if (beforeMs) await pause(beforeMs, signal);
    const response = await send();
    const text = await response.text();
    this.seen.messages.push(response.headers.get(FIELD) ?? "", text);
    if (lose === "answer") throw new Error("lost on purpose");
    if (afterMs) await pause(afterMs, signal);
    if (before) return new Response(text);
    return new Response(text === "" ? null : text, response);
  }
}

// Messages to shards are { call: { check: … } } or { call: "probe" }, those to
// the feed { poll: … }.
function kindOf(message) {
  const call = message.call ?? message;
  return typeof call === "string" ? call : Object.keys(call)[0];
}

// Waits; gives up as the caller does.
function pause([least, most], signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, least + Math.random() * (most - least));
    signal?.addEventListener("abort", () => reject(signal.reason));
  });
}
