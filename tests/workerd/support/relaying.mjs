// An application that gives commands, and that passes on other people's answers, headers and
// all: a process of its own. It prints its port once it listens.
//
// Each parameter of the query does one thing:
//   command  a Warifu-Command, with the request's nonce for each NONCE; several: several fields
//   signed   signs the commands, as docs/signatures.md says
//   relay    an address whose answer's headers are passed on, beside those of its own
//   status   the status of its answer
// Its answer is a JSON object with the headers that it was sent.
import { createHmac } from "node:crypto";
import http from "node:http";

const HEADER_BYTES_MAX = 256 * 1024;
const [key] = JSON.parse(process.env.WARIFU_ORIGIN_KEYS);

http
  .createServer({ maxHeaderSize: HEADER_BYTES_MAX }, async (request, answer) => {
    const { method, url, headers } = request;
    const [path, query = ""] = url.split(/\?(.*)/s);
    const asked = new URLSearchParams(query);
    const nonce = headers["warifu-nonce"] ?? "";
    const fields = [];
    answer.statusCode = Number(asked.get("status") ?? 200);
    const commands = asked.getAll("command").map((command) => command.replaceAll("NONCE", nonce));
    for (const command of commands) fields.push(["Warifu-Command", command]);
    if (asked.has("signed")) {
      const lines = [
        ['"@status"', answer.statusCode],
        ['"warifu-command"', commands.join(", ")],
        ['"@method";req', method],
        ['"@authority";req', headers.host],
        ['"@path";req', path],
        ['"@query";req', `?${query}`],
        ['"warifu-nonce";req', nonce],
      ];
      const now = Math.floor(Date.now() / 1_000);
      const input = `(${lines.map(([name]) => name).join(" ")});created=${now};expires=${now + 30};keyid="${key.kid}";tag="warifu-command"`;
      const base = [...lines.map(([name, value]) => `${name}: ${value}`), `"@signature-params": ${input}`].join("\n");
      const mac = createHmac("sha256", Buffer.from(key.key, "base64url")).update(base).digest("base64");
      fields.push(["Signature-Input", `warifu=${input}`], ["Signature", `warifu=:${mac}:`]);
    }
    if (asked.has("relay")) {
      const { rawHeaders } = await relayed(asked.get("relay"));
      for (let i = 0; i < rawHeaders.length; i += 2) {
        if (!/^(connection|content-length|date|keep-alive|transfer-encoding)$/i.test(rawHeaders[i])) fields.push(rawHeaders.slice(i, i + 2));
      }
    }
    for (const [name, value] of fields) answer.appendHeader(name, value);
    answer.setHeader("X-Signed", fields.filter(([name]) => /^signature/i.test(name)).map(([, value]) => value));
    answer.end(JSON.stringify(headers));
  })
  .listen(0, "127.0.0.1", function () {
    console.log(this.address().port);
  });

function relayed(address) {
  return new Promise((resolve, reject) => {
    http.get(address, { maxHeaderSize: HEADER_BYTES_MAX }, (answer) => resolve(answer.resume())).on("error", reject);
  });
}
