// What the contenders have in common: each at its best, so no URL is parsed and no
// header is looked at that need not be.

// The same path and query at the origin.
export function target(url, origin) {
  return origin + url.slice(url.indexOf("/", 8));
}

// The value of a cookie; "" where there is none.
export function cookie(request, name) {
  const header = request.headers.get("cookie") ?? "";
  const start = header.startsWith(name) ? 0 : header.indexOf(`; ${name}`) + 2;
  if (start === 1) return "";
  const end = header.indexOf(";", start);
  return header.slice(start + name.length + 1, end === -1 ? undefined : end);
}

// The client's request at the origin, with whose it is.
export function forward(request, env, subject) {
  const forwarded = new Request(target(request.url, env.ORIGIN), request);
  forwarded.headers.set("warifu-subject", subject);
  return fetch(forwarded);
}

export function refuse() {
  return new Response(null, { status: 401 });
}
