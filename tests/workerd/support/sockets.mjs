// An application with WebSockets and event streams, and a client of both.
import { once } from "node:events";
import { createServer } from "node:http";

import { WebSocket, WebSocketServer } from "ws";

// At /sockets/echo it echoes; /sockets/log remembers what it gets; /sockets/close
// closes as it is told: "<code> <reason>"; /sockets/vanish goes without a word;
// /sockets/refused and /sockets/never do not become one, and /sockets/late only once
// `grant` is called. /events is an event stream,
// of which `tick` sends one more event to all.
export async function startSockets() {
  const origin = { requests: [], closed: [], streams: new Set(), open: new Set(), grant: () => {} };
  const server = createServer((request, response) => {
    origin.requests.push(request);
    const { pathname, searchParams } = new URL(request.url, "http://origin");
    if (searchParams.has("command")) response.setHeader("warifu-command", searchParams.get("command"));
    if (!pathname.startsWith("/events")) return response.end(pathname);
    response.setHeader("content-type", "text/event-stream; charset=utf-8");
    response.write("data: first\n\n");
    origin.streams.add(response);
    response.on("close", () => origin.streams.delete(response));
  });
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: true,
    handleProtocols: (offered) => (offered.has("chat.v2") ? "chat.v2" : false),
  });
  server.on("upgrade", (request, socket, head) => {
    origin.requests.push(request);
    socket.on("error", () => {});
    const path = request.url.split("?")[0];
    if (path.endsWith("/never")) return;
    if (path.endsWith("/refused")) return socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    if (path.endsWith("/late")) return (origin.grant = () => accept(request, socket, head, path));
    accept(request, socket, head, path);
  });
  const accept = (request, socket, head, path) => {
    sockets.handleUpgrade(request, socket, head, (opened) => {
      origin.open.add(opened);
      opened.on("close", (code, reason) => {
        origin.open.delete(opened);
        origin.closed.push({ code, reason: String(reason) });
      });
      opened.on("error", () => {});
      opened.on("message", (data, isBinary) => {
        if (path.endsWith("/vanish")) return opened.terminate();
        if (path.endsWith("/close")) {
          const [code, ...reason] = String(data).split(" ");
          return code === "1005" ? opened.close() : opened.close(Number(code), reason.join(" "));
        }
        opened.send(data, { binary: isBinary });
      });
    });
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(origin, {
    url: `http://127.0.0.1:${server.address().port}`,
    tick: () => origin.streams.forEach((stream) => stream.write("data: next\n\n")),
    stop() {
      sockets.clients.forEach((client) => client.terminate());
      server.closeAllConnections();
      server.close();
    },
  });
}

// A browser's socket. `closed` resolves with how it ended and when, `next` with the
// next message; `opened` rejects where there was no handshake.
export function connect(gateway, path, { cookie, from = gateway.url, protocols = [], ...options } = {}) {
  const headers = { ...(from === null ? {} : { origin: from }), ...(cookie === undefined ? {} : { cookie }) };
  const socket = new WebSocket(gateway.url.replace("http", "ws") + path, protocols, { headers, ...options });
  const [messages, waiting] = [[], []];
  socket.on("message", (data, isBinary) => {
    const message = isBinary ? data : String(data);
    if (waiting.length > 0) waiting.shift().resolve(message);
    else messages.push(message);
  });
  const closed = new Promise((resolve) => {
    socket.on("close", (code, reason) => {
      resolve({ code, reason: String(reason), at: Date.now() });
      waiting.splice(0).forEach(({ reject }) => reject(new Error(`closed with ${code} ${reason} while a message was awaited`)));
    });
  });
  const opened = new Promise((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("unexpected-response", (_, answer) => {
      reject(Object.assign(new Error(`it answered ${answer.statusCode}`), { status: answer.statusCode }));
      socket.terminate();
    });
    socket.on("error", reject);
  });
  opened.catch(() => {});
  const next = () => {
    if (messages.length > 0) return Promise.resolve(messages.shift());
    if (socket.readyState > WebSocket.OPEN) return Promise.reject(new Error("closed, and a message is awaited"));
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }));
  };
  return Object.assign(socket, { closed, opened, next });
}
