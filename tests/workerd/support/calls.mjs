// Calls under /_warifu/, as administrators and users make them; of each answer it is checked that
// it is never kept, and that errors are problems (RFC 9457).
import assert from "node:assert/strict";

export const text = (body) => (body === undefined || typeof body === "string" ? body : JSON.stringify(body));

// `gateway` gives the gateway once it is started, `all` is a key for administrators with all scopes.
export function callsTo(gateway, all) {
  async function call(method, where, { headers = {}, body } = {}) {
    const answer = await gateway().fetch(`/_warifu/${where}`, { method, headers, body: text(body) });
    const said = await answer.text();
    if (answer.status >= 400 && method !== "HEAD") {
      assert.equal(answer.headers.get("content-type"), "application/problem+json", `${method} ${where}: ${said}`);
    }
    assert.equal(answer.headers.get("cache-control"), "no-store");
    const isJson = /^application\/(problem\+)?json/.test(answer.headers.get("content-type") ?? "");
    const json = isJson && said !== "" ? JSON.parse(said) : undefined;
    return { status: answer.status, json, code: json?.code, headers: answer.headers };
  }

  const bearer = ({ key }) => ({ authorization: `Bearer ${key}` });
  const admin = (method, where, body, key = all) => call(method, where, { headers: bearer(key), body });
  const user = ({ cookie }, method, where, headers = {}) =>
    call(method, where, { headers: { cookie, "sec-fetch-site": "same-origin", ...headers } });

  // A browser's session without the application: minted.
  async function mint(session) {
    const { status, json } = await admin("POST", "sessions", session);
    assert.equal(status, 201, JSON.stringify(json));
    return { ...json, cookie: json.set_cookie.split(";")[0], id: json.session.id };
  }

  // What the application sees of a session; null if it is refused.
  async function seen({ cookie }) {
    const answer = await gateway().fetch("/api/me", { headers: { cookie, accept: "application/json" } });
    return answer.status === 200 ? await answer.json() : null;
  }

  let number = 0;
  const someone = () => `someone-${++number}`;
  const list = async (subject) => {
    const { json } = await admin("GET", `sessions?${new URLSearchParams({ subject })}`);
    return json.sessions;
  };
  return { call, bearer, admin, user, mint, seen, someone, list };
}
