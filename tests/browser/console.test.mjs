// The operators' console in a real browser: from a subject to its sessions refused everywhere, and
// every state that an operator can meet.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";

import { newAdminKey, until } from "../workerd/support/gateway.mjs";
import { NARROW, WIDE, assertSound, receipt, release, says, settled, startAll } from "./support.mjs";

const reader = newAdminKey("reader", ["sessions:read"]);
const killer = newAdminKey("killer", ["revoke"]);
const counter = newAdminKey("counter", ["metrics"]);
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1";
const OSAKA = { user_agent: FIREFOX, country: "JP", city: "Osaka", first_prefix: "203.0.113.0/24" };

let all;
before(async () => {
  all = await startAll({ adminKeys: [reader, killer, counter] });
});
after(() => all?.close());
afterEach(() => all.checkAll());

test("a key that is wrong, or not good for something, is told so plainly", async () => {
  const { page, ...operator } = await all.person();
  await operator.signIn("not-a-key");
  await says(page, "This key is not known here.").waitFor();
  await assertSound(page, "a wrong key");
  await operator.shot("console-wrong-key");
  await page.locator("#key").fill("a key\u3000of spaces");
  await page.keyboard.press("Enter");
  await says(page, "A key has no spaces").waitFor();

  await operator.signIn(reader.key);
  await operator.find("nobody-1");
  await says(page, "nobody-1 has no live session.").waitFor();
  await all.mint({ subject: "looked-at" });
  await operator.find("looked-at");
  await says(page, "it lacks the scope revoke").waitFor();
  assert.equal(await page.locator("[data-session], [data-act=end-all]").count(), 0, "nothing that it cannot do is offered");
  await says(page, "it lacks the scope metrics").waitFor();

  await operator.signIn(killer.key);
  await operator.find("looked-at");
  await says(page, "it lacks the scope sessions:read").waitFor();
  await says(page, "It can still end all of a subject.").waitFor();
  await page.locator("[data-act=end-all]").click();
  await page.getByRole("dialog").getByRole("button", { name: "End all" }).click();
  await receipt(page, "quiesced").waitFor();
  await operator.close();
});

test("a key that may neither see nor end is told nothing that contradicts itself", async () => {
  const { page, ...operator } = await all.person();
  await operator.signIn(counter.key);
  await operator.find("looked-at");
  for (const words of ["it lacks the scope revoke", "it lacks the scope sessions:read"]) await says(page, words).waitFor();
  const text = await page.locator("main").innerText();
  for (const words of ["may look", "can still end"]) assert.ok(!text.includes(words), words);
  await operator.close();
});

test("that all parts answer is said only when all are known to", async () => {
  const { page, ...operator } = await all.person();
  let [age, polls, failures] = ["", 1, 0];
  const sample = (name, value) => `${name}{isolate="one"} ${value}\n`;
  await page.route("**/_warifu/metrics", (route) => {
    const feed = age === "" ? "" : sample("warifu_feed_age_seconds", age);
    return route.fulfill({ contentType: "text/plain", body: `${feed}${sample("warifu_polls_total", polls)}${sample("warifu_poll_failures_total", failures)}` });
  });
  const chip = (state) => page.locator(`.bar .chip[data-state=${state}]`);
  const feed = (state) => page.locator(`.parts [data-state=${state}]`, { hasText: "Feed of ends" });
  await operator.signIn();
  for (const part of ["Gateway", "Session store", "Audit trail", "Metrics"]) await page.locator(".parts [data-state=ok]", { hasText: part }).waitFor();
  await feed("unknown").waitFor();
  await chip("unknown").getByText("Not every part is known to answer").waitFor();
  await assertSound(page, "a part is not known");
  age = "0.2";
  await chip("ok").getByText("All parts answer").waitFor();
  // Two polls, and no answer to either.
  [age, polls, failures] = ["0.9", 3, 2];
  await feed("down").waitFor();
  await chip("down").getByText("A part does not answer").waitFor();
  await operator.close();

  // Of what this key may not ask, nothing is known.
  const other = await all.person();
  await other.signIn(reader.key);
  await other.page.locator(".parts [data-state=forbidden]", { hasText: "Metrics" }).waitFor();
  await other.page.locator(".parts [data-state=ok]").nth(2).waitFor();
  await other.page.locator(".bar .chip[data-state=unknown]").waitFor();
  await other.close();
});

test("of each part is said what is known of it, whatever answers in the gateway's place", async () => {
  const { page, faults, ...operator } = await all.person();
  const again = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))); // all is asked again
  const part = (name, state) => page.locator(`.parts [data-state=${state}]`, { hasText: name });
  const html = (status, words) => ({ status, contentType: "text/html", body: `<h1>${words}</h1>` });
  const problem = (status, code) => ({ status, contentType: "application/problem+json", body: JSON.stringify({ status, code, title: "It is so" }) });
  let answer = null;
  await page.route(/_warifu\/(health|audit|metrics)/, (route) => (answer === null ? route.continue() : route.fulfill(answer)));
  await operator.signIn();
  for (const name of ["Gateway", "Session store", "Audit trail", "Metrics"]) await part(name, "ok").waitFor();
  for (const [given, gateway, store, audit] of [
    [html(530, "error code: 1033"), "down", "unknown", "down"],
    [html(500, "Error 1101: Worker threw exception"), "down", "unknown", "down"],
    // What stands before the gateway says nothing of the key, and nothing for good.
    [html(403, "Sorry, you have been blocked"), "unknown", "unknown", "unknown"],
    [html(200, "Log in"), "unknown", "unknown", "unknown"],
    [problem(500, "misconfigured"), "error", "unknown", "error"],
    [problem(503, "store_unavailable"), "ok", "down", "down"],
  ]) {
    answer = given;
    await again();
    await part("Gateway", gateway).waitFor();
    await part("Session store", store).waitFor();
    for (const name of ["Audit trail", "Metrics"]) await part(name, audit).waitFor();
    const known = [gateway, store, audit];
    await page.locator(`.bar .chip[data-state=${known.find((state) => state === "down") ?? known.find((state) => state === "error") ?? "unknown"}]`).waitFor();
    if (gateway === "error") await assertSound(page, "a gateway that answers with an error");
    if (gateway === "error") await operator.shot("console-misconfigured");
  }
  await part("Gateway", "ok").getByText("answers", { exact: true }).waitFor();
  answer = null;
  await again();
  for (const name of ["Gateway", "Session store", "Audit trail", "Metrics"]) await part(name, "ok").waitFor();
  assert.deepEqual(faults.splice(0).filter((fault) => !/status of 5[03]0/.test(fault)), []); // each is meant
  await operator.close();
});

test("measures that cannot be read are no measures, and are asked for again", async () => {
  const { page, faults, ...operator } = await all.person();
  const again = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  let body = null;
  await page.route("**/_warifu/metrics", (route) => (body === null ? route.continue() : route.fulfill({ contentType: "text/html", body })));
  const metrics = (state) => page.locator(`.parts [data-state=${state}]`, { hasText: "Metrics" });
  const figures = page.locator(".measures .figures");
  await operator.signIn();
  for (const unreadable of ["<html>Log in</html>", "", 'warifu_kill_delay_seconds_bucket{le="soon"} 1\n']) {
    body = null;
    await again();
    await metrics("ok").waitFor();
    await figures.waitFor();
    body = unreadable;
    await again();
    await metrics("unknown").waitFor();
    await page.locator(".measures").getByText("The answer is none that this page can read").waitFor();
    await figures.waitFor({ state: "hidden" });
  }
  await assertSound(page, "measures that cannot be read");
  await operator.shot("console-unreadable");

  // Whatever goes wrong once, in the page itself too, is asked for again, and is not hidden.
  assert.deepEqual(faults, []);
  const asked = await page.evaluate(async () => {
    const { every } = await import("/_warifu/console/every.js");
    let asked = 0;
    await every(1, async () => { if (++asked === 1) throw new Error("once"); return asked < 3; }, new AbortController().signal);
    return asked;
  });
  assert.equal(asked, 3);
  assert.deepEqual(faults.splice(0), ["error: once"]);
  await operator.close();
});

test("what is listed is of whom the list says, however late an answer comes", async () => {
  const { page, ...operator } = await all.person();
  const event = { at: "2026-11-01T08:00:00.000Z", event: "session_started", session: null, actor: "origin", reason: "do=start", from: null };
  const held = new Map();
  let failing = "cleo";
  await page.route("**/_warifu/audit?*", async (route) => {
    const subject = new URL(route.request().url()).searchParams.get("subject");
    if (held.get(subject) === null) await new Promise((resolve) => held.set(subject, () => release(page, route.request(), resolve)));
    if (subject === failing) return route.fulfill({ status: 503, json: { status: 503, code: "store_unavailable", title: "Sessions cannot be checked" } });
    return route.fulfill({ json: { events: [{ ...event, subject: subject ?? "everybody" }], next: null } });
  });
  const hold = (subject) => held.set(subject, null);
  const isHeld = (subject) => until(() => typeof held.get(subject) === "function", `${subject} is asked for`);
  const letGo = async (subject) => {
    await held.get(subject)();
    held.delete(subject);
  };
  const list = page.locator(".events");
  const only = page.locator(".activity").getByLabel(/^Only of/);
  await operator.signIn();
  await operator.find("ada");
  await list.getByText("ada").waitFor();

  hold("bert");
  await operator.find("bert");
  await isHeld("bert");
  assert.equal(await page.locator(".activity .check").innerText(), "Only of bert");
  assert.equal(await list.innerText(), "", "nobody else's events are bert's");
  await page.locator(".activity").getByText("Loading …").waitFor();
  await operator.shot("console-activity-loading");
  await letGo("bert");
  await list.getByText("bert").waitFor();
  await only.uncheck();
  await list.getByText("everybody").waitFor();
  hold("bert");
  await only.check();
  await isHeld("bert");
  assert.equal(await list.innerText(), "", "nor are everybody's");
  await letGo("bert");
  await list.getByText("bert").waitFor();

  // A refusal that comes late is not of whom is shown by now, and an answer that comes late makes up for none.
  hold("cleo");
  await operator.find("cleo");
  await isHeld("cleo");
  await operator.find("ada");
  await list.getByText("ada").waitFor();
  await letGo("cleo");
  assert.match(await list.innerText(), /ada/);
  assert.equal(await page.locator(".parts [data-state=down]").count(), 0);
  hold("bert");
  await operator.find("bert");
  await isHeld("bert");
  await operator.find("cleo");
  const audit = (state) => page.locator(`.parts [data-state=${state}]`, { hasText: "Audit trail" });
  await audit("down").waitFor();
  await letGo("bert");
  assert.equal(await audit("down").count(), 1);
  assert.equal(await list.innerText(), "");
  failing = null;
  await operator.find("cleo");
  await list.getByText("cleo").waitFor();
  await audit("ok").waitFor();
  await operator.close();
});

test("who listens is told after a second sign-in as after the first", async () => {
  const { page, ...operator } = await all.person();
  const ears = page.locator(".for-ears");
  await operator.signIn();
  for (const subject of ["unheard-of-1", "unheard-of-2"]) {
    await page.locator("#subject").waitFor();
    assert.deepEqual(await ears.allTextContents(), [""], "it is there before it says something");
    await operator.find(subject);
    await ears.getByText(`${subject} has no live session.`).waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#key").fill(all.key);
    await page.keyboard.press("Enter");
  }
  const pause = page.getByRole("button", { name: "Pause" });
  await pause.click();
  const on = page.getByRole("button", { name: "Go on" });
  await on.waitFor();
  assert.equal(await on.getAttribute("aria-pressed"), null, "the label says it already");
  await operator.close();
});

test("looks that were written down do not hide what has happened", async () => {
  const { page, ...operator } = await all.person({ timezoneId: "UTC" });
  const look = { at: "2026-11-23T09:00:00.000Z", event: "admin_called", session: null, subject: "liv", actor: "admin:ops", reason: "GET audit", from: null };
  const started = { ...look, at: "2026-11-01T08:00:00.000Z", event: "session_started", actor: "origin", reason: "do=start" };
  const ended = { ...started, at: "2026-11-01T07:00:00.000Z", event: "sessions_ended", session: "AQAAKkYhS2mZ0cXq9vT4Bw" };
  let pages = 4;
  await page.route("**/_warifu/audit?*", (route) => {
    const asked = new URL(route.request().url()).searchParams;
    const at = Number(asked.get("cursor") ?? 1);
    const events = at < pages ? Array(Number(asked.get("limit"))).fill(look) : [started, ended];
    return route.fulfill({ json: { events, next: at < pages ? String(at + 1) : null } });
  });
  await operator.signIn();
  await operator.find("liv");
  const lines = page.locator(".events li");
  await lines.getByText("Session started").waitFor();
  assert.equal(await lines.count(), 2);
  await lines.getByText("all but AQAAKkYhS2mZ0cXq9vT4Bw").waitFor();
  await says(page, "do=start").first().waitFor();
  assert.equal(await lines.locator("time").first().innerText(), "1 Nov 2026, 08:00:00 UTC", "of which day, and where");
  await operator.shot("console-activity");
  // Where they are too many to read past, that nothing has happened is not said.
  pages = 1_000;
  await operator.find("liv");
  await says(page, "Only the newest are read here").waitFor();
  assert.equal(await page.getByText("Nothing has happened yet.").count(), 0);
  await operator.close();
});

test("the key is in no storage, no address and no cookie, and gone with the page", async () => {
  const { page, context, ...operator } = await all.person();
  await operator.signIn();
  await operator.find("alice");
  const kept = await page.evaluate(() => JSON.stringify([localStorage.length, sessionStorage.length, location.href, document.cookie, history.state]));
  assert.equal(kept, JSON.stringify([0, 0, `${all.ops}/_warifu/console/`, "", null]));
  assert.deepEqual(await context.cookies(), []);
  await page.reload();
  await page.locator("#key").waitFor();
  assert.equal(await page.locator("#key").inputValue(), "");
  await operator.signIn();
  await operator.find("alice");
  // Nothing has to be asked for that.
  await context.setOffline(true);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#key").waitFor();
  const left = await page.content();
  for (const text of ["alice", "ops", all.key]) assert.ok(!left.includes(text), `${text} is still on the page`);
  await context.setOffline(false);
  await operator.close();
});

test("from a subject to its sessions refused everywhere in three actions, and the user sees it", async () => {
  const user = await all.person({ userAgent: FIREFOX });
  await user.logIn("bob");
  const { page, ...operator } = await all.person();
  await operator.signIn();
  await page.locator("#subject").fill("bob");
  const began = Date.now();
  await page.keyboard.press("Enter"); // one
  await says(page, "Firefox on Windows").waitFor();
  await page.locator("[data-act=end-all]").click(); // two
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Enter"); // three: the focus is on what confirms
  await receipt(page, "published").waitFor();
  await operator.shot("console-published");
  await receipt(page, "quiesced").waitFor();
  const took = Date.now() - began;
  assert.ok(took < 10_000, `${took} ms`);
  await user.page.goto(`${all.app}/account`);
  assert.equal(new URL(user.page.url()).pathname, "/login", "the user is out");
  await says(page, "bob has no live session.").waitFor(); // the list has been asked for again
  await assertSound(page, "after an end");
  await user.close();
  await operator.close();
});

test("an end that is answered late strikes through nobody else's sessions, and names whose it was", async () => {
  for (const subject of ["mia", "nele"]) await all.mint({ subject, device: OSAKA });
  const { page, ...operator } = await all.person();
  const nothing = { status: 404, json: { status: 404, code: "not_found", title: "There is nothing here" } };
  let [answer, isGone] = [null, false];
  await page.route("**/_warifu/sessions?subject=mia", async (route) => {
    if (route.request().method() !== "DELETE") return route.continue();
    const answered = isGone ? nothing : { response: await route.fetch() };
    await new Promise((resolve) => (answer = resolve));
    return route.fulfill(answered);
  });
  const endMia = async () => {
    answer = null;
    await operator.find("mia");
    await page.locator("[data-act=end-all]").click();
    await page.keyboard.press("Enter");
    await until(() => answer !== null, "it is asked for");
  };
  await operator.signIn();
  await endMia();
  await operator.find("nele");
  await page.locator("#subject").focus();
  answer();
  await page.getByRole("heading", { name: "All of mia" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "subject", "whoever types goes on typing");
  assert.equal(await page.locator("tr.ended").count(), 0);
  await receipt(page, "quiesced").waitFor();
  await says(page, "Sessions of nele").waitFor();

  // There is nothing to end any more: of who is not looked at, it is said with the name.
  isGone = true;
  await all.mint({ subject: "mia", device: OSAKA });
  await endMia();
  await operator.find("nele");
  answer();
  await page.locator(".sessions .problem").getByText("mia: There was nothing to end").waitFor();
  assert.equal(await page.locator("#found").innerText(), "Sessions of nele");
  await assertSound(page, "a refusal of somebody else");
  // Of who is looked at, the list says it.
  await endMia();
  const [again] = await Promise.all([page.waitForResponse((response) => response.request().method() === "GET" && response.url().includes("subject=mia")), answer()]);
  assert.equal(again.status(), 200);
  assert.equal(await page.locator(".sessions .problem").innerText(), "");
  await operator.close();
});

test("a receipt is followed until it has come true, and no longer than somebody may ask", async () => {
  const { page, ...operator } = await all.person();
  await page.clock.install();
  const told = { kill_id: "k", state: "committed", committed_at: "2026-11-23T09:00:00.000Z", accepted_at: null, refused_everywhere_by: null, epoch: null, seq: null };
  let [ends, asked] = [0, []];
  const goesOn = (id) => ({ status: 200, json: { ...told, kill_id: id } });
  let answerOf = goesOn;
  await page.route(/_warifu\/(revocations|sessions\/)/, async (route) => {
    if (route.request().method() === "DELETE") return route.fulfill({ status: 202, json: { ...told, kill_id: `k${++ends}` } });
    const id = new URL(route.request().url()).pathname.split("/").at(-1);
    asked.push(id);
    return route.fulfill(answerOf(id));
  });
  for (let i = 0; i < 10; i++) await all.mint({ subject: "pia", device: OSAKA });
  await operator.signIn();
  await operator.find("pia");
  for (let i = 1; i <= 10; i++) {
    await page.locator("[data-session]").first().click();
    await page.locator(".receipt").nth(i - 1).waitFor();
  }
  // None of the ten has come true, so none has left for another.
  assert.equal(await page.locator(".receipt").count(), 10);
  answerOf = (id) =>
    ({
      k1: { status: 401, json: { status: 401, code: "bad_admin_key", title: "A valid admin key is needed here" } },
      k2: { status: 404, json: { status: 404, code: "not_found", title: "There is nothing here" } },
    })[id] ?? goesOn(id);
  const notes = page.locator(".receipt .note");
  await notes.getByText(/^This key is not known here.* So this page cannot follow it any more/).waitFor();
  await notes.getByText("The gateway no longer has this receipt. So this page cannot follow it any more.").waitFor();
  await assertSound(page, "receipts that are lost");
  await operator.shot("console-receipt-lost");
  asked = [];
  await until(() => asked.includes("k10"), "the others are asked for");
  assert.ok(!asked.includes("k1") && !asked.includes("k2"), `${asked}`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#key").waitFor();
  await settled(page); // what was on its way
  asked = [];
  await page.clock.runFor(60_000);
  await settled(page);
  assert.deepEqual(asked, []);
  await operator.close();
});

test("what had ended already shows with its receipt, once, and when that was", async () => {
  const { page, ...operator } = await all.person({ timezoneId: "UTC", locale: "en-GB" });
  const ago = 86_400_000;
  const at = (ms) => new Date(Date.now() - ago + ms).toISOString();
  const receiptOf = (kill_id) => ({ kill_id, state: "quiesced", committed_at: at(0), accepted_at: at(10), refused_everywhere_by: at(2_062), epoch: "e".repeat(32), seq: 7, bound_ms: 2_000 });
  await page.route(/_warifu\/sessions[?/]/, (route) => {
    const url = new URL(route.request().url());
    if (route.request().method() !== "DELETE") return route.continue();
    return route.fulfill({ json: receiptOf(url.searchParams.has("subject") ? "all" : "one") });
  });
  const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", month: "short", day: "numeric" }).format(Date.now() - ago);
  await all.mint({ subject: "rolf", device: OSAKA });
  await operator.signIn();
  await operator.find("rolf");
  await page.getByRole("button", { name: "End the session of" }).click();
  await page.locator("tr.ended").waitFor();
  await receipt(page, "quiesced").getByText(new RegExp(`^Accepted ${day},? \\d\\d:`)).waitFor();
  assert.equal(await page.locator(".sessions .problem").innerText(), "");
  await operator.close();

  // Who may not look may press again.
  const blind = await all.person({ timezoneId: "UTC", locale: "en-GB" });
  await blind.page.route(/_warifu\/sessions\?/, (route) => route.fulfill({ json: receiptOf("all") }));
  await blind.signIn(killer.key);
  await blind.find("rolf");
  for (const n of [1, 2]) {
    await blind.page.locator("[data-act=end-all]:not([aria-disabled])").click();
    const [answer] = await Promise.all([blind.page.waitForResponse(/_warifu\/sessions/), blind.page.keyboard.press("Enter")]);
    assert.equal(answer.status(), 200);
    await blind.page.locator(".receipt h3:focus", { hasText: "All of rolf" }).waitFor();
    assert.equal(await blind.page.locator(".receipt").count(), 1, `asked ${n} times`);
  }
  await assertSound(blind.page, "a receipt again");
  await blind.shot("console-receipt-again");
  await blind.close();
});

test("one session is ended and the others live; the focus is on no other button", async () => {
  await all.mint({ subject: "carol", level: 2, device: OSAKA });
  await all.mint({ subject: "carol", device: { ...OSAKA, user_agent: IPHONE, city: "Kyoto" } });
  await all.mint({ subject: "carol", device: { user_agent: "curl/8.14.1", country: "BR" } });
  const { page, ...operator } = await all.person({ viewport: { width: 1_180, height: 580 } });
  await operator.signIn();
  await operator.find("carol");
  await says(page, "3 sessions").waitFor();
  await says(page, "Osaka, Japan").waitFor();
  await page.getByRole("button", { name: "End the session of curl/8.14.1" }).click();
  await page.locator("tr.ended").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "TR");
  await receipt(page, "published").waitFor();
  await operator.shot("console", { fullPage: false });
  await receipt(page, "quiesced").waitFor();
  await page.getByRole("button", { name: "Reload" }).click();
  await says(page, "2 sessions").waitFor();
  await operator.close();
});

test("names of strangers are text, and break nothing on the narrowest screen", async () => {
  const names = ['<img src=x onerror="globalThis.broken=1">', `\u202Etxt.exe ${"x".repeat(240)}`, "x".repeat(255), "\u200Balice", "👩\u200D💻 家族", "שלום <b>", "body", "querySelector", "__proto__"];
  const { page, ...operator } = await all.person({ viewport: NARROW });
  await operator.signIn();
  for (const subject of names) {
    const strange = subject.slice(0, 40);
    await all.mint({ subject, claims: { note: strange }, device: { user_agent: strange, city: strange, country: "<" } });
    await operator.find(subject);
    await page.locator("#found").waitFor();
    await page.locator("summary").first().click();
    await assertSound(page, subject);
  }
  // What a name is does not say what an element is called: nothing of the document's own is hidden.
  const called = await page.evaluate(() => [...document.querySelectorAll("[id], [name]")].flatMap(({ id, name }) => [id, name]).filter(Boolean));
  assert.ok(called.includes("subject"), `${called}`);
  assert.deepEqual(await page.evaluate((called) => called.filter((name) => name in new Document() || name in Object.prototype), called), []);
  assert.deepEqual(called.filter((name) => names.some((strange) => name.includes(strange.slice(0, 10)))), []);
  await operator.find(names[1]);
  assert.match(await page.locator("#found").innerText(), /^Sessions of U\+202Etxt\.exe x/);
  await operator.shot("console-strange-names");
  assert.equal(await page.evaluate(() => globalThis.broken), undefined);
  assert.equal(await page.locator("main img, main b b").count(), 0);
  await operator.close();
});

test("many sessions are shown a page at a time", async () => {
  await Promise.all(Array.from({ length: 16 }, async (_, at) => {
    for (let i = at; i < 230; i += 16) await all.mint({ subject: "many", device: OSAKA });
  }));
  const { page, ...operator } = await all.person();
  await operator.signIn();
  await operator.find("many");
  const seen = new Set();
  const look = async () => {
    const ids = await page.locator("[data-session]").evaluateAll((buttons) => buttons.map((button) => button.dataset.session));
    assert.ok(ids.length <= 100, `${ids.length} rows`);
    for (const id of ids) seen.add(id);
  };
  await says(page, "1–100, and more").waitFor();
  await look();
  await page.getByRole("button", { name: "Next page" }).click();
  await says(page, "101–200, and more").waitFor();
  await look();
  await page.getByRole("button", { name: "Next page" }).click();
  await says(page, "201–230").waitFor();
  await look();
  assert.equal(seen.size, 230);
  assert.equal(await page.evaluate(() => document.activeElement.id), "found");
  await page.getByRole("button", { name: "Previous page" }).click();
  await says(page, "101–200, and more").waitFor();
  await assertSound(page, "a page of many");
  await operator.close();
});

test("a gateway that cannot be reached is told apart from a subject without sessions", async () => {
  await all.mint({ subject: "dora", device: OSAKA });
  const { page, context, ...operator } = await all.person();
  await operator.signIn();
  await operator.find("dora");
  await context.setOffline(true);
  await page.getByRole("button", { name: "Reload" }).click();
  await page.locator(".sessions .problem").getByText("The gateway cannot be reached.").waitFor();
  await operator.shot("console-unreachable");
  await assertSound(page, "unreachable");
  await context.setOffline(false);
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  await page.locator(":focus", { hasText: "Try again" }).waitFor(); // the press on "Reload" led here
  await page.keyboard.press("Enter");
  await says(page, "1 session").waitFor();
  assert.equal(await focused(), "Reload", "the focus is on what does the same");
  await page.keyboard.press("Enter");
  await page.locator(".results:not([aria-busy])").waitFor();
  assert.equal(await focused(), "Reload", "and stays");
  assert.equal(await page.locator("button[tabindex]").count(), 0);
  // Who is elsewhere when an end is answered stays there.
  await page.route("**/_warifu/sessions/*", async (route) => {
    const response = await route.fetch();
    await page.locator("#subject").focus();
    return route.fulfill({ response });
  });
  await page.getByRole("button", { name: "End the session of" }).click();
  await page.locator("tr.ended").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "subject");
  await page.getByRole("button", { name: "Reload" }).click();
  await page.locator(".empty:focus", { hasText: "dora has no live session." }).waitFor();
  await assertSound(page, "the focus on a text");
  await operator.close();
});

test("a log-in that stands before the gateway is passed, and named when it runs out", async () => {
  await all.mint({ subject: "gus", device: OSAKA });
  const { page, context, ...operator } = await all.person();
  const pass = { name: "before_the_gateway", value: "1", domain: "localhost", path: "/", httpOnly: true };
  await context.addCookies([pass]);
  await page.route(/_warifu\/(key|sessions|audit|metrics|health)/, async (route) => {
    const { cookie = "" } = await route.request().allHeaders();
    if (cookie.includes(pass.name)) return route.continue();
    return route.fulfill({ status: 302, headers: { location: `${all.ops}/log-in-here` } });
  });
  await operator.signIn();
  await operator.find("gus");
  await says(page, "1 session").waitFor();
  await context.clearCookies();
  await page.getByRole("button", { name: "Reload" }).click();
  await page.locator(".sessions .problem").getByText("Something before the gateway wants a log-in of its own.").waitFor();
  // Of what is behind it, nothing is known.
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange"))); // all is asked again
  await page.locator(".parts [data-state=unknown]").nth(4).waitFor();
  await operator.shot("console-redirected");
  await assertSound(page, "a log-in before the gateway");
  await context.addCookies([pass]);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.locator(".parts [data-state=ok]", { hasText: "Audit trail" }).waitFor();
  await page.getByRole("button", { name: "Try again" }).click();
  await says(page, "1 session").waitFor();
  await operator.close();
});

test("it looks right in each language, by day and by night, on each screen", async () => {
  await all.mint({ subject: "emma", level: 2, claims: { plan: "pro" }, device: OSAKA });
  await all.mint({ subject: "emma", device: { user_agent: "curl/8.14.1" } });
  for (const [name, context] of Object.entries({
    "wide-light-en": { viewport: WIDE, colorScheme: "light", locale: "en-US" },
    "wide-dark-ja": { viewport: WIDE, colorScheme: "dark", locale: "ja-JP" },
    "narrow-dark-en": { viewport: NARROW, colorScheme: "dark", locale: "en-GB" },
    "narrow-light-ja": { viewport: NARROW, colorScheme: "light", locale: "ja" },
  })) {
    const { page, ...operator } = await all.person(context);
    await page.goto(`${all.ops}/_warifu/console/`);
    await page.locator("#key").waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), context.locale.slice(0, 2));
    await assertSound(page, `sign-in, ${name}`);
    await operator.signIn();
    await operator.find("emma");
    await page.locator("summary").first().click();
    await page.locator(".parts [data-state=ok]").nth(1).waitFor();
    await assertSound(page, name);
    await operator.shot(`console-${name}`);
    await operator.close();
  }
});

test("it can be worked with the keyboard alone", async () => {
  await all.mint({ subject: "fred", device: OSAKA });
  const { page, ...operator } = await all.person();
  await page.goto(`${all.ops}/_warifu/console/`);
  await page.locator("#key:focus").waitFor();
  await page.keyboard.insertText(all.key);
  await page.keyboard.press("Enter");
  await page.locator("#subject:focus").waitFor();
  await page.keyboard.type("fred");
  await page.keyboard.press("Enter");
  await page.locator("#found").waitFor();
  for (let i = 0; i < 12; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.dataset.act === "end-all")) break;
  }
  await page.keyboard.press("Space");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Shift+Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await page.keyboard.press("Space");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.dataset.act), "end-all", "the focus is back");
  await page.locator("[data-act=end-all]:not([aria-disabled])").waitFor();
  // A key that stays down asks, and does not answer.
  await page.keyboard.down("Enter");
  await page.getByRole("dialog").waitFor();
  for (let i = 0; i < 3; i++) await page.keyboard.down("Enter");
  await page.getByRole("dialog", { name: "End every session of fred?", description: /The receipt says by when/ }).waitFor();
  await page.keyboard.up("Enter");
  await page.keyboard.press("Enter");
  await receipt(page, "published").waitFor();
  assert.match(await page.evaluate(() => document.activeElement.textContent), /All of/);
  await operator.close();
});

// The last: a log-in just after it would have to prove that it came later.
test("the whole site is ended only by its name", async () => {
  const user = await all.person();
  await user.logIn("alice");
  const { page, ...operator } = await all.person();
  await operator.signIn();
  await all.mint({ subject: "olga", device: OSAKA });
  await operator.find("olga");
  await says(page, "1 session").waitFor();
  const open = page.getByRole("button", { name: "End everybody's sessions …" });
  await open.click();
  const sure = page.getByRole("dialog").getByRole("button", { name: "End everybody's sessions" });
  assert.equal(await sure.isDisabled(), true);
  await page.getByLabel("Name of the site").fill("Default");
  assert.equal(await sure.isDisabled(), true);
  await operator.shot("console-site", { fullPage: false });
  await assertSound(page, "the question");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await open.click();
  await page.getByLabel("Name of the site").fill("default");
  await page.keyboard.press("Enter");
  await says(page, "Everybody of default").waitFor();
  await says(page, "olga has no live session.").waitFor(); // the list has been asked for again
  await receipt(page, "quiesced").waitFor();
  await user.page.goto(`${all.app}/account`);
  assert.equal(new URL(user.page.url()).pathname, "/login");
  await user.close();
  await operator.close();
});
