// The floor of a gateway: what warifu does to the headers of a request and of its
// answer, written by hand in JavaScript, and no check at all. Whoever is asked for
// is let through as the same person. With IDENTITY it does what protected routes
// need; without, what public ones do.
import { target } from "./shared.mjs";

const COOKIE = "__Host-Http-warifu";
const DROPPED = new Set([
  "forwarded",
  "http2-settings",
  "script-name",
  "x-original-url",
  "x-rewrite-url",
  "x-http-method-override",
  "x-http-method",
  "x-method-override",
  "x-real-ip",
]);
const ODD = /[^a-z0-9-]/g;

// The names by which origins may take a header for one of ours.
function isUnwanted(name) {
  const folded = name.replace(ODD, "-");
  return folded.startsWith("warifu-") || folded.startsWith("x-forwarded-") || DROPPED.has(folded);
}

function withoutSession(header) {
  if (!header.includes(COOKIE)) return header;
  return header.split("; ").filter((pair) => !pair.includes(COOKIE)).join("; ");
}

export default {
  async fetch(request, env) {
    const { url } = request;
    const slash = url.indexOf("/", 8);
    const forwarded = new Request(target(url, env.ORIGIN), request);
    const { headers } = forwarded;
    let client = null;
    for (const [name, value] of request.headers) {
      if (name === "cookie") {
        const rest = withoutSession(value);
        if (rest === "") headers.delete(name);
        else if (rest !== value) headers.set(name, rest);
      } else if (name === "cf-connecting-ip") client = value;
      else if (name === "upgrade" || isUnwanted(name)) headers.delete(name);
    }
    const host = url.slice(7, slash);
    if (client !== null) {
      headers.set("x-forwarded-for", client);
      headers.set("x-real-ip", client);
    }
    headers.set("x-forwarded-host", host);
    headers.set("x-forwarded-proto", "http");
    headers.set("forwarded", `for=${client ?? "unknown"};host="${host}";proto=http`);
    if (env.IDENTITY === "yes") {
      headers.set("warifu-session", "AQAABxAREhMUFRYXGBkaGw");
      headers.set("warifu-level", "1");
      headers.set("warifu-auth-time", "1795930000");
      headers.set("warifu-claims", "");
      headers.set("warifu-subject", "3f9a7c52-8f0e-4d6b-9a51-000000000042");
    }
    // With an identity, no cache that people share may answer.
    const response = await (env.IDENTITY === "yes" ? fetch(forwarded, { cache: "no-store" }) : fetch(forwarded));
    const { headers: answered } = response;
    let edited;
    const copy = () => (edited ??= new Response(response.body, response)).headers;
    let isPrivate = false;
    for (const [name, value] of answered) {
      if (name === "cache-control") isPrivate = value.includes("private") || value.includes("no-store");
      else if (name.replace(ODD, "-").startsWith("warifu-")) copy().delete(name);
      else if (name === "set-cookie" && value.startsWith(COOKIE)) copy().delete(name);
    }
    if (env.IDENTITY === "yes" && !isPrivate) copy().set("cache-control", "no-store");
    return edited ?? response;
  },
};
