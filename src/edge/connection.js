// What goes on after its answer has begun: WebSockets and event streams, whose both
// ends are ours, so that they can be cut.

import { apply, withBody } from "./glue.js";

export function connect(response, edits) {
  return response.webSocket ? new Socket(response, edits) : new Stream(response, edits);
}

// Ends what the origin has begun, of which the client gets nothing.
export function refuse({ webSocket, body }) {
  if (webSocket) {
    webSocket.accept();
    close(webSocket, 1001, "");
  }
  body?.cancel().catch(() => {});
}

// The platform does the handshakes itself, one with each side.
const OF_ONE_HOP = ["sec-websocket-accept", "sec-websocket-extensions"];

class Socket {
  #client;
  #origin;
  #used = false;
  #isCut = false;
  #open = 2;
  #settle;

  constructor(response, edits) {
    const [theirs, ours] = Object.values(new WebSocketPair());
    this.over = new Promise((resolve) => (this.#settle = resolve));
    this.#client = ours;
    this.#origin = response.webSocket;
    // Half open: a close is passed on with its code, and answered with the other's.
    for (const side of [this.#client, this.#origin]) {
      side.binaryType = "arraybuffer"; // a Blob would have to be awaited, and be overtaken
      side.accept({ allowHalfOpen: true });
    }
    this.#pass(this.#client, this.#origin, 1001, () => (this.#used = true));
    this.#pass(this.#origin, this.#client, 1014, () => {});
    const headers = new Headers(response.headers);
    apply(headers, edits);
    OF_ONE_HOP.forEach((name) => headers.delete(name));
    this.response = new Response(null, { status: response.status, headers, webSocket: theirs });
  }

  // `lost` is what the other side is told where this one is gone without a word.
  #pass(from, to, lost, note) {
    from.addEventListener("message", ({ data }) => {
      note();
      if (!this.#isCut) attempt(() => to.send(data));
    });
    let isOver = false;
    const end = (code, reason) => {
      if (isOver) return;
      isOver = true;
      if (!close(to, code, reason)) this.cut(1002, "the close cannot be passed on");
      else if (--this.#open === 0) this.#settle();
      // Whoever does not answer a close is not waited for. Until then messages come from there,
      // and the session is watched.
      else setTimeout(() => this.cut(code, reason), CLOSING_MS);
    };
    from.addEventListener("close", ({ code, reason }) => (code === 1006 ? end(lost, "") : end(code, reason)));
    from.addEventListener("error", () => end(lost, ""));
  }

  wasUsed() {
    const used = this.#used;
    this.#used = false;
    return used;
  }

  // From now on nothing is passed on, whatever the sides do.
  cut(code, reason) {
    this.#isCut = true;
    close(this.#client, code, reason);
    close(this.#origin, code, reason);
    this.#settle();
  }
}

// Whether it could be sent: the platform does not send each code that it takes, nor a reason that
// is too long once it is UTF-8. RFC 6455, section 7.4.1: 1005 stands for no code, and is not sent.
function close(side, code, reason) {
  return attempt(() => (code === 1005 ? side.close() : side.close(code, reason)));
}

// To a side that is gone the platform sends nothing, and does not say so.
function attempt(work) {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

// The platform undoes these where a body is read, if they are written so. It would do them again,
// and hold events back until it has enough to compress.
const UNDONE = /^(?:gzip|br)$/;

class Stream {
  #cutting = new AbortController();
  over = Promise.resolve();

  constructor(response, edits) {
    const { body, status } = response;
    const isUndone = UNDONE.test(response.headers.get("content-encoding"));
    // A part of what is coded cannot be undone. It has an end, and goes its way unread.
    if (body === null || (isUndone && status === 206)) {
      this.response = withBody(response, edits, body);
      return;
    }
    const { readable, writable } = new IdentityTransformStream();
    this.response = withBody(response, edits, readable);
    if (isUndone) this.response.headers.delete("content-encoding");
    // Broken off by the client, by the origin or by us: each ends the other two.
    this.over = body.pipeTo(writable, { signal: this.#cutting.signal }).catch(() => {});
  }

  wasUsed() {
    return false;
  }

  cut(_, reason) {
    this.#cutting.abort(new Error(reason));
  }
}

// How long the second close may take after the first.
const CLOSING_MS = 10_000;
