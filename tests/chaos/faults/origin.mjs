// The application behaves badly in every way of HOSTILE: the gateway answers what
// docs/errors.md says, or breaks off what began well; sessions are not harmed, and others are
// served meanwhile.
import { setTimeout as pause } from "node:timers/promises";

import { HOSTILE } from "../support/origin.mjs";
import { EDGES, ORIGIN_TIMEOUT_MS } from "../support/site.mjs";

export const name = "hostile application";

const EACH = 3;

export async function round(room, chance) {
  const { people, site } = room;
  const kinds = room.turn(Object.keys(HOSTILE), 4);
  const victims = people.sessions.filter(({ isEnded }) => !isEnded);
  const [bystander] = victims.splice(0, 1);
  for (const session of [bystander, ...victims]) session.busy += 1;
  // Others are served meanwhile, by the edges that wait for the bad answers.
  let isOver = false;
  const served = new Set();
  const serve = async (edge) => {
    while (!isOver) {
      const { result } = await people.check(bystander, { edge });
      if (!isOver && result === "done") served.add(edge);
      await pause(20);
    }
  };
  const serving = EDGES.map(serve);
  await Promise.all(kinds.flatMap((kind) => Array.from({ length: EACH }, () => suffer(people, site, chance.one(victims), kind, chance.one(EDGES)))));
  isOver = true;
  await Promise.all(serving);
  if (kinds.some((kind) => HOSTILE[kind].answers.includes(504)) && served.size < EDGES.length) throw new Error(`nobody was served meanwhile by ${EDGES.filter((edge) => !served.has(edge))}`);
  bystander.busy -= 1;
  for (const session of victims) session.busy -= 1;
  room.heal();
}

// One bad answer, which must not be passed on as a good one.
async function suffer(people, site, session, kind, edge) {
  const { answers } = HOSTILE[kind];
  const noted = people.history.begin({ op: "other", where: `/hostile/${kind}`, edge, session: session.label });
  const answer = await site.edges[edge].send("GET", `/hostile/${kind}`, { headers: { cookie: session.cookie } });
  noted.answered = performance.now();
  const { status, json } = answer;
  const outcome = answer.result === "cut" ? "broken" : status;
  Object.assign(noted, { status, code: json?.code, result: outcome === "broken" ? "cut" : status < 400 ? "done" : "refused", expected: answers });
  // Nobody answers in time on a machine that has no time: that is 504 too.
  const isLate = status === 504 && noted.answered - noted.sent >= ORIGIN_TIMEOUT_MS;
  // That the session has ended meanwhile is no fault of the application.
  if (status === 401) noted.expected = [...answers, 401];
  else if (!answers.includes(outcome) && !isLate) wrong(noted, `${outcome} where ${answers.join(" or ")} is right`);
  else if (status >= 400 && json?.code !== "origin_unreachable") wrong(noted, `code ${json?.code}`);
}

// The checker takes a refusal without a code of docs/errors.md for wrong.
function wrong(noted, why) {
  Object.assign(noted, { result: "refused", code: undefined, expected: undefined, why });
}
