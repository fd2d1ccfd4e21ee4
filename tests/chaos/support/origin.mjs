// The application behind the gateway, in this process, so that its clock is that of the
// history. It gives the command that it is asked for, holds tokens of its own (custody), knows
// sessions of an older kind (adopt), and says what it was told of who is there.
//
// Under /hostile/ it behaves badly, in the way that the path names: HOSTILE.
import { once } from "node:events";
import http from "node:http";

import { jwt } from "../../workerd/support/jwt.mjs";

const unpart = (text) => (text === undefined || text === "" ? undefined : JSON.parse(Buffer.from(text, "base64url")));

export async function startOrigin() {
  // By the number of the call (X-Call): when its request arrived.
  const arrivals = new Map();
  const server = http.createServer((request, response) => {
    const { headers, socket } = request;
    if (headers["x-call"] !== undefined) arrivals.set(Number(headers["x-call"]), performance.now());
    const { pathname, searchParams } = new URL(request.url, "http://origin");
    if (searchParams.has("command")) response.setHeader("Warifu-Command", searchParams.get("command"));
    if (searchParams.has("token")) response.setHeader("Set-Cookie", `token=${jwt(JSON.parse(searchParams.get("token")), { seconds: 86_400 })}; Path=/; HttpOnly`);
    if (pathname === "/who") return response.end(JSON.stringify({ id: cookie(headers, "old") }));
    if (pathname.startsWith("/hostile/")) return HOSTILE[pathname.slice("/hostile/".length)].behave(response, socket);
    const token = unpart(cookie(headers, "token")?.split(".")[1]);
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify({
      subject: headers["warifu-subject"],
      admitted: Number(headers["let-through"]),
      claims: unpart(headers["warifu-claims"]) ?? null,
      held: token?.v ?? null,
    }));
  });
  server.on("clientError", (_, socket) => socket.destroy());
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    arrivals,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const cookie = ({ cookie: header = "" }, name) => header.split("; ").find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);

// Writes without an end, until the other side has gone.
function pour(socket, begin, more) {
  socket.write(begin);
  const timer = setInterval(() => socket.write(more), 5);
  socket.on("close", () => clearInterval(timer));
  socket.on("error", () => {});
}

// `answers`: what the gateway may answer, "broken" being an answer that begins well and
// does not end well.
export const HOSTILE = {
  slow: { answers: [200], behave: (response) => setTimeout(() => response.end("late"), 700) },
  silent: { answers: [504], behave: () => {} },
  reset: { answers: [502], behave: (_, socket) => socket.resetAndDestroy() },
  closed: { answers: [502], behave: (_, socket) => socket.end() },
  garbage: { answers: [502], behave: (_, socket) => socket.end("SSH-2.0-OpenSSH_9.7\r\n") },
  "half-a-head": { answers: [502], behave: (_, socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Ty") },
  "half-a-head-and-silence": { answers: [504], behave: (_, socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Ty") },
  "half-a-body": { answers: ["broken"], behave: (_, socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf") },
  "half-a-body-and-a-reset": {
    answers: ["broken"],
    behave: (_, socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", () => socket.resetAndDestroy()),
  },
  "more-than-its-length": { answers: [200], behave: (_, socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nmore") },
  "two-lengths": { answers: [502], behave: (_, socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nmor") },
  "a-broken-chunk": { answers: ["broken"], behave: (_, socket) => socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n") },
  "headers-without-an-end": { answers: [502, 504], behave: (_, socket) => pour(socket, "HTTP/1.1 200 OK\r\n", `X-More: ${"x".repeat(4_000)}\r\n`) },
  "a-body-without-an-end": { answers: ["broken"], behave: (_, socket) => pour(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "more\n".repeat(800)) },
  "a-status-that-there-is-not": { answers: [502], behave: (_, socket) => socket.end("HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n") },
};
