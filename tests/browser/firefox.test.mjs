// The account page, the console and the story in Firefox: what people do most on each. It is the
// system's own Firefox, by WebDriver BiDi; Playwright can drive only a Firefox that it has patched.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { after, before, test } from "node:test";

import puppeteer from "puppeteer-core";

import { startStory } from "./story.mjs";
import { startGateway } from "./support.mjs";
import { PASSWORD, root } from "../workerd/support/gateway.mjs";

const executablePath = firefoxPath();
const skip = executablePath === undefined && "there is no Firefox on this machine: install firefox-esr, or say in WARIFU_FIREFOX where it is";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDE = { width: 1440, height: 900 };

let world, browser;
before(async () => {
  if (skip) return;
  [world, browser] = await Promise.all([startGateway(), puppeteer.launch({ browser: "firefox", executablePath, extraPrefsFirefox: { "intl.accept_languages": "en-GB" } })]);
});
after(async () => {
  await browser?.close();
  await world?.close();
});

function firefoxPath() {
  if (process.env.WARIFU_FIREFOX) return process.env.WARIFU_FIREFOX;
  try {
    return execFileSync("sh", ["-c", "command -v firefox-esr || command -v firefox"], { encoding: "utf8" }).trim();
  } catch {
    return undefined; // neither is there
  }
}

/** Somebody with cookies of their own. What the page does wrong is kept in `faults`. */
async function person(origins) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.setViewport(WIDE);
  page.setDefaultTimeout(60_000);
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => ["error", "warn"].includes(message.type()) && faults.push(`${message.type()}: ${message.text()}`));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    // axe tries a font of its own, which asks nobody.
    if (protocol !== "data:" && !origins.includes(origin)) faults.push(`asked ${request.url()}`);
  });
  return {
    page,
    click: (where) => page.locator(where).click(),
    fill: (where, text) => page.locator(where).fill(text),
    see: (where) => page.waitForSelector(where, { visible: true }),
    says: (text) => page.waitForFunction((text) => document.querySelector("main")?.innerText.includes(text), {}, text),
    async done(name) {
      await page.evaluate(axe);
      const violations = await page.evaluate(async () => {
        const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
      });
      assert.deepEqual(violations, [], name);
      await page.screenshot({ path: path.join(root, `tests/browser/shots/firefox-${name}.png`) });
      assert.deepEqual(faults, []);
      await context.close();
    },
  };
}

test("in Firefox a user logs in, and ends all sessions", { skip }, async () => {
  const { page, click, fill, says, done } = await person([world.app]);
  await page.goto(`${world.app}/_warifu/account/`);
  await fill("input[name=username]", "alice");
  await fill("input[name=password]", PASSWORD);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  await says("Signed in as alice");
  await click("[data-act=not-me]");
  await click("dialog button[type=submit]");
  await says("All your sessions are ended");
  await page.waitForSelector(".receipt[data-state=quiesced]");
  await done("account");
});

test("in Firefox an operator finds somebody, and ends the sessions", { skip }, async () => {
  await world.mint({ subject: "paula", device: { user_agent: "curl/8.14.1", country: "BR" } });
  const { page, click, fill, see, says, done } = await person([world.ops]);
  await page.goto(`${world.ops}/_warifu/console/`);
  await fill("#key", world.key);
  await page.keyboard.press("Enter");
  await fill("#subject", "paula");
  await page.keyboard.press("Enter");
  await says("1 session");
  await click("[data-act=end-all]");
  await see("dialog");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".receipt[data-state=quiesced]");
  await says("paula has no live session.");
  await done("console");
});

test("in Firefox the story is told to its end", { skip }, async () => {
  const story = await startStory({ accessSeconds: 8 });
  try {
    const { page, click, see, says, done } = await person([story.url]);
    await page.goto(`${story.url}/`);
    await see("main[data-phase=waiting]");
    await click(".press");
    await see("main[data-phase=running]");
    await page.waitForFunction(() => [...document.querySelectorAll(".half")].every((half) => half.querySelector(".rows .taken")));
    await click(".press");
    await see(".half.guarded[data-condition=refused]");
    await see("main[data-phase=over]");
    await says("Stopped at last: the token has expired.");
    const { sides, amount } = await story.state();
    const lost = ({ transfers, reported }) => amount * transfers.filter(({ at, outcome }) => outcome === "taken" && at >= reported).length;
    assert.ok(lost(sides.plain) > 0);
    await says(`¥${lost(sides.plain).toLocaleString("en-GB")} on the left, ¥${lost(sides.guarded)} on the right.`);
    await done("story");
  } finally {
    await story.close();
  }
});
