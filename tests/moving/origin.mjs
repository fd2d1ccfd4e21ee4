// An application with sessions in JWTs, as a process of its own: it checks the signature each
// time, says at /api/me whose the session is, and counts how often it was asked about each.
// It prints its port once it listens; /counts tells what it has counted.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const key = process.env.JWT_KEY;
const asked = new Map();
const refused = { count: 0 };

function subjectOf(token = "") {
  const [header, claims, signature = ""] = token.split(".");
  const good = createHmac("sha256", key).update(`${header}.${claims}`).digest();
  const theirs = Buffer.from(signature, "base64url");
  if (theirs.length !== good.length || !timingSafeEqual(theirs, good)) return undefined;
  const { sub, exp } = JSON.parse(Buffer.from(claims, "base64url"));
  return exp > Date.now() / 1000 ? sub : undefined;
}

const server = createServer((request, response) => {
  if (request.url === "/counts") {
    const counts = [...asked.values()];
    return response.end(JSON.stringify({ sessions: asked.size, most: Math.max(0, ...counts), refused: refused.count }));
  }
  const token = /(?:^|; )token=([^;]*)/.exec(request.headers.cookie ?? "")?.[1];
  const id = subjectOf(token);
  if (request.url === "/api/me") asked.set(token, (asked.get(token) ?? 0) + 1);
  if (id === undefined) {
    refused.count += 1;
    return response.writeHead(401).end();
  }
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ id }));
});
server.keepAliveTimeout = 75_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
