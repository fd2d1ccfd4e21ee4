// All ways to end sessions, each with what it promises: refused at once by the edge that
// was asked and on strict routes everywhere, and by all edges after the bound.
import { newCookie } from "./client.mjs";
import { EVERYWHERE_MS, SAME_ORIGIN, logIn } from "./deeds.mjs";

// A look at an edge that may still accept, each so often.
const LOOK_MS = 150;

// So often the other edge is asked on a strict route first.
const STRICT_SHARE = 0.3;

const command = (asked) => ({ client }, edge, { cookie }) => client.ask(edge, "end by the application", { path: "/do", cookie, command: asked });
const call = (kind, where) => ({ client }, edge, session) => client.call(edge, kind, "DELETE", where(session));
const own = (method, where) => ({ client }, edge, { cookie }, kind = "end by the person", wants = [200]) =>
  client.ask(edge, kind, { method, path: `/_warifu/${where}`, cookie, headers: SAME_ORIGIN, wants });

// `has`: how many sessions the person has, the first of which acts; `keeps`: that one stays,
// and gets a new cookie; `atOnce`: the answer comes when nobody accepts any more.
export const ENDS = {
  "kill of a session": { has: 1, act: call("kill of a session", ({ id }) => `sessions/${id}`), hasReceipt: true },
  "kill of a person": { has: 3, act: call("kill of a person", ({ subject }) => `sessions?subject=${subject}`), hasReceipt: true },
  "kill of a person, and wait": {
    has: 2,
    act: call("kill of a person, and wait", ({ subject }) => `sessions?subject=${subject}&wait=quiesced`),
    hasReceipt: true,
    atOnce: true,
  },
  "log-out": { has: 1, act: (world, edge, session) => own("POST", "logout")(world, edge, session, "log-out", [204]) },
  "not me": { has: 2, act: own("POST", "me/not-me") },
  "all others": { has: 2, keeps: true, act: own("DELETE", "me/sessions") },
  "do=end": { has: 1, act: command("do=end") },
  "do=end-all": { has: 2, act: command("do=end-all") },
  "do=end-others": { has: 2, keeps: true, act: command("do=end-others") },
};

// Ends one person's sessions in the way that `name` says.
export async function end(world, name) {
  const { client, people, later } = world;
  const { has, keeps = false, act, hasReceipt = false, atOnce = false } = ENDS[name];
  const first = await people.take();
  const sessions = [first];
  while (sessions.length < has) {
    const another = await logIn(world, first.subject);
    if (another === undefined) break; // what was wrong is written down
    sessions.push(another);
  }
  const edge = client.anyEdge();
  const other = client.otherThan(edge);
  for (const session of sessions) {
    for (const at of client.edges) await client.ask(at, "check", { path: "/page", cookie: session.cookie, as: session });
  }
  const answer = await act(world, edge, first);
  if (!answer.isRight) {
    for (const { id } of sessions) people.unknown.add(id);
    return;
  }
  if (hasReceipt) {
    world.kill = answer.json.kill_id;
    const state = atOnce ? "quiesced" : "published";
    if (answer.json.state !== state) client.wrong(name, `the receipt says ${answer.json.state} where it should say ${state}`);
  }
  const T = answer.answered;
  const dead = keeps ? sessions.slice(1) : sessions;
  // What opened the session that stays opens it no more either.
  const cookies = sessions.map(({ cookie }) => cookie);
  world.ends += 1;
  if (keeps) {
    const cookie = newCookie(answer);
    if (cookie === undefined) {
      client.wrong(name, "200 without a new cookie");
      people.unknown.add(first.id);
    } else {
      first.cookie = cookie;
      for (const at of client.edges) await client.ask(at, "check after a change", { path: "/page", cookie, as: first });
      people.add(first);
    }
  }
  for (const session of dead) people.end(session);
  later(0, () => Promise.all(cookies.map((cookie) => refused(world, { name, cookie, edge, other, T, atOnce }))));
}

// Looks whether a cookie that was ended at T is refused, where and when it has to be.
async function refused(world, { name, cookie, edge, other, T, atOnce }) {
  const { client, people, later, delays } = world;
  const kind = "after an end";
  const at = async (where, path, wants) => {
    const answer = await client.ask(where, kind, { path, cookie, wants });
    if (answer.status === 200 && !wants.includes(200)) served(world, { name, where, path, by: answer.sent - T });
    return answer;
  };
  await at(edge, "/page", [401]);
  // Whoever has asked the shard knows of the end, on other routes too: so not always, since
  // then the bound would not be looked at.
  if (Math.random() < STRICT_SHARE) await at(other, "/strict", [401]);
  // The other edge may go on for the bound. When it lets in for the last time is the delay.
  const accepts = async (last) => {
    const isOver = atOnce || Date.now() > T + EVERYWHERE_MS;
    const answer = await at(other, "/page", isOver ? [401] : [200, 401]);
    if (answer.status === 200 && !isOver) return later(LOOK_MS, () => accepts(answer.sent - T));
    delays.recordValue(Math.max(1, last));
    return undefined;
  };
  await accepts(0);
  later(T + EVERYWHERE_MS + 1 - Date.now(), async () => {
    for (const where of client.edges) await at(where, "/page", [401]);
    people.bury(cookie);
  });
}

function served(world, { name, where, path, by }) {
  world.served += 1;
  world.client.wrong("served after its end", `${name}: ${where.name} let it in to ${path}, ${by} ms after the answer`);
}
