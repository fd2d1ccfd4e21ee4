// Where a secret is meant to be. Everywhere else that is looked at, it is a leak.
//
// `holds` is asked about one find: the secret's kind, the place (see scan.mjs), the text of the
// place up to the find, and in heads the line in which it stands.
const DELIVERS = /^set-cookie: __Host-[\w-]+=[\w-]{0,72}$/i;

const ALLOWED = [
  {
    what: "session token",
    where: "an answer's Set-Cookie, as the value of a __Host- cookie",
    because: "that is how a browser gets its session",
    holds: ({ place, line }) => place.in === "answer" && place.part === "head" && DELIVERS.test(line),
  },
  {
    what: "session token",
    where: "the members token and set_cookie of the answer 201 to POST /_warifu/sessions",
    because: "an administrator with the scope mint has asked for it, to give it to somebody",
    holds: ({ place: { in: direction, part, message }, before }) =>
      direction === "answer" &&
      part === "body" &&
      message.status === 201 &&
      message.request?.method === "POST" &&
      message.request.target.split("?")[0] === "/_warifu/sessions" &&
      /"(token":"|set_cookie":"__Host-[\w-]+=)[\w-]{0,72}$/.test(before),
  },
  {
    what: "session token",
    where: "a request's Cookie to the application, where no cookie has the session's name",
    because: "a client that writes its token under another name has told the application itself; tests/differential does, and sees that it opens nothing",
    holds: ({ place, line }) => place.in === "request" && place.part === "head" && /^cookie: /i.test(line) && !line.includes("__Host-Http-warifu="),
  },
  {
    what: "held token",
    where: "Cookie, Authorization and the body of a request to the application",
    because: "custody gives the application's own values back to it, and to nobody else",
    holds: ({ place, line }) => place.in === "request" && (place.part === "body" || /^(cookie|authorization): /i.test(line)),
  },
];

export const isAllowed = (find) => ALLOWED.some(({ what, holds }) => what === find.secret.kind && holds(find));
