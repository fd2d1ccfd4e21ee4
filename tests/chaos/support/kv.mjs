// A KV namespace outside of workerd, in the words in which workerd asks for one: it outlives
// the machine that is killed, and can fail, wait, forget and remember what is long over.
import { once } from "node:events";
import http from "node:http";

export async function startKv() {
  const values = new Map();
  // What was there when it was told to stand still.
  let old;
  const kv = {
    mode: "well",
    asked: 0,
    // "well"; "fails": 500; "hangs": no answer; "stale": as of the time of this call, whatever
    // is written; "forgets": nothing is there; "lies": something is there that nobody wrote.
    be(mode) {
      kv.mode = mode;
      old = mode === "stale" ? new Map(values) : undefined;
    },
  };
  const server = http.createServer(async (request, response) => {
    const key = decodeURIComponent(new URL(request.url, "http://kv").pathname.slice(1));
    const body = Buffer.concat(await request.toArray());
    kv.asked += 1;
    if (kv.mode === "fails") return response.writeHead(500).end();
    if (kv.mode === "hangs") return;
    if (request.method === "PUT") values.set(key, body);
    if (request.method === "DELETE") values.delete(key);
    if (request.method !== "GET") return response.end();
    if (kv.mode === "lies") return response.end('{"epoch":"0","seq":0,"session":{}}');
    const value = kv.mode === "forgets" ? undefined : (old ?? values).get(key);
    if (value === undefined) return response.writeHead(404).end();
    response.end(value);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return Object.assign(kv, {
    records: values,
    address: `127.0.0.1:${server.address().port}`,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  });
}
