// The console before a site with many sessions, one person having as many as may be: it finds,
// lists, scrolls and ends as quickly as with few. WARIFU_CONSOLE_SESSIONS=10000 makes so many; CI has fewer.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertSound, receipt, says, startAll } from "./support.mjs";

const SESSIONS = Number(process.env.WARIFU_CONSOLE_SESSIONS || 400);
const CROWD = Math.max(210, Math.min(500, SESSIONS / 20)); // sessions of one person, and what max_sessions allows
const AT_ONCE = 24;
const PAGE = 100;
// Far more than it takes: another order of magnitude is what this is to find.
const MS_MAX = 5_000;
const FRAME_MS_MAX = 500;
const DEVICE = { user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", country: "JP", city: "Osaka" };

let all;
before(async () => {
  all = await startAll({ warifu: { max_sessions: CROWD, on_limit: "end_oldest" } });
});
after(() => all?.close());

/** Does something for each of the numbers below `count`, some at once. */
async function each(count, work) {
  let next = 0;
  const one = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

const cookieOf = ({ set_cookie: set }) => set.split(";")[0];
const statusOf = async (cookie) => (await all.gateway.fetch("/api/me", { headers: { cookie } })).status;

test(`${SESSIONS} sessions, ${CROWD} of them one person's`, { timeout: 3_600_000 }, async (t) => {
  const figures = {};
  const timed = async (what, work) => {
    const began = performance.now();
    const came = await work();
    figures[what] = Math.round(performance.now() - began);
    return came;
  };

  const [others, crowd] = [[], []];
  await timed("make all", async () => {
    await each(SESSIONS - CROWD, async (i) => others.push(cookieOf(await all.mint({ subject: `person-${i}`, device: DEVICE }))));
    await each(CROWD, async () => crowd.push(cookieOf(await all.mint({ subject: "crowd", device: DEVICE }))));
  });
  t.diagnostic(`made in ${figures["make all"]} ms`);
  // One more than may be, in the place of the oldest.
  crowd.push(cookieOf(await all.mint({ subject: "crowd", device: DEVICE })));

  const { page, ...operator } = await all.person();
  await operator.signIn();
  await says(page, "Type a subject").waitFor();

  await timed("find one among all", async () => {
    await operator.find(`person-${SESSIONS - CROWD - 1}`);
    await says(page, "1 session").waitFor();
  });
  await timed("find the crowd", async () => {
    await operator.find("crowd");
    await says(page, `1–${PAGE}, and more`).waitFor();
  });
  await assertSound(page, "a page of the crowd");
  await operator.shot("console-many", { fullPage: false });

  figures["slowest frame of scrolling"] = await page.evaluate(slowestFrame);

  const listed = new Set();
  const look = async () => {
    for (const id of await page.locator("[data-session]").evaluateAll((buttons) => buttons.map((button) => button.dataset.session))) listed.add(id);
  };
  await look();
  const pages = Math.ceil(CROWD / PAGE);
  await timed("list the other pages", async () => {
    for (let at = 1; at < pages; at++) {
      await page.getByRole("button", { name: "Next page" }).click();
      await says(page, at + 1 < pages ? `${at * PAGE + 1}–${(at + 1) * PAGE}, and more` : `${at * PAGE + 1}–${CROWD}`).waitFor();
      await look();
    }
  });
  assert.equal(listed.size, CROWD, "all are listed, each once, and no more than may be");

  await page.locator("[data-act=end-all]").click();
  await timed("end the crowd, until no edge accepts", async () => {
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Enter");
    await receipt(page, "quiesced").waitFor();
  });
  await says(page, "crowd has no live session.").waitFor();
  await operator.shot("console-many-ended", { fullPage: false });
  const statuses = new Set();
  await each(crowd.length, async (i) => statuses.add(await statusOf(crowd[i])));
  assert.deepEqual([...statuses], [401], "none of the crowd's is good");
  const step = Math.ceil(others.length / 50);
  const living = others.filter((_, i) => i % step === 0);
  for (const cookie of living) assert.equal(await statusOf(cookie), 200, "and everybody else's is");

  t.diagnostic(Object.entries(figures).map(([what, ms]) => `${what}: ${ms} ms`).join("; "));
  for (const what of ["find one among all", "find the crowd"]) assert.ok(figures[what] < MS_MAX, `${what} took ${figures[what]} ms`);
  assert.ok(figures["list the other pages"] < MS_MAX * pages);
  assert.ok(figures["end the crowd, until no edge accepts"] < 2_000 + MS_MAX);
  assert.ok(figures["slowest frame of scrolling"] < FRAME_MS_MAX, `a frame took ${figures["slowest frame of scrolling"]} ms`);
  await operator.close();
  all.checkAll();
});

/** In the page: scrolls from its top to its end, a bit in each frame; the longest between two. */
async function slowestFrame() {
  const frame = () => new Promise(requestAnimationFrame);
  let [slowest, last] = [0, await frame()];
  for (let y = 0; y < document.documentElement.scrollHeight; y += 120) {
    scrollTo({ top: y, behavior: "instant" });
    const now = await frame();
    slowest = Math.max(slowest, now - last);
    last = now;
  }
  scrollTo(0, 0);
  return Math.round(slowest);
}
