// What is said to the objects, and what they ask of their storage.

// Nearly all messages fit into a header field, which the platform carries with the
// request or the answer itself; a body is a stream, which costs a strict request a
// fifth of a bare one. What has to do with a "secret" by its name is redacted where
// the platform records header fields.
const FIELD = "warifu-secret-message";
const FIELD_CHARACTERS_MAX = 4_096;
const IN_BODY = "-";
const FITS = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/; // as a field value is carried unchanged (RFC 9110, 5.5)

const fits = (message) => message.length <= FIELD_CHARACTERS_MAX && FITS.test(message);

// One message to an object and its answer, both text.
export function ask(env, binding, name, locationHint, message) {
  const namespace = env[binding];
  if (namespace === undefined) throw new Error(`the binding ${binding} is missing`);
  const stub = namespace.getByName(name, locationHint === undefined ? undefined : { locationHint });
  if (!fits(message)) return post(stub, message);
  return stub.fetch("http://object/", { headers: { [FIELD]: message } }).then((response) => {
    const answer = response.headers.get(FIELD);
    if (answer === IN_BODY) return response.text();
    if (answer !== null) return answer;
    // An object that a version before this one still runs has found no message, and has
    // done nothing.
    return Promise.resolve(response.body?.cancel()).then(() => post(stub, message));
  });
}

function post(stub, message) {
  return stub.fetch("http://object/", { method: "POST", body: message }).then((response) => response.text());
}

// What an object is told: a text, or, where it came in the body, a promise of it.
export function said(request) {
  return request.headers.get(FIELD) ?? request.text();
}

// Whoever sent a body can read nothing else, if it is of a version before this one.
export function say(message, wasField) {
  if (wasField && fits(message)) return new Response(null, { headers: { [FIELD]: message } });
  return new Response(message, { headers: { [FIELD]: IN_BODY } });
}

// Rows and parameters cross as bytes, one after the other: what kind it is, and then
// a float64, or so many bytes, little-endian.
const [ROW, NULL, NUMBER, TEXT, BLOB] = [0, 1, 2, 3, 4];
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

// Where rows are written; it grows with what is read.
let room = new Uint8Array(4_096);
let view = new DataView(room.buffer);

function ensure(end) {
  if (end <= room.length) return;
  const before = room;
  room = new Uint8Array(2 * end);
  room.set(before);
  view = new DataView(room.buffer);
}

// All rows of a statement.
export function query(storage, statement, parameters) {
  let at = 0;
  for (const row of storage.sql.exec(statement, ...valuesOf(parameters)).raw().toArray()) {
    ensure(at + 1);
    room[at++] = ROW;
    for (const value of row) at = put(value, at);
  }
  return room.subarray(0, at);
}

function put(value, at) {
  if (value === null) {
    ensure(at + 1);
    room[at] = NULL;
    return at + 1;
  }
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Error("a column holds a number that is no integer");
    ensure(at + 9);
    room[at] = NUMBER;
    view.setFloat64(at + 1, value, true);
    return at + 9;
  }
  const from = at + 5;
  let length;
  if (typeof value === "string") {
    ensure(from + 3 * value.length); // of a UTF-16 unit come at most three bytes
    room[at] = TEXT;
    length = encode(value, from);
  } else if (value instanceof ArrayBuffer) {
    length = value.byteLength;
    ensure(from + length);
    room[at] = BLOB;
    room.set(new Uint8Array(value), from);
  } else {
    throw new Error("a column holds a value of an unknown type");
  }
  view.setUint32(at + 1, length, true);
  return from + length;
}

// Nearly all texts are short, and ASCII: to call the encoder takes longer.
function encode(text, from) {
  const { length } = text;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return encoder.encodeInto(text, room.subarray(from)).written;
    room[from + index] = code;
  }
  return length;
}

function valuesOf(parameters) {
  const given = new DataView(parameters.buffer, parameters.byteOffset, parameters.byteLength);
  const values = [];
  for (let at = 0; at < parameters.length; ) {
    const kind = parameters[at++];
    if (kind === NULL) {
      values.push(null);
    } else if (kind === NUMBER) {
      values.push(given.getFloat64(at, true));
      at += 8;
    } else {
      const from = at + 4;
      at = from + given.getUint32(at, true);
      const bytes = parameters.slice(from, at); // the memory may move
      values.push(kind === TEXT ? decoder.decode(bytes) : bytes);
    }
  }
  return values;
}

// Issued at once, so that it is committed with what was written in this turn.
export function setAlarm(storage, at) {
  return storage.setAlarm(at);
}

// Resolves once everything that has been written is durable.
export async function confirmed(storage) {
  await storage.sync();
}

// Only in builds for tests: the object is stopped, and loses its memory, as soon
// as it has left the statement that it is in.
export function stop(state) {
  setTimeout(() => state.abort("stopped on purpose"), 0);
}

export function transaction(storage, work) {
  storage.transactionSync(work);
}
