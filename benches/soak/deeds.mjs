// What people, administrators and attackers do, each with what must come of it. The ends of
// sessions are in ends.mjs.
import { randomBytes } from "node:crypto";

import { newCookie } from "./client.mjs";
import { cookieOf } from "./fill.mjs";
import { BOUND_MS, GRACE_MS, SHARDS } from "./site.mjs";

// After this time from an answer, all edges go by what it says: receipts allow as much.
export const EVERYWHERE_MS = Math.ceil(BOUND_MS * 1.001 + 50);
// A change may wait for so long until the shard sends it to the feed: docs/storage-schema.md.
const REFRESH_MS = 250;
// For what the machine does meanwhile: it only makes a look come later.
const SLACK_MS = 250;

const FLOODER = "203.0.113.";
const STRANGER = "198.51.100.";
const FROM_FLOODER = { "cf-connecting-ip": `${FLOODER}9` };
const byte = () => Math.floor(Math.random() * 256);
const anywhere = () => ({ "cf-connecting-ip": `10.${byte()}.${byte()}.${byte()}` });
export const SAME_ORIGIN = { "sec-fetch-site": "same-origin" };

// --- checks -------------------------------------------------------------------------------

export function check({ client, people }) {
  return people.reading((session) => client.ask(client.anyEdge(), "check", { path: "/page", cookie: session.cookie, as: session }));
}

// Of a session that no edge has heard of lately.
export function firstCheck({ client, people }) {
  const session = people.anyOfStock();
  return client.ask(client.anyEdge(), "check of a session that the edge does not know", { path: "/page", cookie: session.cookie, as: session });
}

export function strictCheck({ client, people }) {
  return people.reading((session) => client.ask(client.anyEdge(), "strict check", { path: "/strict", cookie: session.cookie, as: session }));
}

export function publicPage({ client }) {
  return client.ask(client.anyEdge(), "public page", { path: "/public" });
}

export function withoutCookie({ client }) {
  return client.ask(client.anyEdge(), "without a cookie", { path: "/page", wants: [401] });
}

// A cookie of a session that has ended, or of one that never was.
export function gone({ client, people }) {
  const cookie = Math.random() < 0.7 ? people.anyGone() : cookieOf(people.stock.mac, Math.floor(Math.random() * SHARDS), randomBytes(32));
  if (cookie === undefined) return undefined;
  return client.ask(client.anyEdge(), "cookie of a session that is gone", { path: Math.random() < 0.1 ? "/strict" : "/page", cookie, wants: [401] });
}

// Cookies that were made up, from one network: 300 a minute are refused as such, what is
// over with 429. And from everywhere: those are few for each network.
export async function flood({ client, people, flooded }) {
  const { cookie } = people.anyOfStock();
  const forged = cookie.slice(0, -2) + (cookie.endsWith("AA") ? "BA" : "AA");
  if (Math.random() < 0.25) {
    await client.ask(client.anyEdge(), "wrong MAC", { path: "/page", cookie: forged, headers: anywhere(), wants: [401] });
    return;
  }
  const answer = await client.ask(client.anyEdge(), "wrong MAC", {
    path: "/page",
    cookie: forged,
    headers: { "cf-connecting-ip": FLOODER + byte() },
    wants: [401, 429],
  });
  if (answer.status === 401) flooded.refused += 1;
  if (answer.status === 429) flooded.limited += 1;
  if (answer.status === 429 && !(Number(answer.headers["retry-after"]) >= 1)) client.wrong("wrong MAC", "429 without Retry-After");
}

// An honest neighbour of the flooder's.
export function neighbour({ client, people }) {
  return people.reading((session) =>
    client.ask(client.anyEdge(), "check", { path: "/page", cookie: session.cookie, headers: FROM_FLOODER, as: session }),
  );
}

// --- what changes a session ----------------------------------------------------------------

// A new session of somebody's, the caller's alone; undefined if there is none. With a form;
// whoever comes back from elsewhere logs in with GET. That may be refused if sessions of
// the person's were ended within the bound before, which a form never is.
export async function logIn({ client, people }, subject = people.newSubject(), method = "POST") {
  const edge = client.anyEdge();
  const answer = await client.ask(edge, "log-in", { method, path: "/do", command: `do=start, sub="${subject}"`, headers: anywhere() });
  const cookie = answer.isRight ? newCookie(answer) : undefined;
  if (cookie === undefined) {
    if (answer.isRight) client.wrong("log-in", "200 without a cookie");
    people.perhaps += 1;
    return undefined;
  }
  const first = await client.ask(edge, "first check after a log-in", { path: "/page", cookie, as: { subject, level: 1, claims: "" } });
  if (first.status !== 200) {
    people.perhaps += 1;
    return undefined;
  }
  const session = { subject, id: JSON.parse(first.text).session, cookie, level: 1, claims: "", isNew: true };
  people.begun.add(session.id);
  return session;
}

export async function logsIn(world) {
  const session = await logIn(world, undefined, Math.random() < 0.5 ? "POST" : "GET");
  if (session === undefined) return;
  await world.client.ask(world.client.anyEdge(), "first check after a log-in", { path: "/page", cookie: session.cookie, as: session });
  world.people.add(session);
}

// A new secret, with or without a higher level. The old one is served for a while, and then no more.
export async function rotate(world, raises = false) {
  const { client, people, later } = world;
  const session = await people.take();
  const [edge, old] = [client.anyEdge(), { ...session }];
  const command = raises ? `do=rotate, level=${session.level + 1}` : "do=rotate";
  const kind = raises ? "rotation with a higher level" : "rotation";
  const answer = await client.ask(edge, kind, { path: "/do", cookie: old.cookie, command, as: old });
  const cookie = answer.isRight ? newCookie(answer) : undefined;
  if (cookie === undefined) {
    if (answer.isRight) client.wrong(kind, "200 without a new cookie");
    people.unknown.add(session.id);
    return;
  }
  if (raises) session.level += 1;
  // Whoever comes with the old one now is let in as who it was, and given the same new one,
  // at the other edge once that has heard of it; not where the level was raised.
  for (const at of client.edges) {
    const raced = await client.ask(at, "old cookie within the grace", { path: "/page", cookie: old.cookie, as: old });
    if (!raced.isRight) continue;
    const given = newCookie(raced);
    const isRight = raises ? given === undefined : given === cookie || (given === undefined && at !== edge);
    if (!isRight) client.wrong(kind, `the old cookie led to ${given === undefined ? "none" : "another"}`);
  }
  session.cookie = cookie;
  for (const at of client.edges) await client.ask(at, "check after a change", { path: "/page", cookie, as: session });
  people.add(session);
  later(GRACE_MS + EVERYWHERE_MS + SLACK_MS, async () => {
    for (const at of client.edges) await client.ask(at, "old cookie after the grace", { path: "/page", cookie: old.cookie, wants: [401] });
  });
}

// A level never passes 255.
export function raise(world) {
  return rotate(world, true);
}

// New claims, by the application or by an administrator.
export async function update(world) {
  const { client, people, later } = world;
  const session = await people.take();
  const edge = client.anyEdge();
  await client.ask(client.otherThan(edge), "check", { path: "/page", cookie: session.cookie, as: session });
  const claims = JSON.stringify({ seen: randomBytes(8).toString("hex") });
  const isRight =
    Math.random() < 0.6
      ? (await client.ask(edge, "change of claims", { path: "/do", cookie: session.cookie, command: `do=update, claims=:${btoa(claims)}:` })).isRight
      : (await client.call(edge, "change of claims", "PATCH", `sessions/${session.id}`, { body: { claims: JSON.parse(claims) } })).isRight;
  if (!isRight) {
    people.unknown.add(session.id);
    return;
  }
  session.claims = Buffer.from(claims).toString("base64url");
  const look = { cookie: session.cookie, as: session };
  await client.ask(edge, "check after a change", { path: "/page", ...look });
  await client.ask(client.otherThan(edge), "strict check", { path: "/strict", ...look });
  later(REFRESH_MS + EVERYWHERE_MS + SLACK_MS, async () => {
    await client.ask(client.otherThan(edge), "check after a change", { path: "/page", ...look });
    people.add(session);
  });
}

// --- who reads -------------------------------------------------------------------------------

const READS = [
  async ({ client }, edge, { subject, id }) => {
    const { json } = await client.call(edge, "administrator's list", "GET", `sessions?subject=${encodeURIComponent(subject)}`);
    if (json && !json.sessions.some((record) => record.id === id)) client.wrong("administrator's list", `${id} is not in it`);
  },
  async ({ client }, edge, { subject, id, level }) => {
    const { json } = await client.call(edge, "administrator's record", "GET", `sessions/${id}`);
    if (json && (json.subject !== subject || json.level !== level)) client.wrong("administrator's record", `${id} is another`);
  },
  async ({ client }, edge, { subject, id }) => {
    const { json } = await client.call(edge, "administrator's audit", "GET", `audit?subject=${encodeURIComponent(subject)}`);
    const isThere = json?.events.some(({ event, session }) => event === "session_started" && session === id);
    if (json && json.next === null && !isThere) client.wrong("administrator's audit", `the start of ${id} is not in it`);
  },
  async ({ client }, edge, { cookie, id }) => {
    const { isRight, text } = await client.ask(edge, "own sessions", { path: "/_warifu/me/sessions", cookie, headers: SAME_ORIGIN });
    const current = isRight && JSON.parse(text).sessions.find((record) => record.current);
    if (isRight && current?.id !== id) client.wrong("own sessions", `${id} is not the current one`);
  },
  ({ client }, edge, { cookie }) => client.ask(edge, "own sessions", { path: "/_warifu/me", cookie, headers: SAME_ORIGIN }),
  async (world, edge) => {
    const { kill } = world;
    if (kill === undefined) return;
    const { json } = await world.client.call(edge, "administrator's receipt", "GET", `revocations/${kill}`);
    if (json && !["published", "quiesced"].includes(json.state)) world.client.wrong("administrator's receipt", `it is ${json.state}`);
  },
  ({ client }, edge) => client.ask(edge, "health", { path: "/_warifu/health" }),
];

export function read(world) {
  const { client, people } = world;
  const reads = READS[Math.floor(Math.random() * READS.length)];
  return people.reading((session) => reads(world, client.anyEdge(), session));
}

// Somebody who tries keys: 30 a minute are refused as such.
export function guess({ client }) {
  const key = randomBytes(32).toString("base64url");
  const headers = { "cf-connecting-ip": STRANGER + byte() };
  return client.call(client.anyEdge(), "administrator's key that is none", "GET", "sessions?subject=42", { key, headers, wants: [401, 429] });
}
