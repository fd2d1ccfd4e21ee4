// The ways in which bytes are written, so that they are found in whatever way they were.

// A list of [name, bytes as they are then written].
export function formsOf(value) {
  const bytes = Buffer.from(value);
  const reversed = Buffer.from(bytes).reverse();
  return [
    ["as it is", bytes],
    ["in UTF-16", Buffer.from(bytes.toString("latin1"), "utf16le")],
    ...hexadecimal(bytes),
    ["as numbers", Buffer.from(bytes.join(","))],
    ...inBase64(bytes),
    ...percentEncoded(bytes),
    ["backwards", reversed],
    ...[...hexadecimal(reversed), ...inBase64(reversed)].map(([name, form]) => [`backwards, ${name}`, form]),
  ];
}

function hexadecimal(bytes) {
  const digits = bytes.toString("hex");
  return [["in hexadecimal", Buffer.from(digits)], ["in HEXADECIMAL", Buffer.from(digits.toUpperCase())]];
}

// Within something longer base64 has three ways to write the same bytes. The characters at the
// ends, which mix with what is beside, are left out; what its alphabets or an address write in
// another way is there in each.
function inBase64(bytes) {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
    const inner = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    if (!/[+/]/.test(inner)) return [["in base64", Buffer.from(inner)]];
    return [
      ["in base64", Buffer.from(inner)],
      ["in base64url", Buffer.from(inner.replaceAll("+", "-").replaceAll("/", "_"))],
      ["in base64, percent-encoded", Buffer.from(encodeURIComponent(inner))],
    ];
  });
}

// Each byte, or only those that have to be.
function percentEncoded(bytes) {
  const all = bytes.toString("hex").replaceAll(/../g, "%$&");
  const some = all.replaceAll(/%(2d|2e|3\d|[46][1-9a-f]|[57][0-9a]|5f|7e)/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  const upper = (text) => text.replaceAll(/%../g, (escaped) => escaped.toUpperCase());
  const texts = new Set([all, upper(all), ...(some.includes("%") ? [some, upper(some)] : [])]);
  return [...texts].map((text) => ["percent-encoded", Buffer.from(text)]);
}
