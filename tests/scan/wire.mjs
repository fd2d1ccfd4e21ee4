// Connections, with a copy of what passes on them: those that tests make themselves, and a door in
// front of a port, for everybody who is told its address.
import { once } from "node:events";
import net from "node:net";

// What is kept of a connection: what who made it has sent, and what came back.
export class Wire {
  sent = [];
  came = [];
  #kept = { sent: 0, came: 0 };

  constructor(limit = Infinity) {
    this.limit = limit;
  }

  keep(which, bytes) {
    if (this.#kept[which] >= this.limit) return;
    this.#kept[which] += bytes.length;
    this[which].push(bytes);
  }
}

// A connection of our own.
export function dial(port, wire) {
  const socket = net.connect(port, "127.0.0.1");
  socket.on("data", (bytes) => wire.keep("came", bytes));
  const { write } = socket;
  socket.write = (chunk, encoding, done) => {
    wire.keep("sent", Buffer.from(chunk, typeof encoding === "string" ? encoding : undefined));
    return write.call(socket, chunk, encoding, done);
  };
  return socket;
}

// Passes everything on to `target` as it comes, its ends and its failures too.
// `newWire` is asked for each connection.
export async function openDoor(target, newWire, port = 0) {
  const sockets = new Set();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (from) => {
    const to = net.connect({ ...target, allowHalfOpen: true, noDelay: true });
    const wire = newWire();
    from.on("data", (bytes) => wire.keep("sent", bytes));
    to.on("data", (bytes) => wire.keep("came", bytes));
    from.pipe(to);
    to.pipe(from);
    // A client may end its side and wait for an answer. A server that ends is gone, and who waits
    // for it is told so by a connection that is closed, as it would be by the server's own.
    to.on("end", () => from.destroySoon());
    for (const [one, other] of [[from, to], [to, from]]) {
      sockets.add(one);
      let failed = false;
      one.on("error", () => (failed = true));
      one.on("close", () => {
        sockets.delete(one);
        if (failed) other.resetAndDestroy();
        else other.destroySoon();
      });
    }
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: server.address().port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
