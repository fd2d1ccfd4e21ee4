// Request targets: honest ones, and honest ones that were changed in the ways in which
// gates have been told something else than their origins.

const HONEST = [
  "/open", "/open/", "/open/a.css", "/open/deep/er/x", "/open/~user/a-b_c", "/open/a%20b", "/open/%C3%A4.txt", "/open/a:b@c",
  "/guest", "/guest/x", "/guest/a,b", "/members", "/members/list", "/members/a=b", "/members/%E5%89%B2",
  "/open/admin", "/open/admin/users", "/open/vault", "/open/vault/1", "/other", "/other/x.html", "/", "/openly", "/guests",
];

export function honestPath(random) {
  const path = random.pick(HONEST);
  return random.chance(20) ? `${path}?a=${random.below(9)}&b=%2f..%2F//` : path;
}

const PROTECTED = ["open/admin/x", "open/admin", "open/vault/1", "members/list", "other"];
const UPWARD = ["..", "%2e%2e", ".%2E", "%2E.", "%252e%252e", "..%00", "..;", "..;x=1", "%2e%2e;a", "%c0%ae%c0%ae", "%e0%80%ae.", ". .", "..."];
const BETWEEN = ["/", "//", "%2f", "%2F", "%5c", "%5C", "\\", "%252f", "%255C", "/./", "/;/", "/;x/", ";/", "%c0%af", "%c1%9c", "%e0%80%af", "\xc0\xaf", "/%2e/"];
const SIGNS = [
  "%00", "%0a", "%0d%0aX-Forged:forged", "%09", "%7f", "%20", " ", "\t", "\x01", "\x7f", "%", "%4", "%zz", "%u002e", "%ff", "\xff", "\xe4",
  "\xef\xbc\x8f", "%ef%bc%8f", "%e2%84%aa", "|", "<", ">", "\"", "^", "`", "{", "}", "[", "]", "'", "*", "+", "&", "=", ",", "@", ":", "!", "$", "(", "~", "%25", "%2525",
];

const insert = (text, at, what) => text.slice(0, at) + what + text.slice(at);
const within = (random, path) => 1 + random.below(path.length);
// Somewhere that is no part of an escape, so that the change is the one that is meant.
const change = (random, path, changed) => {
  const at = within(random, path);
  return at < path.length ? path.slice(0, at) + changed(path[at]) + path.slice(at + 1) : path;
};
const escaped = (random) => (sign) => {
  const hex = sign.charCodeAt(0).toString(16).padStart(2, "0");
  return `%${random.chance(50) ? hex.toUpperCase() : hex}`;
};

// Each kind makes a target from an honest path without query.
const KINDS = {
  upward: (random) => `/${random.pick(["open", "guest", "open/a"])}${random.pick(BETWEEN)}${random.pick(UPWARD)}${random.pick(BETWEEN)}${random.pick(PROTECTED)}`,
  separator: (random, path) => path.replace(/.\//, (found) => found[0] + random.pick(BETWEEN)),
  slashes: (random, path) => insert(path, random.below(path.length + 1), random.pick(["/", "//", "/./", "\\", "/.\\"])),
  escaped: (random, path) => change(random, path, escaped(random)),
  "escaped whole": (random, path) => path.replaceAll(/[a-z]/g, (sign) => (random.chance(60) ? escaped(random)(sign) : sign)),
  "escaped twice": (random, path) => change(random, path, (sign) => escaped(random)(sign).replace("%", random.pick(["%25", "%2525", "%25%32%35"]))),
  parameters: (random, path) => insert(path, within(random, path), random.pick([";", ";x", ";x=1", ";jsessionid=1", "%3b", "%3Bx", ";a;b", ";.css", ";/"])),
  "parameters between": (random, path) => path.replaceAll("/", () => random.pick(["/", "/", "/;x/", ";x/", ";/"])),
  sign: (random, path) => insert(path, within(random, path), random.pick(SIGNS)),
  query: (random, path) => insert(path, within(random, path), random.pick(["?", "%3f", "%3F", "?/../", "#", "%23", "#/../", "?%0d%0aX-Forged:forged", "#?", "?#", "?\xff"])),
  case: (random, path) =>
    random.chance(50)
      ? path.replaceAll(/[a-z]/g, (sign) => (random.chance(40) ? sign.toUpperCase() : sign))
      : path.replaceAll(/[^/]+/g, (segment) => (random.chance(50) ? segment.toUpperCase() : segment)),
  end: (random, path) => path + random.pick(["/", "//", ".", "..", "/.", "/..", "%2e", "%20", "%2f", "/%2e%2e", "::$DATA", "~", ".html", ";.css", "/*"]),
  absolute: (random, path, host) =>
    random.pick(["http://", "https://", "HTTP://", "ws://", "file://", "//", "http:", "http:///", "http://a:b@"]) +
    random.pick([host, host.toUpperCase(), `${host}:80`, `${host}.`, "evil.example", "127.0.0.1", `${host}%2f`, `${host}\\`, `${host}#`]) +
    path,
  "no path": (random, path, host) => random.pick(["*", "", path.slice(1), host, "?", "#", "%2f", "..", ".", `${host}:443`, ";", "\\"]),
  long: (random, path) => `${path}/${"x".repeat(random.pick([1_000, 8_000, 16_000, 16_380, 20_000, 60_000]))}${random.pick(["", "/..", "%2e", "/../".repeat(20)])}`,
  soup: (random) => {
    let path = "/";
    for (let left = 1 + random.below(8); left > 0; left -= 1) path += random.pick([...UPWARD, ...BETWEEN, ...SIGNS, ...PROTECTED, "open", "guest", "admin", "?", "#", ";", "_warifu", "health"]);
    return path;
  },
  ours: (random) => `/${random.pick(["_warifu", "_WARIFU", "_warif%75", "%5Fwarifu", "_warifu;x", "open/.._warifu"])}${random.pick(["", "/", "/health", "/health/", "/nothing", "//health", "/sessions?subject=a", ";x/me", "/%6de"])}`,
};

// A target that no honest client sends: { kind, target }.
export function oddPath(random, host) {
  const kind = random.pick(Object.keys(KINDS));
  let target = KINDS[kind](random, random.pick(HONEST), host);
  // Now and then two changes at once.
  if (random.chance(25) && target.startsWith("/")) target = KINDS[random.pick(["escaped", "case", "parameters", "end", "query"])](random, target, host);
  return { kind, target };
}
