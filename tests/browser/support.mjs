// A real browser before the real gateway. Whatever a page does wrong on the way is kept, and held
// against it at the end: errors in the console, refusals of its own policy, requests to elsewhere.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

import { chromium } from "playwright-core";

import { freePort } from "../../scripts/dev/ports.mjs";
import { PASSWORD, newAdminKey, root, start } from "../workerd/support/gateway.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = path.join(root, "tests/browser/shots");
mkdirSync(shots, { recursive: true });

// It phones nobody, and has no graphics card to ask.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
export const NARROW = { width: 360, height: 740 };
export const WIDE = { width: 1440, height: 900 };

/** The gateway with the console on `localhost` and the application on 127.0.0.1. */
export async function startGateway({ adminKeys = [], warifu = {}, ...rest } = {}) {
  const port = await freePort();
  const admin = newAdminKey("ops");
  const ops = `http://localhost:${port}`;
  const gateway = await start({ build: "build", port, adminKeys: [admin, ...adminKeys], warifu: { admin_host: `localhost:${port}`, ...warifu }, ...rest });
  return {
    gateway,
    admin,
    key: admin.key,
    app: gateway.url,
    ops,
    close: () => gateway.close(),
    async mint(session) {
      const answer = await gateway.fetch("/_warifu/sessions", {
        method: "POST",
        body: JSON.stringify(session),
        headers: { authorization: `Bearer ${admin.key}`, "content-type": "application/json" },
      });
      assert.equal(answer.status, 201, await answer.clone().text());
      return answer.json();
    },
  };
}

/** The same, and a browser. */
export async function startAll(options = {}) {
  const [started, browser] = await Promise.all([startGateway(options), openBrowser()]);
  const world = { ...started, browser, origins: [started.app, started.ops], people: [] };
  return {
    ...world,
    person: (context) => person(world, context),
    async close() {
      await browser.close();
      await started.close();
    },
    checkAll: () => checkAll(world),
  };
}

export const openBrowser = () => chromium.launch({ executablePath: chromiumPath(), args: FLAGS });

/** What no page may have done. */
export function checkAll(world) {
  for (const { faults } of world.people.splice(0)) assert.deepEqual(faults, []);
}

function chromiumPath() {
  if (process.env.WARIFU_CHROMIUM) return process.env.WARIFU_CHROMIUM;
  return execFileSync("sh", ["-c", "command -v chromium || command -v chromium-browser || command -v google-chrome"], { encoding: "utf8" }).trim();
}

/** Somebody with a browser, and cookies, of their own, who may ask the `origins` of the world only. */
export async function person(world, { viewport = WIDE, ...context } = {}) {
  const own = await world.browser.newContext({ viewport, locale: "en-GB", reducedMotion: "reduce", ...context });
  const page = await own.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // The browser writes a line for each answer of 400 and more; the pages show those.
    const isAnswer = /^Failed to load resource: (the server responded with a status of 4\d\d|net::ERR_INTERNET_DISCONNECTED)|status of 50[13]/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !isAnswer) faults.push(`${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    if (!world.origins.includes(origin)) faults.push(`asked ${request.url()}`);
  });
  const someone = {
    page,
    context: own,
    faults,
    /** As a user does it, in the application. */
    async logIn(username = "alice", returnTo = "/account") {
      await page.goto(`${world.app}/login?return_to=${encodeURIComponent(returnTo)}`);
      await page.locator("input[name=username]").fill(username);
      await page.locator("input[name=password]").fill(PASSWORD);
      await page.keyboard.press("Enter");
      await page.waitForURL(`${world.app}${returnTo}`);
    },
    /** Has a session that was started by an administrator. */
    async carry({ set_cookie: cookie }) {
      const [, name, value] = /^([^=]+)=([^;]+);/.exec(cookie);
      await own.addCookies([{ name, value, domain: new URL(world.app).hostname, path: "/", httpOnly: true, secure: true, sameSite: "Lax" }]);
    },
    async signIn(key = world.key) {
      await page.goto(`${world.ops}/_warifu/console/`);
      await page.locator("#key").fill(key);
      await page.keyboard.press("Enter");
    },
    async find(subject) {
      await page.locator("#subject").fill(subject);
      await page.keyboard.press("Enter");
      await page.locator(".results:not([aria-busy])").waitFor();
      await page.locator("#found, .results .empty:not(.loading)").first().waitFor();
    },
    shot: (name, more = {}) => page.screenshot({ path: path.join(shots, `${name}.png`), fullPage: true, ...more }),
    close: () => own.close(),
  };
  world.people.push(someone);
  return someone;
}

/** Nothing that axe knows is wrong with the page, and nothing of it is outside of the screen. */
export async function assertSound(page, what) {
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, any }) => `${html.slice(0, 160)} ${any[0]?.message ?? ""}`).join(" | ")}`);
  });
  assert.deepEqual(violations, [], what);
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(over <= 0, `${what}: ${over} px wider than the screen`);
}

/** Lets an answer that was held back come, and have its effect: a later one has been taken in. */
export async function release(page, request, answer) {
  await Promise.all([page.waitForEvent("requestfinished", (finished) => finished === request), answer()]);
  await settled(page);
}

export const settled = (page) =>
  page.evaluate(async () => {
    await (await fetch("/_warifu/openapi.json")).text();
    await new Promise(requestAnimationFrame);
  });

export const receipt = (page, state) => page.locator(`.receipt[data-state=${state}]`);
/** Where the page says so to the eye; it says much of it to the ear as well. */
export const says = (page, text) => page.locator("main, dialog").getByText(text).first();
