// The story as people watch it: a thief at two banks, one button, and what comes of it on each
// side. All that a page says is held against what was sent and answered.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { startStory } from "./story.mjs";
import { NARROW, WIDE, assertSound, checkAll, openBrowser, person } from "./support.mjs";
import { until } from "../workerd/support/gateway.mjs";

// Long enough that some transfers come before the press and some after it.
const ACCESS_SECONDS = 15;
const OPENING = 10_000;
// A play lasts as long as it lasts, and a busy machine has several browsers to draw.
const PATIENCE_MS = 90_000;

let story, browser, world;
before(async () => {
  [story, browser] = await Promise.all([startStory({ accessSeconds: ACCESS_SECONDS }), openBrowser()]);
  world = { browser, app: story.url, origins: [story.url], people: [] };
});
after(async () => {
  await browser?.close();
  await story?.close();
});

async function watch(context = {}) {
  const someone = await person(world, context);
  someone.page.setDefaultTimeout(PATIENCE_MS);
  await someone.page.goto(`${story.url}/`);
  await someone.page.locator("main[data-phase]").waitFor();
  return {
    ...someone,
    press: () => someone.page.locator(".press").click(),
    phase: (phase) => someone.page.locator(`main[data-phase=${phase}]`).waitFor(),
    half: (name) => someone.page.locator(`.half.${name}`),
    text: (where) => someone.page.locator(where).innerText(),
  };
}

const taken = ({ transfers }) => transfers.filter(({ outcome }) => outcome === "taken");
const bothHave = (count) => async () => Object.values((await story.state()).sides).every(({ transfers }) => transfers.length >= count);
const yen = (amount) => `¥${amount.toLocaleString("en-GB")}`;

test("the press stops the thief on the right at once, and on the left when the token expires", async () => {
  const looks = {
    "wide-light-en": { viewport: WIDE, colorScheme: "light", locale: "en-GB" },
    "wide-dark-ja": { viewport: WIDE, colorScheme: "dark", locale: "ja-JP" },
    "narrow-dark-en": { viewport: NARROW, colorScheme: "dark", locale: "en-US" },
    "narrow-light-ja": { viewport: NARROW, colorScheme: "light", locale: "ja" },
  };
  const watchers = Object.fromEntries(await Promise.all(Object.entries(looks).map(async ([name, context]) => [name, await watch(context)])));
  const shoot = async (state) => {
    await Promise.all(
      Object.entries(watchers).map(async ([name, { page, shot }]) => {
        await assertSound(page, `${state}, ${name}`);
        await shot(`story-${state}-${name}`, { fullPage: false });
      }),
    );
  };
  const { "wide-light-en": first, "narrow-light-ja": other } = watchers;
  assert.equal(await other.page.evaluate(() => document.documentElement.lang), "ja");
  await shoot("waiting");

  await first.press();
  await first.phase("running");
  await until(bothHave(3), "three transfers on each side", { seconds: ACCESS_SECONDS });
  await first.press();
  await first.half("guarded").and(first.page.locator("[data-condition=refused]")).waitFor();
  assert.equal(await first.half("plain").getAttribute("data-condition"), "reported", "the left thief goes on");
  await shoot("reported");
  for (const { phase } of Object.values(watchers)) await phase("over");
  const { sides, amount } = await story.state();

  // On the right, what was sent once the end was acknowledged is refused, each and every one.
  const { guarded, plain } = sides;
  const [end, again] = guarded.steps;
  assert.deepEqual([end.path, end.status, again.path, again.status], ["/_warifu/me/not-me", 200, "/login", 303]);
  const late = guarded.transfers.filter(({ at }) => at >= end.at + end.ms);
  assert.ok(late.length >= 4, `${late.length} transfers since`);
  assert.deepEqual([...new Set(late.map(({ status }) => status))], [401]);
  assert.ok(taken(guarded).length >= 3, "and before it the copy was good");

  // On the left, what alice did was done, and changed nothing until the token was over.
  assert.deepEqual(plain.steps.map(({ path, status }) => [path, status]), [["/password", 303], ["/logout", 303], ["/login", 303]]);
  const done = Math.max(...plain.steps.map(({ at, ms }) => at + ms));
  const expiring = plain.expires - 1_000; // which is named in whole seconds
  const between = plain.transfers.filter(({ at, ms }) => at > done && at + ms < expiring);
  assert.ok(between.length >= 2, `${between.length} transfers between what she did and the expiry`);
  assert.deepEqual([...new Set(between.map(({ status }) => status))], [303]);
  const expired = plain.transfers.filter(({ at }) => at > plain.expires);
  assert.ok(expired.length >= 4);
  assert.deepEqual([...new Set(expired.map(({ status }) => status))], [401]);
  assert.equal(plain.refused_at > expiring, true, "the first refusal came with the expiry");

  // The money is where the application says, and it says so to who asks past all of this.
  for (const [name, side] of Object.entries(sides)) {
    const sum = amount * taken(side).length;
    assert.equal(side.balance, OPENING - sum, name);
    assert.equal(await story.balanceOf("mallory", name), OPENING + sum, name);
  }

  // And the page says that.
  await shoot("over");
  const sentSince = (side) => amount * taken(side).filter(({ at }) => at >= side.reported).length;
  assert.equal(await first.text(".verdict"), `${yen(sentSince(plain))} on the left, ${yen(sentSince(guarded))} on the right.`);
  const took = guarded.refused_at - guarded.reported;
  const shown = took < 2_000 ? `${Math.round(took).toLocaleString("en")} ms` : `${(took / 1_000).toFixed(1)} s`;
  assert.match(await first.half("guarded").locator(".figures").innerText(), new RegExp(`from the press to the first refusal\\s+${shown}`));
  assert.match(await first.half("plain").locator(".figures").innerText(), new RegExp(`Alice has\\s+${yen(plain.balance)}`));

  // Whoever watches sees the same.
  for (const name of ["plain", "guarded"]) {
    const figures = await Promise.all(Object.values(watchers).map(({ half }) => half(name).locator(".figure").first().innerText()));
    assert.deepEqual([...new Set(figures.map((figure) => figure.replace("￥", "¥")))], [yen(sides[name].balance)]);
  }
  assert.match(await first.text("[role=status]"), /It is over/);
  for (const { close } of Object.values(watchers)) await close();
  checkAll(world);
});

test("the bank's own page is shown as it is, and can do nothing", async () => {
  const { page, half, press, phase, close } = await watch();
  await press(); // again: the story is over
  await phase("running");
  const { sides } = await story.state();
  assert.ok(sides.plain.transfers.length < 4 && sides.plain.opening === OPENING, "both banks are new");
  await half("guarded").locator("summary").click();
  const inside = half("guarded").frameLocator("iframe");
  await inside.getByText(/alice, you have ¥/).waitFor();
  const bank = await story.ask("/bank/guarded");
  assert.match(bank.headers.get("content-security-policy"), /^sandbox; default-src 'none';/);
  assert.equal(await page.locator("iframe").first().getAttribute("sandbox"), "");
  await assertSound(page, "with the bank's page");
  await close();
  checkAll(world);
});

test("before anything is known there is nothing to press, and who listens is there already", async () => {
  const { page, close } = await person(world);
  let goOn;
  await page.route("**/events", async (route) => {
    await new Promise((resolve) => (goOn = resolve));
    await route.continue();
  });
  await page.goto(`${story.url}/`);
  await page.locator("main.story[aria-busy]").waitFor();
  await until(() => goOn !== undefined, "it asks");
  assert.equal(await page.locator(".press").isVisible(), false);
  assert.deepEqual(await page.locator("[role=status]").allTextContents(), [""]);
  await assertSound(page, "nothing is known");
  goOn();
  await page.locator(".press").waitFor({ timeout: PATIENCE_MS });
  await close();
  checkAll(world);
});

test("it is worked with the keyboard, and says what happens", async () => {
  const { page, half, close } = await watch();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "This wasn’t me");
  await page.keyboard.press("Enter");
  await half("guarded").and(page.locator("[data-condition=refused]")).waitFor();
  await page.locator("[role=status]").getByText(/On the right, the thief is refused .* after the press/).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "This wasn’t me", "the focus stays");
  assert.equal((await story.press("/not-me")).status, 409, "once is enough");
  assert.equal((await story.press("/begin")).status, 409, "and one is on");
  await close();
  checkAll(world);
});

test("only the page itself may press, under its own names", async () => {
  for (const headers of [{}, { "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-site" }]) {
    for (const where of ["/begin", "/not-me"]) assert.equal((await story.ask(where, { method: "POST", headers })).status, 403);
  }
  assert.equal((await story.ask("/", { headers: { host: "evil.example" } })).status, 421);
  const page = await story.ask("/");
  assert.match(page.headers.get("content-security-policy"), /^default-src 'none'; script-src 'self'; style-src 'self';/);
});

test("a part that does not answer is named, and the other side goes on", async () => {
  const { page, half, press, phase, shot, close } = await watch();
  await phase("over");
  await press();
  await phase("running");
  story.crash("plain");
  await half("plain").and(page.locator("[data-condition=silent]")).waitFor();
  await half("plain").getByText("No answer from this side: ECONNREFUSED.").waitFor();
  await shot("story-silent", { fullPage: false });
  await assertSound(page, "silent");
  await press();
  await half("guarded").and(page.locator("[data-condition=refused]")).waitFor();
  await phase("over");
  await press();
  await phase("running");
  await until(bothHave(2), "both banks are there again", { seconds: PATIENCE_MS / 1_000 });
  assert.equal((await story.state()).sides.plain.problem, null);

  await story.kill();
  await page.getByText("The story’s own server does not answer.").waitFor();
  await close();
  // The browser says so too; it is what was to be seen.
  world.people.splice(0);
});
