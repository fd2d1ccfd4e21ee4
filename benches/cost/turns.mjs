// The load of a run: what warms a contender up, and the rounds that are measured.
import { availableParallelism } from "node:os";

import { CONNECTIONS, load } from "./load.mjs";
import { SLOT_MS, schedule } from "./slots.mjs";

// V8 goes on compiling for so many requests: a request costs what it costs after them.
const WARM_UP = 12_000;

// Milliseconds from the start of each wrk to the first slot, and from the last slot to its end.
const [BEFORE, AFTER] = [400, 100];

// As many at once as there are processors, since nothing is measured here that needs one of its
// own; the last ones first, since these take long.
export async function warmUp(contenders, tell) {
  const waiting = [...contenders];
  const worker = async () => {
    while (waiting.length > 0) {
      const contender = waiting.pop();
      tell(contenders.length - waiting.length);
      await warm(contender);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
}

async function warm(contender) {
  // In steps, since it becomes faster.
  for (let left = WARM_UP, seconds = 1; left > 0; seconds = Math.min(3, Math.ceil(left / contender.last.perSecond))) {
    contender.last = await load(urlOf(contender), { ...shown(contender), seconds });
    left -= contender.last.requests;
  }
  if (contender.fresh === undefined) return;
  // To mint them warms up much of what these need.
  contender.last = await load(urlOf(contender), { cookies: await contender.fresh(1_500), seconds: 2 });
  contender.cookies = [];
}

// All of them, each in its slots, and what each process has used from before the first slot to
// after the last.
export async function round(contenders, { at, slots }) {
  const taking = contenders.filter(({ every = 1 }) => at % every === 0);
  for (const { fresh, cookies, last, share } of taking) {
    const wanted = 1.3 * last.perSecond * ((share * slots * SLOT_MS) / 1_000);
    if (fresh) cookies.push(...(await fresh(Math.ceil(wanted) - cookies.length)));
  }
  const before = taking.map(({ workerd }) => workerd.cpu());
  const { starts, end } = schedule(taking.map(({ share }) => share), { cycles: slots, from: Date.now() + BEFORE });
  const loaded = taking.map((contender, index) => {
    const inSlots = { starts: starts[index], sends: SLOT_MS - drain(contender.last), until: end + AFTER };
    return load(urlOf(contender), { ...shown(contender), cookies: contender.cookies, slots: inSlots });
  });
  for (const [index, done] of (await Promise.all(loaded)).entries()) {
    const contender = taking[index];
    contender.last = done;
    contender.cookies?.splice(0, done.requests + 2 * CONNECTIONS); // wrk takes some that it does not count
    contender.turns.push({ ...done, round: at, cpu: (contender.workerd.cpu() - before[index]) / 1_000 / done.requests });
  }
}

// How many milliseconds before the end of its slot a contender sends its last request.
const drain = ({ p50 }) => Math.min(SLOT_MS / 2, Math.ceil((1.25 * p50) / 1_000) + 2);

const urlOf = ({ workerd }) => `${workerd.url}/api/orders`;
const shown = ({ cookie, forged, unlike }) => ({ cookie: forged ?? cookie, unlike, refused: forged !== undefined });
