// What a history says of the three guarantees. Pure: it asks nobody, and knows nothing of how
// the gateway works, only what was promised to whoever got an answer.
//
//   lost         what was acknowledged is not there any more: a session refused that nobody
//                ended, a change undone, a receipt gone or with another place in the feed
//   resurrected  what was ended is there again: asked of the session's object (a strict
//                route) after the end was acknowledged, or after it had refused once
//   beyond       accepted by memory later than the bound after an acknowledged end
//   wrong        an answer that the documentation does not have
export function check({ calls, settled, bounds, idle = Infinity, hasGrace = true }) {
  const starts = new Map(calls.filter(({ op, result }) => op === "start" && result === "done").map((call) => [call.session, call]));
  const kills = calls.filter(({ op }) => op === "kill");
  const bySession = Map.groupBy(calls.filter(({ session }) => session !== undefined), ({ session }) => session);
  const found = { lost: [], resurrected: [], beyond: [], wrong: calls.filter(isWrong).map((call) => ({ call })), delays: [] };
  const delays = new Map();

  for (const [session, start] of starts) {
    const own = bySession.get(session);
    const ends = kills.filter((kill) => mayEnd(kill, start));
    const checks = own.filter(({ op, result }) => op === "check" && (result === "done" || result === "refused"));
    const accepted = checks.filter(({ result }) => result === "done");

    for (const call of accepted) {
      for (const kill of ends) {
        if (kill.result !== "done" || !isSureToEnd(kill, start, call)) continue;
        if (call.route === "strict") {
          if (call.sent > kill.answered) found.resurrected.push({ session, call, kill });
          continue;
        }
        if (!kill.published) continue;
        const delay = call.admitted - kill.answered;
        const bound = bounds[call.route];
        if (call.route === "page") delays.set(kill, Math.max(delay, delays.get(kill) ?? 0));
        if (delay > allowed(bound)) found.beyond.push({ session, call, kill, by: delay - bound });
      }
    }

    // A secret that the object has refused stays refused.
    const dead = new Map();
    for (const call of checks.filter(({ route }) => route === "strict").sort((a, b) => a.sent - b.sent)) {
      if (call.status === 401) dead.set(call.secret, Math.min(call.answered, dead.get(call.secret) ?? Infinity));
      else if (call.result === "done" && call.sent > dead.get(call.secret)) found.resurrected.push({ session, call });
    }

    for (const call of checks.filter(({ status }) => status === 401)) {
      const given = own.find(({ gives }) => gives === call.secret);
      if (!(given?.answered < call.sent) || isRetired(own, call, hasGrace) || isIdle([start, ...accepted], call, idle)) continue;
      if (!ends.some((kill) => excuses(kill, start, call, accepted, settled))) found.lost.push({ session, call });
    }
    found.lost.push(...undone(session, own));
  }
  found.lost.push(...ofReceipts(calls));
  found.delays = [...delays.values()];
  return found;
}

// B and the thousandth by which clocks may differ, and what the platform's clock can stand
// still: what a receipt counts.
const allowed = (bound) => bound * 1.001 + 50;

// Whether a kill is about this session at all.
function mayEnd(kill, { session, subject }) {
  if (kill.result === "unsent") return false;
  switch (kill.scope) {
    case "session":
      return kill.session === session;
    case "subject":
      return kill.subject === subject;
    case "others":
      return kill.subject === subject;
    case "site":
      return true;
  }
}

// Whether the session had begun, or its log-in was on its way already, when the kill was sent.
// Of the session that stays when the others end, the secret that was presented is over.
function isSureToEnd(kill, start, call) {
  if (kill.scope === "others" && kill.session === start.session) return kill.secret === call.secret;
  return start.answered < kill.sent || start.forwarded < kill.sent;
}

// Whether a kill explains that a check was refused.
function excuses(kill, start, call, accepted, settled) {
  if (kill.sent >= call.answered) return false;
  if (kill.scope === "others" && kill.session === start.session) return kill.secret === call.secret;
  if (kill.result === "done") return start.sent < kill.answered;
  // Nothing has come of it: it was refused, and said so.
  if (kill.result === "refused" && kill.status < 500 && kill.status !== 404) return false;
  // It may have been done or not, but then it stays so.
  const end = settled.get(kill.round) ?? Infinity;
  return !accepted.some(({ route, sent }) => route === "strict" && sent > end);
}

// Whether the session was left alone for so long that it may be over.
function isIdle(uses, call, idle) {
  return Math.max(...uses.filter(({ sent }) => sent < call.answered).map(({ sent }) => sent)) + idle <= call.answered;
}

// Whether the session has a new secret that leaves no time to the old one.
function isRetired(own, call, hasGrace) {
  const replaces = ({ op, gives, result }) => op === "rotate" || (op === "update" && (gives !== undefined || result !== "done"));
  const retires = (other) => (other.op === "kill" ? other.scope === "others" : !hasGrace && replaces(other));
  return own.some((other) => retires(other) && other.secret === call.secret && other.result !== "unsent" && other.sent < call.answered);
}

// Changes that were acknowledged and are not seen, or were seen and are not any more; and an
// expiry that has moved back.
function undone(session, own) {
  const found = [];
  const seen = own.filter(({ op, route, result, version }) => op === "check" && route === "strict" && result === "done" && version !== undefined);
  const changes = own.filter(({ op }) => op === "update");
  for (const call of seen) {
    for (const change of changes) {
      if (change.result === "done" && change.answered < call.sent && call.version < change.version) found.push({ session, call, change });
    }
    for (const earlier of seen) if (earlier.answered < call.sent && call.version < earlier.version) found.push({ session, call, change: earlier });
  }
  const records = own.filter(({ op, result, expires }) => op === "record" && result === "done" && expires !== undefined);
  for (const call of records) {
    for (const earlier of records) if (earlier.answered < call.sent && call.expires < earlier.expires) found.push({ session, call, change: earlier });
  }
  return found;
}

// A receipt is there again, with the same place; places differ, and grow.
function ofReceipts(calls) {
  const found = [];
  const published = calls.filter(({ op, published, seq }) => op === "kill" && published && seq !== undefined);
  const looks = Map.groupBy(calls.filter(({ op, result }) => op === "receipt" && (result === "done" || result === "refused")), ({ kill }) => kill);
  for (const kill of published) {
    for (const call of looks.get(kill.kill) ?? []) {
      if (call.sent < kill.answered) continue;
      const isSame = call.result === "done" && call.seq === kill.seq && call.epoch === kill.epoch;
      if (call.status === 404 || (call.result === "done" && !isSame)) found.push({ session: kill.session, call, kill });
    }
    for (const other of published) {
      const isOut = other !== kill && (other.seq === kill.seq ? other.kill !== kill.kill : kill.answered < other.sent && kill.seq > other.seq);
      if (isOut) found.push({ session: kill.session, call: other, kill });
    }
  }
  return found;
}

// Answers of the gateway's own have a code of docs/errors.md; 503 says when to try again; what
// is refused leaves the cookie alone; and there is an answer, unless the connection breaks. A
// call may name answers that are right where it is made.
function isWrong({ op, result, status, code, retryAfter, isTouched, isUnanswered, expected }) {
  if (isUnanswered) return true;
  if (result !== "refused") return false;
  if (expected?.includes(status)) return false;
  if (isTouched && op !== "kill") return true;
  if (code === undefined || code === "internal" || code === "misconfigured") return true;
  return status === 503 && retryAfter === undefined;
}
