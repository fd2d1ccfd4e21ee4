// Looks for the bytes of secrets in whatever a gateway has let out while it ran: what clients got,
// what the application got, what was logged, what is stored. Which secrets there are it learns
// from what passes. A harness that starts a gateway makes one of these, and ends with `finish`,
// which throws if something was found.
import { filesIn, leaksIn, nameOf, placesIn } from "./leaks.mjs";
import { answersIn, requestsIn } from "./messages.mjs";
import { Secrets, TOKEN } from "./secrets.mjs";
import { Wire, dial, openDoor } from "./wire.mjs";

const MIB = 1 << 20;
// What a run may keep until it is searched; more is a mistake of the test's, which can name a limit.
const KEPT_BYTES_MAX = 1024 * MIB;
const SHOWN_MAX = 20;
// Where this throws, hooks that would have ended other servers may not run: the process ends then.
const EXIT_MS = 60_000;

// What one gateway has told is no less secret to another, or to the same one started anew.
const secrets = new Secrets();
const unfinished = new Set();
process.on("exit", () => {
  if (unfinished.size === 0) return;
  console.error(`${unfinished.size} gateways were not closed, so what they let out was not searched for secrets`);
  process.exitCode ||= 1;
});

export class Scan {
  #wires = { client: [], origin: [] };
  #doors = [];
  #said = new Map();
  #custody;
  #limit;

  // `warifu` is the configuration, `keys` and `originKeys` are the texts of WARIFU_KEYS and
  // WARIFU_ORIGIN_KEYS, `adminKeys` a list of what newAdminKey makes. `limit` is how many bytes are
  // kept of each connection and direction, where a test checks by itself what comes after.
  constructor({ warifu = {}, keys, originKeys, adminKeys = [], limit } = {}) {
    this.#custody = [warifu, ...(warifu.sites ?? [])].map(({ custody = {}, adopt }) => ({
      cookies: [...(custody.cookies ?? []), ...(adopt?.cookie === undefined ? [] : [adopt.cookie])],
      bearer: custody.bearer ?? [],
    }));
    this.#limit = limit;
    for (const [kind, text] of [["gateway key", keys], ["origin key", originKeys]]) {
      for (const { key } of keysIn(text)) secrets.key(kind, key, "its configuration");
    }
    for (const { key } of adminKeys) secrets.key("admin key", key, "its configuration");
  }

  // A key that is in no configuration that was given.
  knows(kind, key) {
    secrets.key(kind, key, "its configuration");
  }

  // A session's token that was given where nothing listens.
  wasGiven(token) {
    secrets.token(token, "an answer");
  }

  // --- where it listens ---------------------------------------------------------------------

  // The same configuration, with a door in front of each application.
  async behind(warifu) {
    const through = async (origin) => {
      const url = URL.canParse(origin) ? new URL(origin) : {};
      if (url.protocol !== "http:" || url.hostname !== "127.0.0.1") return origin;
      const door = await openDoor({ host: url.hostname, port: Number(url.port || 80) }, () => this.#wire("origin"));
      this.#doors.push(door);
      return origin.replace(url.host, `${url.hostname}:${door.port}`);
    };
    const sites = warifu.sites && (await Promise.all(warifu.sites.map((site) => this.behind(site))));
    return { ...warifu, ...(sites ? { sites } : {}), ...(warifu.origin === undefined ? {} : { origin: await through(warifu.origin) }) };
  }

  // Opens a door in front of the gateway, which listens at `port`, and returns its address. `dial`
  // connects to the gateway itself, for clients of the same process.
  async before(port, wanted = 0) {
    unfinished.add(this);
    const door = await openDoor({ host: "127.0.0.1", port }, () => this.#wire("client"), wanted);
    this.#doors.push(door);
    return { url: new URL(`http://127.0.0.1:${door.port}`), dial: () => dial(port, this.#wire("client")) };
  }

  #wire(side) {
    const wire = new Wire(this.#limit);
    this.#wires[side].push(wire);
    return wire;
  }

  // A line of the log, or a part of whatever else is seen at one place.
  saw(where, text) {
    if (!this.#said.has(where)) this.#said.set(where, []);
    this.#said.get(where).push(Buffer.from(text));
  }

  // --- what it finds ------------------------------------------------------------------------

  // Everybody has gone; `stores` are the folders in which the gateway keeps what it stores.
  finish(stores = []) {
    for (const door of this.#doors) door.close();
    unfinished.delete(this);
    const timer = setTimeout(() => process.exit(1), EXIT_MS).unref();
    const finds = this.finds(stores);
    if (finds.length > 0) throw Object.assign(new Error(report(finds)), { finds });
    clearTimeout(timer);
  }

  // What nothing allows, as texts that show no secret.
  finds(stores = []) {
    const places = [...this.#clients(), ...this.#applications(), ...this.#logs(), ...stores.flatMap(filesIn)];
    return leaksIn(places, secrets);
  }

  #clients() {
    return this.#conversations("client").flatMap(({ answers, requests }) => {
      for (const request of requests) this.#learnFromCookies(request);
      for (const answer of answers) learnFromAnswer(answer);
      return answers.flatMap((message) => placesIn("answer", message, `the answer to ${nameOf(message.request)}`));
    });
  }

  #applications() {
    return this.#conversations("origin").flatMap(({ answers, requests }) => {
      for (const answer of answers) this.#learnHeld(answer);
      return requests.flatMap((message) => placesIn("request", message, `the application's ${nameOf(message)}`));
    });
  }

  // The messages of all connections of one side; each is read once, and not kept.
  #conversations(side) {
    const wires = this.#wires[side];
    const kept = wires.reduce((sum, { sent, came }) => sum + [...sent, ...came].reduce((bytes, part) => bytes + part.length, 0), 0);
    if (kept > KEPT_BYTES_MAX) throw new Error(`${Math.round(kept / MIB)} MiB have passed, more than is searched: the test has to name a limit`);
    return wires.map(({ sent, came }) => {
      const requests = requestsIn(Buffer.concat(sent));
      return { requests, answers: answersIn(Buffer.concat(came), requests) };
    });
  }

  #logs() {
    return [...this.#said].map(([name, parts]) => ({ in: "log", name, bytes: Buffer.concat(parts) }));
  }

  // --- what it learns -----------------------------------------------------------------------

  #learnHeld({ fields, body, request }) {
    const where = request?.target?.split("?")[0];
    for (const { cookies, bearer } of this.#custody) {
      for (const [name, value] of cookiesSet(fields)) if (cookies.includes(name)) secrets.held(value, "the application's Set-Cookie");
      const tokens = bearer.filter(({ path: at }) => where?.startsWith(at)).flatMap(({ tokens = [] }) => tokens);
      for (const pointer of tokens) {
        const value = at(jsonOf(body), pointer);
        if (typeof value === "string") secrets.held(value, `the application's answer at ${where}`);
      }
    }
  }

  // A session of the application's own, which moves in.
  #learnFromCookies({ fields }) {
    const pairs = fields.filter(([name]) => name === "cookie").flatMap(([, value]) => value.split(/; */).map((pair) => pair.split(/=(.*)/s)));
    for (const [name, value = ""] of pairs) {
      if (this.#custody.some(({ cookies }) => cookies.includes(name))) secrets.held(value, "the cookie of a client");
    }
  }
}

function learnFromAnswer(message) {
  for (const [name, value] of cookiesSet(message.fields)) {
    if (name.startsWith("__Host-") && TOKEN.test(value)) secrets.token(value, `the answer to ${nameOf(message.request)}`);
  }
  const { token } = message.status === 201 ? (jsonOf(message.body) ?? {}) : {};
  if (typeof token === "string" && TOKEN.test(token)) secrets.token(token, `the answer to ${nameOf(message.request)}`);
}

const cookiesSet = (fields) =>
  fields.filter(([name]) => name === "set-cookie").map(([, value]) => value.split(";")[0].split(/=(.*)/s)).map(([name, value = ""]) => [name.trim(), value.trim()]);

function jsonOf(body) {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}

// What a JSON pointer (RFC 6901) names.
function at(json, pointer) {
  const names = pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  return names.reduce((value, name) => (typeof value === "object" && value !== null ? value[name] : undefined), json);
}

// Configurations that are wrong on purpose have no keys.
function keysIn(text) {
  const list = text === undefined || text === null ? [] : jsonOf(Buffer.from(String(text)));
  return Array.isArray(list) ? list.filter((key) => typeof key?.key === "string" && key.key.length >= 16) : [];
}

const report = (finds) =>
  [`secrets where none may be, ${finds.length} times:`, ...finds.slice(0, SHOWN_MAX), ...(finds.length > SHOWN_MAX ? ["and more"] : [])].join("\n  ");
