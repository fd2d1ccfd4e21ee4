// What there is at the origins, and how careless middleware reads a path. Each origin
// routes by its own stack; these readings stand beside it, and the strictest counts.

// Areas by their paths. The gateway's routes say the same; see ROUTES.
const AREAS = [
  ["/open/admin", "admin"],
  ["/open/vault", "vault"],
  ["/open", "open"],
  ["/guest", "guest"],
  ["/members", "members"],
];

// Only what is open is there without a session, and only to be read.
export const ROUTES = [
  { path: "/open/admin/*", access: "required" },
  { path: "/open/vault/*", access: "strict" },
  { path: "/open/*", methods: ["GET", "HEAD"], access: "public" },
  { path: "/guest/*", access: "optional" },
  { path: "/members/*", access: "required" },
];

// What a request for a resource takes: what no area covers is protected, too.
export function needs(resource, method) {
  if (resource === "guest") return "anyone";
  return resource === "open" && ["GET", "HEAD"].includes(method) ? "nothing" : "session";
}

// The area of a path that is read as it stands.
export function area(path, { ignoreCase = false } = {}) {
  const read = ignoreCase ? path.toLowerCase() : path;
  const found = AREAS.find(([prefix]) => read === prefix || read.startsWith(`${prefix}/`));
  return found?.[1] ?? "none";
}

// Each byte a character.
const decode = (path) => path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

// Every way in which something at the origin might read the path: decoded once, again and
// again, with dots and slashes resolved, without parameters, and as a browser reads URLs.
export function readings(target) {
  const raw = target.split("?")[0];
  const once = decode(raw);
  let full = once;
  for (let before; before !== full; ) [before, full] = [full, decode(full)];
  const found = new Set([raw, once, full]);
  for (const path of [raw, once]) found.add(path.replaceAll(/;[^/]*/g, ""));
  for (const path of [...found]) found.add(resolved(path));
  if (URL.canParse(`http://origin.test${raw}`)) found.add(new URL(`http://origin.test${raw}`).pathname);
  return [...found];
}

function resolved(path) {
  const kept = [];
  for (const segment of path.split(/[\\/]+/)) {
    if (segment === "..") kept.pop();
    else if (segment !== "." && segment !== "") kept.push(segment);
  }
  return `/${kept.join("/")}`;
}
