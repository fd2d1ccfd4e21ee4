// The HTTP messages that have passed on a connection, out of its bytes: heads as they were, bodies
// without the framing of chunks, and decoded.
import { HTTPParser } from "http-parser-js";
import { brotliDecompressSync, constants, gunzipSync, inflateSync } from "node:zlib";

HTTPParser.encoding = "latin1";
HTTPParser.maxHeaderSize = 1024 * 1024;
// It takes others for no HTTP; what the tests send are these.
HTTPParser.methods.push("QUERY", "FOO");

const ENDLESS = { finishFlush: constants.Z_SYNC_FLUSH };
const CODINGS = {
  gzip: (bytes) => gunzipSync(bytes, ENDLESS),
  deflate: (bytes) => inflateSync(bytes, ENDLESS),
  br: (bytes) => brotliDecompressSync(bytes, { finishFlush: constants.BROTLI_OPERATION_FLUSH }),
};

// Requests: a list of { method, target, head, fields, body }, `head` as text in latin1.
export function requestsIn(bytes) {
  return messagesIn(bytes, HTTPParser.REQUEST, () => "");
}

// Answers to these requests: a list of { status, head, fields, body, request }. What is no HTTP,
// as what comes after a change of protocol, is the body of a message without a head.
export function answersIn(bytes, requests) {
  const waiting = [...requests];
  return messagesIn(bytes, HTTPParser.RESPONSE, (status) => {
    if (status >= 100 && status < 200 && status !== 101) return undefined;
    return waiting.shift();
  });
}

function messagesIn(bytes, type, requestOf) {
  const messages = [];
  const parser = new HTTPParser(type);
  let message;
  parser[HTTPParser.kOnHeadersComplete] = ({ headers, method: number, url: target, statusCode: status, statusMessage, upgrade }) => {
    const fields = [];
    for (let at = 0; at < headers.length; at += 2) fields.push([headers[at].toLowerCase(), headers[at + 1]]);
    const method = HTTPParser.methods[number];
    const request = requestOf(status);
    const first = type === HTTPParser.REQUEST ? `${method} ${target}` : `${status} ${statusMessage}`;
    const head = [first, ...fields.map((field) => field.join(": "))].join("\r\n");
    message = { method, target, status, fields, request, head, parts: [] };
    messages.push(message);
    if (upgrade) return 2;
    return request?.method === "HEAD" ? 1 : 0;
  };
  parser[HTTPParser.kOnBody] = (part) => message.parts.push(part);
  parser[HTTPParser.kOnHeaders] = (trailers) => (message.head += `\r\n${trailers.join("\r\n")}`);
  // Up to where all has been understood.
  let understood = 0;
  parser[HTTPParser.kOnMessageComplete] = () => {
    understood = parser.offset;
    message = undefined;
  };
  const read = parser.execute(bytes);
  // It stops at a change of protocol, and where it does not understand; and a head may not end.
  if (read !== bytes.length || message === undefined) {
    const rest = bytes.subarray(understood);
    if (rest.length > 0) messages.push({ fields: [], head: "", parts: [rest] });
  }
  return messages.map(({ parts, ...others }) => ({ ...others, body: decoded(Buffer.concat(parts), others.fields) }));
}

// A body that ends too early is decoded as far as it goes; one that is not what it says it is, is
// looked at as it came.
function decoded(body, fields) {
  const coding = fields.find(([name]) => name === "content-encoding")?.[1].trim().toLowerCase();
  if (body.length === 0 || !(coding in CODINGS)) return body;
  try {
    return CODINGS[coding](body);
  } catch {
    return body;
  }
}
