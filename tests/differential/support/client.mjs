// Requests as bytes over plain sockets, past any library that would normalise them, and
// the answers read by their framing.
import net from "node:net";

// Sends each of `requests` ({ bytes, method }) over a few connections that are kept alive,
// and calls back with the answer: { status, headers, extra }. Status 0: the connection was
// closed without one. `extra`: more came than one answer.
export async function sendAll(url, requests, answered, { connections = 12 } = {}) {
  const queue = requests[Symbol.iterator](); // shared by all
  const work = async () => {
    let line = new Line(url);
    for (const request of queue) {
      if (line.isOver) line = new Line(url);
      const isKept = line.uses > 0;
      let answer = await line.send(request);
      if (answer.status === 0 && isKept) {
        // It may have been closed for the request before.
        line = new Line(url);
        answer = await line.send(request);
      }
      answered(request, answer);
    }
    line.close();
  };
  await Promise.all(Array.from({ length: connections }, work));
}

const SECONDS_MAX = 30;

class Line {
  received = Buffer.alloc(0);
  isOver = false;
  uses = 0;

  constructor(url) {
    this.socket = net.connect(Number(url.port), url.hostname).setNoDelay(true);
    this.socket.on("data", (bytes) => {
      this.received = Buffer.concat([this.received, bytes]);
      this.wake?.();
    });
    for (const event of ["end", "error", "close"]) this.socket.on(event, () => this.close());
  }

  close() {
    this.isOver = true;
    this.socket.destroy();
    this.wake?.();
  }

  async send({ bytes, method }) {
    this.uses += 1;
    this.socket.write(bytes);
    const late = setTimeout(() => this.close(), SECONDS_MAX * 1_000);
    const answer = await this.answer(method);
    clearTimeout(late);
    // What an odd request left behind must not be taken for the start of the next one.
    const extra = this.received.length > 0;
    if (extra || answer.status !== 200) this.close();
    return { ...answer, extra };
  }

  async answer(method) {
    for (;;) {
      const head = await this.until("\r\n\r\n");
      if (head === undefined) return { status: 0, headers: [] };
      const [line, ...fields] = head.split("\r\n");
      const status = Number(line.split(" ")[1]);
      if (status >= 100 && status < 200 && status !== 101) continue;
      const headers = fields.map((field) => field.split(/:[ \t]*(.*)/s)).map(([name, value]) => [name.toLowerCase(), value]);
      if (method !== "HEAD" && ![101, 204, 304].includes(status)) await this.body(headers);
      return { status, headers };
    }
  }

  async body(headers) {
    const value = (name) => headers.find(([found]) => found === name)?.[1];
    if (value("transfer-encoding") === "chunked") {
      for (;;) {
        const size = parseInt(await this.until("\r\n"), 16);
        if (!(await this.bytes(size + 2)) || size === 0) return;
      }
    }
    await this.bytes(Number(value("content-length") ?? Infinity));
  }

  // The text up to a mark, which is taken away with it; undefined if it never comes.
  async until(mark) {
    let at;
    while ((at = this.received.indexOf(mark)) === -1) if (!(await this.more())) return undefined;
    const text = this.received.toString("latin1", 0, at);
    this.received = this.received.subarray(at + mark.length);
    return text;
  }

  async bytes(count) {
    while (this.received.length < count) if (!(await this.more())) break;
    this.received = this.received.subarray(Math.min(count, this.received.length));
    return !this.isOver;
  }

  async more() {
    if (!this.isOver) await new Promise((resolve) => (this.wake = resolve));
    this.wake = undefined;
    return !this.isOver;
  }
}
