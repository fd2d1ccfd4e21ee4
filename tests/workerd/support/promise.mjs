// The promise of revocation: the log of a run, and the checker that reads it
// afterwards. It knows nothing of how the gateway works.
//
// Once a kill is acknowledged at T, no edge accepts the session after T + B; on
// strict routes, none accepts a request that is sent after T.

// An acceptance counts at the time at which the edge let the request through, by
// the clock of the one machine that all of this runs on: with the time of sending
// a late acceptance could seem early, with that of the answer a slow machine would
// seem to break the promise.
export class History {
  requests = [];
  kills = [];

  // A request with a session's cookie. `letThrough`: when; undefined if it was
  // refused. `isTouched`: whether the answer sets a cookie.
  request({ edge, cookie, isStrict, status, sent, answered, letThrough, isTouched }) {
    this.requests.push({ edge, cookie, isStrict, status, sent, answered, letThrough, isTouched });
  }

  // A kill of what these cookies open, acknowledged at T; `acknowledged` is
  // undefined for one that was not, or of which nobody can know.
  kill({ kind, fault, cookies, sent, acknowledged }) {
    this.kills.push({ kind, fault, cookies, sent, acknowledged });
  }
}

// What a history says of a bound (in milliseconds): `late` and `strict` are the
// violations, `lost` the refusals of sessions that nobody had ended, `touched`
// the answers that change a cookie without need, and `unseen` the pairs of a
// killed session and an edge at which nobody has looked after the bound, of
// which the history proves nothing. `delays` has for each kill the time from T to
// the last acceptance.
export function check({ requests, kills }, bound, edges) {
  const byCookie = Map.groupBy(requests, ({ cookie }) => cookie);
  const killed = new Map(); // by cookie: the earliest time at which it may be refused
  for (const { cookies, sent } of kills) {
    for (const cookie of cookies) killed.set(cookie, Math.min(sent, killed.get(cookie) ?? Infinity));
  }
  const [late, strict, unseen, delays] = [[], [], [], []];
  for (const kill of kills.filter(({ acknowledged }) => acknowledged !== undefined)) {
    const T = kill.acknowledged;
    let last = -Infinity;
    for (const cookie of kill.cookies) {
      const after = new Set();
      for (const request of byCookie.get(cookie) ?? []) {
        const { edge, isStrict, sent, letThrough } = request;
        if (!isStrict && sent > T + bound) after.add(edge);
        if (letThrough === undefined) continue;
        if (isStrict) {
          if (sent > T) strict.push({ kill, request });
          continue;
        }
        last = Math.max(last, letThrough - T);
        if (letThrough > T + bound) late.push({ kill, request, by: letThrough - T - bound });
      }
      for (const edge of edges) if (!after.has(edge)) unseen.push({ kill, cookie, edge });
    }
    delays.push({ kind: kill.kind, fault: kill.fault, delay: last });
  }
  const lost = requests.filter(({ cookie, status, answered }) => status === 401 && !(answered >= killed.get(cookie)));
  const touched = requests.filter(({ isTouched }) => isTouched);
  return { late, strict, lost, touched, unseen, delays };
}

// Of the positive delays; a kill that nobody has outlived has none.
export function summary(delays) {
  const sorted = delays.map(({ delay }) => Math.max(0, delay)).sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { kills: sorted.length, positive: sorted.filter((delay) => delay > 0).length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) };
}
