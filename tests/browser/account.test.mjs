// The users' own page in a real browser: a user, a thief with a copy of the cookie, an operator.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { until } from "../workerd/support/gateway.mjs";
import { NARROW, WIDE, assertSound, receipt, release, says, startAll } from "./support.mjs";

const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";

let all;
before(async () => {
  all = await startAll();
});
after(() => all?.close());
afterEach(() => all.checkAll());

/** Somebody with a session of their own. */
async function at(subject, context = {}) {
  const person = await all.person({ userAgent: FIREFOX, ...context });
  await person.carry(await all.mint({ subject, device: { user_agent: context.userAgent ?? FIREFOX, country: "JP", city: "Osaka" } }));
  return person;
}

const account = () => `${all.app}/_warifu/account/`;
const pathOf = (page) => new URL(page.url()).pathname;

test("who is not logged in is sent to the log-in, and comes back", async () => {
  const { page, ...user } = await all.person({ userAgent: FIREFOX });
  await page.goto(account());
  assert.equal(pathOf(page), "/login");
  await page.locator("input[name=username]").fill("alice");
  await page.locator("input[name=password]").fill("correct horse battery staple");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Where you are signed in" }).waitFor();
  assert.equal(page.url(), account());
  await says(page, "Signed in as alice").waitFor();
  await says(page, "Firefox on Windows").waitFor();
  await user.close();
});

test("'this wasn't me' ends a thief's copy of this very session", async () => {
  const { page, context, ...user } = await all.person({ userAgent: FIREFOX });
  await user.logIn("alice");
  const thief = await all.person({ userAgent: FIREFOX });
  await thief.context.addCookies(await context.cookies());
  await thief.page.goto(`${all.app}/account`);
  assert.equal(pathOf(thief.page), "/account", "the copy opens the account");

  await page.goto(account());
  await page.getByRole("button", { name: "This wasn’t me" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End all of them" }).click();
  await page.getByRole("heading", { name: "All your sessions are ended" }).waitFor();
  await says(page, /^Signed out\. Within [23] seconds nobody gets in any more\.$/).waitFor();
  await assertSound(page, "not me");
  await user.shot("account-not-me-published");
  await receipt(page, "quiesced").waitFor();
  await says(page, "Signed out everywhere.").waitFor();
  for (const word of ["Accepted", "Published", "feed"]) assert.ok(!(await page.content()).includes(word), word);
  await user.shot("account-not-me");
  await thief.page.goto(`${all.app}/account`);
  assert.equal(pathOf(thief.page), "/login", "and now opens nothing");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL((url) => url.pathname === "/login" && url.searchParams.get("return_to") === "/_warifu/account/");
  await user.close();
  await thief.close();
});

test("where an end cannot be told elsewhere yet, people are told what to do", async () => {
  for (const [name, context] of Object.entries({
    "wide-light-en": { viewport: WIDE, colorScheme: "light", locale: "en-US" },
    "narrow-dark-ja": { viewport: NARROW, colorScheme: "dark", locale: "ja-JP" },
  })) {
    const { page, ...user } = await at("nora", context);
    await page.route("**/_warifu/me/not-me", async (route) => {
      const response = await route.fetch();
      const { kill_id, committed_at } = await response.json();
      return route.fulfill({ response, status: 202, json: { kill_id, state: "committed", committed_at, accepted_at: null, refused_everywhere_by: null, epoch: null, seq: null } });
    });
    await page.goto(account());
    await page.locator("[data-act=not-me]").click();
    await page.locator("dialog [type=submit]").click();
    await receipt(page, "committed").waitFor();
    if (context.locale === "en-US") await says(page, "Signed out here. Elsewhere it may take longer. If it worries you, change your password").waitFor();
    await assertSound(page, name);
    await user.shot(`account-unpublished-${name}`);
    await user.close();
  }
});

test("this device is signed out, and the page keeps nothing of it", async () => {
  const phone = await at("lena", { userAgent: IPHONE });
  const { page, ...user } = await at("lena");
  await page.goto(account());
  await says(page, "Safari on iPhone").waitFor();
  const [mine] = await page.locator("[aria-labelledby=here] li").evaluateAll((items) => items.map((item) => item.dataset.session));
  const cleared = page.waitForResponse((response) => response.url().endsWith("/_warifu/logout"));
  await page.getByRole("button", { name: "Sign out This device" }).click();
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  assert.equal(await (await cleared).headerValue("clear-site-data"), '"cache"');
  const left = await page.content();
  for (const text of ["lena", "Osaka", "Firefox", "Safari", mine]) assert.ok(!left.includes(text), text);
  await assertSound(page, "this device signed out");
  await page.goto(`${all.app}/account`);
  assert.equal(pathOf(page), "/login");
  await page.goBack();
  assert.ok(!(await page.content()).includes("lena"), "nor does the way back show it");
  assert.equal((await phone.page.goto(`${all.app}/account`)).status(), 200);
  assert.equal(pathOf(phone.page), "/account", "the other device lives on");
  await user.close();
  await phone.close();
});

test("one of the others is signed out, and then all of them, and this one lives on", async () => {
  const [phone, tablet] = [await at("gina", { userAgent: IPHONE }), await at("gina", { userAgent: IPHONE })];
  const { page, ...user } = await at("gina");
  await page.goto(account());
  const buttons = page.getByRole("button", { name: "Sign out Safari on iPhone" });
  await buttons.nth(1).waitFor();
  const [first, second] = await page.locator("[aria-labelledby=others] li").evaluateAll((items) => items.map((item) => item.dataset.session));
  assert.notEqual(first, second);
  await buttons.first().click();
  await page.locator("li.ended").waitFor();
  await receipt(page, "quiesced").waitFor();
  const isOut = async ({ page }) => (await page.goto(`${all.app}/account`), pathOf(page) === "/login");
  assert.equal([await isOut(phone), await isOut(tablet)].filter(Boolean).length, 1);

  await page.getByRole("button", { name: "Sign out all others" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out all others" }).click();
  await says(page, "You are signed in nowhere else.").waitFor();
  await receipt(page, "quiesced").waitFor();
  assert.deepEqual([await isOut(phone), await isOut(tablet)], [true, true]);
  await page.reload();
  await says(page, "Signed in as gina").waitFor();
  for (const person of [phone, tablet, user]) await person.close();
});

test("what an operator has ended shows when the user looks", async () => {
  const { page, ...user } = await at("hans");
  await page.goto(account());
  await says(page, "Signed in as hans").waitFor();
  const operator = await all.person();
  await operator.signIn();
  await operator.find("hans");
  await operator.page.locator("[data-act=end-all]").click();
  await operator.page.keyboard.press("Enter");
  await receipt(operator.page, "quiesced").waitFor();
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await assertSound(page, "signed out");
  await user.shot("account-signed-out");
  await user.close();
  await operator.close();
});

test("an answer that comes late changes nothing that is newer, nor the end", async () => {
  const { page, ...user } = await at("kurt");
  await at("kurt", { userAgent: IPHONE });
  await page.goto(account());
  await says(page, "Safari on iPhone").waitFor();
  const held = [];
  let holds = true;
  await page.route("**/_warifu/me/sessions", async (route) => {
    if (route.request().method() !== "GET" || !holds) return route.continue();
    const response = await route.fetch();
    const answered = await new Promise((resolve) => held.push((answer) => release(page, route.request(), () => resolve(answer))));
    return route.fulfill(answered ?? { response });
  });
  const look = () => page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await look();
  await until(() => held.length === 1, "a look is on its way");
  await look();
  await until(() => held.length === 2, "and the next one");
  holds = false;
  await page.route("**/_warifu/me/sessions", async (route) => {
    if (route.request().method() !== "DELETE") return route.fallback();
    const response = await route.fetch();
    // The old secret is refused before it is known here that there is a new one.
    await held[1]({ status: 401, json: { status: 401, code: "no_session", title: "A session is needed here" } });
    return route.fulfill({ response });
  });
  await page.getByRole("button", { name: "Sign out all others" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out all others" }).click();
  await says(page, "You are signed in nowhere else.").waitFor();
  await held[0]();
  assert.equal(await page.getByText("Safari on iPhone").count(), 0, "who is signed out is not back");

  holds = true;
  await all.mint({ subject: "kurt", device: { user_agent: IPHONE } }); // something to show
  await look();
  await until(() => held.length === 3, "another look is on its way");
  await page.getByRole("button", { name: "This wasn’t me" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End all of them" }).click();
  await page.getByRole("heading", { name: "All your sessions are ended" }).waitFor();
  await held[2]();
  assert.equal(await page.getByText("Signed in as kurt").count(), 0, "the end stays");
  await page.getByRole("heading", { name: "All your sessions are ended" }).waitFor();
  await user.close();
});

test("the focus stays where it is when something has changed", async () => {
  const phone = await at("lore", { userAgent: IPHONE });
  const { page, ...user } = await at("lore");
  await page.goto(account());
  await says(page, "Safari on iPhone").waitFor();
  const look = () => page.evaluate(() => window.dispatchEvent(new Event("focus")));
  const count = (n) => page.locator(`.devices:has(> li:nth-child(${n}):last-child) >> nth=-1`).waitFor();
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.getByRole("button", { name: "This wasn’t me" }).focus();
  await all.mint({ subject: "lore", device: { user_agent: FIREFOX } });
  await look();
  await count(2);
  assert.equal(await focused(), "This wasn’t me");
  // What is gone cannot have it: what it was among does.
  await page.getByRole("button", { name: "Sign out Safari on iPhone" }).focus();
  await phone.page.goto(account());
  await phone.page.getByRole("button", { name: "Sign out This device" }).click();
  await phone.page.getByRole("heading", { name: "You are signed out" }).waitFor();
  await look();
  await page.getByText("Safari on iPhone").waitFor({ state: "detached" });
  assert.equal(await focused(), "Other devices");
  await page.getByRole("button", { name: "Sign out all others" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out all others" }).click();
  await says(page, "You are signed in nowhere else.").waitFor();
  assert.equal(await focused(), "All other devices", "the receipt");
  assert.equal(await page.locator("button[tabindex]").count(), 0);
  for (const person of [phone, user]) await person.close();
});

test("what another session does shows when the user looks, and nothing else moves", async () => {
  const phone = await at("mara", { userAgent: IPHONE });
  const { page, ...user } = await at("mara");
  let [hours, city] = [9, "Osaka"];
  await page.route("**/_warifu/me/sessions", async (route) => {
    const response = await route.fetch();
    const { sessions, next } = await response.json();
    const used = (session) => ({ ...session, last_seen: new Date(Date.now() - hours * 3_600_000).toISOString(), device: { ...session.device, city } });
    return route.fulfill({ response, json: { sessions: sessions.map((session) => (session.current ? session : used(session))), next } });
  });
  const look = () => page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await page.goto(account());
  const other = page.locator("[aria-labelledby=others] li");
  await other.getByText("Last used 9 hours ago").waitFor();
  await other.getByRole("button").evaluate((button) => (button.isTheOne = true));
  await page.getByRole("button", { name: "Sign out all others" }).click();
  await page.getByRole("dialog").waitFor();
  // Somebody uses that session, from elsewhere.
  [hours, city] = [0, "Recife"];
  await look();
  await other.getByText("Last used now").waitFor();
  await other.getByText("Recife, Japan").waitFor();
  await page.locator("dialog :focus", { hasText: "Sign out all others" }).waitFor();
  await page.keyboard.press("Escape");
  await page.locator("[data-act=others]:focus").waitFor();
  assert.ok(await other.getByRole("button").evaluate((button) => button.isTheOne), "the button is the same");
  await user.shot("account-used-again");
  await user.close();
  await phone.close();
});

test("a session that had ended already is shown so, with a receipt and without", async () => {
  const phones = [await at("nils", { userAgent: IPHONE }), await at("nils", { userAgent: IPHONE })];
  const { page, ...user } = await at("nils");
  await page.goto(account());
  const others = page.locator("[aria-labelledby=others] li");
  await others.nth(1).waitFor();
  const before = (ms) => new Date(Date.now() - ms).toISOString();
  const old = { kill_id: "old", state: "quiesced", committed_at: before(9_000), accepted_at: before(8_000), refused_everywhere_by: before(5_948), epoch: "e".repeat(32), seq: 7, bound_ms: 2_000 };
  const answers = [{ json: old }, { status: 404, json: { status: 404, code: "not_found", title: "There is nothing here" } }];
  await page.route("**/_warifu/me/sessions/*", (route) => route.fulfill(answers.shift()));
  const ended = page.locator("li.ended", { hasText: "Signed out" });
  await others.first().getByRole("button").click();
  await receipt(page, "quiesced").getByText("Signed out everywhere.").waitFor();
  assert.equal(await ended.count(), 1);
  assert.equal(await page.locator(".problem").innerText(), "");
  await others.nth(1).getByRole("button").click();
  await page.locator(".problem").getByText("This session had ended already.").waitFor();
  assert.equal(await ended.count(), 2);
  assert.equal(await page.locator(".receipt").count(), 1);
  await assertSound(page, "ended already");
  await user.shot("account-ended-already");
  for (const person of [user, ...phones]) await person.close();
});

test("a gateway that cannot be reached ends nothing, and says so", async () => {
  const { page, context, ...user } = await at("ida");
  await page.goto(account());
  await says(page, "Signed in as ida").waitFor();
  await context.setOffline(true);
  await page.getByRole("button", { name: "This wasn’t me" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End all of them" }).click();
  await says(page, "The gateway cannot be reached.").waitFor();
  await context.setOffline(false);
  await page.reload();
  await says(page, "Signed in as ida").waitFor();
  await user.close();
});

test("many devices are shown a page at a time", async () => {
  await Promise.all(Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 15; i++) await all.mint({ subject: "jun", device: { user_agent: IPHONE, country: "JP", city: "Osaka" } });
  }));
  const { page, ...user } = await at("jun");
  await page.goto(account());
  const others = page.locator("[aria-labelledby=others] li");
  const first = await others.first().getAttribute("data-session");
  assert.ok((await others.count()) <= 100);
  await page.getByRole("button", { name: "Show more" }).click();
  await page.locator(".devices:focus").waitFor();
  assert.ok((await others.count()) <= 100);
  const second = await others.first().getAttribute("data-session");
  assert.notEqual(second, first);
  // Looking again leaves the list where it is, and tells what is new of it.
  await page.route(/_warifu\/me\/sessions/, async (route) => {
    const response = await route.fetch();
    const { sessions, next } = await response.json();
    const last_seen = new Date(Date.now() - 5 * 3_600_000).toISOString();
    return route.fulfill({ response, json: { sessions: sessions.map((session) => ({ ...session, last_seen })), next } });
  });
  await page.evaluate(() => window.dispatchEvent(new Event("focus")));
  await says(page, "Last used 5 hours ago").waitFor();
  assert.equal(await others.first().getAttribute("data-session"), second);
  await page.locator(".devices:focus").waitFor();
  // Once there is no other, the first page says so.
  await page.unrouteAll({ behavior: "wait" });
  await page.getByRole("button", { name: "Sign out all others" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign out all others" }).click();
  await says(page, "You are signed in nowhere else.").waitFor();
  await says(page, "Osaka, Japan").waitFor();
  await user.close();
});

test("it looks right in each language, by day and by night, on each screen", async () => {
  const phone = await at("kana", { userAgent: IPHONE });
  for (const [name, context] of Object.entries({
    "wide-light-en": { viewport: WIDE, colorScheme: "light", locale: "en-US" },
    "wide-dark-ja": { viewport: WIDE, colorScheme: "dark", locale: "ja-JP" },
    "narrow-dark-en": { viewport: NARROW, colorScheme: "dark", locale: "en-GB" },
    "narrow-light-ja": { viewport: NARROW, colorScheme: "light", locale: "ja" },
  })) {
    const { page, ...user } = await at("kana", context);
    await page.goto(account());
    await page.locator(".devices li").nth(1).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), context.locale.slice(0, 2));
    await assertSound(page, name);
    await user.shot(`account-${name}`);
    await user.close();
  }
  await phone.close();
});
