// As much of a browser as the scenarios need: it keeps cookies, sends them back, and says
// with its requests what browsers say.

export class Browser {
  constructor(door, cookies = new Map()) {
    this.door = door;
    this.cookies = cookies;
  }

  // A thief's: all that this one has, at this moment.
  copy() {
    return new Browser(this.door, new Map(this.cookies));
  }

  async send(method, where, { form, body, headers = {} } = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await this.door.fetch(where, {
      method,
      headers: {
        accept: "text/html, application/json",
        "sec-fetch-site": "same-origin",
        ...(cookie === "" ? {} : { cookie }),
        ...headers,
      },
      body: form ? new URLSearchParams(form) : body,
    });
    for (const set of answer.headers.getSetCookie()) this.keep(set);
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  }

  keep(set) {
    const [pair, ...attributes] = set.split(";");
    const [name, value] = pair.split(/=(.*)/s);
    const said = (attribute) => attributes.map((one) => one.trim().split("=")).find(([found]) => found.toLowerCase() === attribute)?.[1];
    const isOver = value === "" || Number(said("max-age") ?? 1) <= 0 || Date.parse(said("expires") ?? "2999-01-01") < Date.now();
    if (isOver) this.cookies.delete(name);
    else this.cookies.set(name, value);
  }

  async logIn(username, password) {
    const { status, text } = await this.send("POST", "/login", { form: { username, password } });
    if (status !== 303) throw new Error(`log-in of ${username}: ${status} ${text}`);
    return this;
  }

  // Whether the application takes it for somebody who is logged in.
  async isIn() {
    const { status, text } = await this.send("GET", "/api/me", { headers: { accept: "application/json" } });
    if (![200, 401].includes(status)) throw new Error(`/api/me: ${status} ${text}`);
    return status === 200;
  }

  async balance() {
    const { status, text } = await this.send("GET", "/api/me", { headers: { accept: "application/json" } });
    if (status !== 200) throw new Error(`/api/me: ${status} ${text}`);
    return JSON.parse(text).balance;
  }

  transfer(to, amount) {
    return this.send("POST", "/transfer", { form: { to, amount } });
  }
}
