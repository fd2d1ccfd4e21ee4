// What was asked and what was answered, in the order of asking. A call is noted before it is
// sent, so that one whose answer never came is known too. Times are milliseconds of this
// process's monotonic clock. Sessions and secrets go by labels; no cookie is ever in here.
//
// A call: { number, round, op, edge, session, secret, subject, sent, answered, result, status, code, … }
//
//   op       what it has besides
//   start    via; gives: the secret, if done; forwarded: when the application got the log-in
//   check    route ("page", "continue" or "strict"); admitted: when it was let through; version,
//            of what the application was told
//   rotate   gives
//   update   version: of the claims, or of the value that is held
//   kill     scope ("session", "subject", "others" or "site"); gives, for others; published:
//            whether the answer says that the feed has it; kill, epoch and seq: of its receipt
//   receipt  kill, epoch, seq: a later look at a receipt
//   record   expires: the session's idle expiry, in milliseconds
//   other    anything else, of which only the answer counts
//
//   result
//   done     acknowledged
//   refused  an answer, and no good one: a code of docs/errors.md
//   cut      no answer: whether it was done nobody knows
//   unsent   there was nobody to send it to
export class History {
  calls = [];
  // When all that was cut in a round had come to its end: afterwards it is done, or never will be.
  settled = new Map();
  round = 0;

  // `idle`: for how long a session may be left alone without an end of its own accord. `hasGrace`:
  // whether a secret that was replaced is served all the time; five minutes are over at once where
  // the clock steps.
  constructor({ bound, bounds = {}, idle = Infinity, hasGrace = true }) {
    Object.assign(this, { idle, hasGrace });
    // By route: for how long an end may still be accepted there.
    this.bounds = { page: bound, ...bounds };
  }

  begin(call) {
    const noted = { number: this.calls.length, round: this.round, ...call, sent: performance.now() };
    this.calls.push(noted);
    return noted;
  }

  settle() {
    this.settled.set(this.round, performance.now());
  }

  // All that concerns a session, for whoever looks into a finding.
  of(label) {
    const { subject } = this.calls.find(({ session }) => session === label) ?? {};
    const concerns = ({ session, scope, subject: other }) => session === label || scope === "site" || (scope !== undefined && other === subject);
    return this.calls.filter(concerns);
  }
}

// One call on one line.
export function line({ number, round, op, edge, sent, answered, result, ...more }) {
  const details = Object.entries(more).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${typeof value === "number" ? Math.round(value * 10) / 10 : value}`);
  const end = answered === undefined ? "…" : answered.toFixed(1);
  return `#${number} round ${round} ${sent.toFixed(1)}–${end} ${op} at ${edge}: ${result} ${details.join(" ")}`;
}
