// An application that gives the command that the request's query asks for, and
// otherwise shows the level that it was told.
import { once } from "node:events";
import http from "node:http";

export async function startOrigin() {
  const server = http.createServer((request, answer) => {
    const command = new URL(request.url, "http://origin").searchParams.get("command");
    if (command !== null) answer.setHeader("Warifu-Command", command);
    answer.end(request.headers["warifu-level"] ?? "");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

// The path on which it gives a command.
export const commanding = (command) => `/do?command=${encodeURIComponent(command)}`;
