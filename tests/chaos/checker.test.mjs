// The checker finds each broken promise in a history that has it, and nothing in one that
// has not.
import assert from "node:assert/strict";
import { test } from "node:test";

import { check } from "./checker.mjs";

const BOUND = 1_000;

// A history of calls written as [sent, answered, what].
function found(calls, settled = {}, more = {}) {
  const whole = calls.map(([sent, answered, call], number) => ({ number, round: 0, edge: "edge-1", result: "done", sent, answered, ...call }));
  const { delays, ...rest } = check({ calls: whole, settled: new Map(Object.entries(settled).map(([round, at]) => [Number(round), at])), bounds: { page: BOUND, continue: 3_000 }, idle: 30_000, ...more });
  return Object.fromEntries(Object.entries(rest).filter(([, list]) => list.length > 0).map(([name, list]) => [name, list.length]));
}
const start = (more) => ({ op: "start", session: "s", subject: "p", gives: "s/0", ...more });
const yes = (route, more) => ({ op: "check", session: "s", secret: "s/0", route, status: 200, ...more });
const no = (route, more) => ({ op: "check", session: "s", secret: "s/0", route, status: 401, code: "no_session", result: "refused", ...more });
const kill = (more) => ({ op: "kill", scope: "session", session: "s", subject: "p", published: true, ...more });

test("a session from its start to its end", () => {
  const calls = [
    [0, 10, start()],
    [20, 30, yes("page", { admitted: 25 })],
    [30, 40, yes("strict", { admitted: 35 })],
    [50, 60, kill()],
    [70, 80, yes("page", { admitted: 75 })],
    [80, 90, no("strict")],
    [1_100, 1_110, no("page")],
  ];
  assert.deepEqual(found(calls), {});
});

test("a lost start: acknowledged, and refused though nobody ended it", () => {
  assert.deepEqual(found([[0, 10, start()], [20, 30, no("page")]]), { lost: 1 });
  assert.deepEqual(found([[0, 10, start()], [5, 30, no("page")]]), {}, "asked before the answer had come");
  assert.deepEqual(found([[0, 10, start()], [20, 30, no("page")], [40, 50, kill()]]), { lost: 1 }, "ended only later");
  assert.deepEqual(found([[0, 10, start()], [15, 18, kill({ scope: "subject", subject: "other", session: undefined })], [20, 30, no("page")]]), { lost: 1 }, "another was ended");
  const refused = kill({ result: "refused", status: 403, code: "cross_origin", published: false });
  assert.deepEqual(found([[0, 10, start()], [12, 15, refused], [20, 30, no("page")]]), { lost: 1 }, "the kill was refused");
});

test("who does not come back in time is not lost, and who does is", () => {
  const used = [0, 10, start()];
  assert.deepEqual(found([used, [30_500, 30_600, no("page")]]), {});
  assert.deepEqual(found([used, [29_000, 29_010, no("page")]]), { lost: 1 });
  assert.deepEqual(found([used, [20_000, 20_010, yes("page", { admitted: 20_005 })], [30_500, 30_600, no("page")]]), { lost: 1 });
});

test("a lost rotation: its secret is refused", () => {
  const rotate = { op: "rotate", session: "s", secret: "s/0", gives: "s/1" };
  assert.deepEqual(found([[0, 10, start()], [20, 30, rotate], [40, 50, no("strict", { secret: "s/1" })]]), { lost: 1 });
  assert.deepEqual(found([[0, 10, start()], [20, 30, rotate], [40, 50, yes("strict", { secret: "s/1" })]]), {});
  assert.deepEqual(found([[0, 10, start()], [20, undefined, { ...rotate, result: "cut", gives: undefined }], [40, 50, no("page")]]), { lost: 1 }, "a rotation that was cut logs nobody out");
});

test("a secret that was replaced is served in its grace, and only where there is one", () => {
  const rotate = [20, 30, { op: "rotate", session: "s", secret: "s/0", gives: "s/1" }];
  const asked = [[0, 10, start()], rotate, [40, 50, no("page")]];
  assert.deepEqual(found(asked), { lost: 1 });
  assert.deepEqual(found(asked, {}, { hasGrace: false }), {});
  assert.deepEqual(found([[0, 10, start()], [40, 50, no("page")]], {}, { hasGrace: false }), { lost: 1 });
});

test("a lost update: an older version is seen", () => {
  const update = { op: "update", session: "s", version: 2 };
  const seen = (version) => yes("strict", { version });
  assert.deepEqual(found([[0, 10, start()], [20, 30, update], [40, 50, seen(1)]]), { lost: 1 });
  assert.deepEqual(found([[0, 10, start()], [20, 30, update], [40, 50, seen(2)]]), {});
  const cut = [20, undefined, { ...update, result: "cut" }];
  assert.deepEqual(found([[0, 10, start()], cut, [40, 50, seen(1)]]), {}, "one that was cut may not have been");
  assert.deepEqual(found([[0, 10, start()], cut, [40, 50, seen(2)], [60, 70, seen(1)]]), { lost: 1 }, "but if it was, it stays");
});

test("a lost renewal: the expiry moves back", () => {
  const record = (expires) => ({ op: "record", session: "s", expires });
  assert.deepEqual(found([[0, 10, start()], [20, 30, record(500)], [40, 50, record(400)]]), { lost: 1 });
  assert.deepEqual(found([[0, 10, start()], [20, 30, record(500)], [40, 50, record(500)]]), {});
});

test("a lost receipt: it is gone, its place is another, or two have one", () => {
  const first = [20, 30, kill({ kill: "k", seq: 7, epoch: "e" })];
  const look = (more) => [40, 50, { op: "receipt", kill: "k", seq: 7, epoch: "e", ...more }];
  assert.deepEqual(found([[0, 10, start()], first, look()]), {});
  assert.deepEqual(found([[0, 10, start()], first, look({ seq: undefined, epoch: undefined, status: 404, code: "not_found", result: "refused" })]), { lost: 1 });
  assert.deepEqual(found([[0, 10, start()], first, look({ seq: 8 })]), { lost: 1 });
  const second = (seq) => [40, 50, kill({ session: "t", kill: "l", seq, epoch: "e" })];
  assert.deepEqual(found([[0, 10, start()], first, second(8)]), {});
  assert.deepEqual(found([[0, 10, start()], first, second(6)]), { lost: 1 });
  assert.ok(found([[0, 10, start()], first, second(7)]).lost > 0);
});

test("a resurrected session: the object says yes after the end was acknowledged", () => {
  for (const scope of ["session", "subject", "site"]) {
    assert.deepEqual(found([[0, 10, start()], [20, 30, kill({ scope })], [40, 50, yes("strict")]]), { resurrected: 1 }, scope);
    assert.deepEqual(found([[0, 10, start()], [20, 30, kill({ scope, published: false })], [40, 50, yes("strict")]]), { resurrected: 1 }, "committed is enough for that");
  }
  assert.deepEqual(found([[0, 10, start()], [20, 45, kill()], [40, 50, yes("strict")]]), {}, "asked before");
});

test("a resurrected session: the object says yes after it has said no", () => {
  const cut = [20, undefined, kill({ result: "cut", published: false })];
  assert.deepEqual(found([[0, 10, start()], cut, [40, 50, no("strict")], [60, 70, yes("strict")]]), { resurrected: 1 });
  assert.deepEqual(found([[0, 10, start()], cut, [40, 50, yes("strict")], [60, 70, no("strict")]]), {}, "it may come late");
});

test("what was cut is either, and then it stays", () => {
  const cut = [20, undefined, kill({ result: "cut", published: false })];
  const asked = [[100, 110, yes("strict")], [200, 210, no("strict")]];
  assert.deepEqual(found([[0, 10, start()], cut, ...asked], { 0: 150 }), {});
  assert.deepEqual(found([[0, 10, start()], cut, ...asked], { 0: 50 }), { lost: 1 });
});

test("a log-in that was on its way does not outlive a kill of its subject", () => {
  const calls = (forwarded) => [
    [0, 60, start({ forwarded })],
    [20, 30, kill({ scope: "subject" })],
    [70, 80, yes("strict")],
  ];
  assert.deepEqual(found(calls(15)), { resurrected: 1 });
  assert.deepEqual(found(calls(40)), {});
});

test("an acceptance beyond the bound", () => {
  const accepted = (route, admitted) => [[0, 10, start()], [20, 30, kill()], [admitted - 5, admitted + 5, yes(route, { admitted })]];
  assert.deepEqual(found(accepted("page", 30 + BOUND)), {});
  assert.deepEqual(found(accepted("page", 30 + BOUND + 60)), { beyond: 1 });
  assert.deepEqual(found(accepted("continue", 30 + BOUND + 60)), {}, "the route's own bound");
  assert.deepEqual(found(accepted("continue", 30 + 3_100)), { beyond: 1 });
  const committed = [[0, 10, start()], [20, 30, kill({ published: false })], [2_000, 2_010, yes("page", { admitted: 2_005 })]];
  assert.deepEqual(found(committed), {}, "what is only committed was not promised");
});

test("ending the others gives this one a new secret, and leaves it", () => {
  const others = [20, 30, kill({ scope: "others", secret: "s/0", gives: "s/1" })];
  const other = [5, 12, start({ session: "t", gives: "t/0" })];
  assert.deepEqual(found([[0, 10, start()], other, others, [40, 50, yes("strict", { secret: "s/1" })], [40, 50, no("strict")], [40, 50, no("strict", { session: "t", secret: "t/0" })]]), {});
  assert.deepEqual(found([[0, 10, start()], other, others, [40, 50, no("strict", { secret: "s/1" })]]), { lost: 1 });
  assert.deepEqual(found([[0, 10, start()], other, others, [40, 50, yes("strict")]]), { resurrected: 1 }, "the secret that was presented");
  assert.deepEqual(found([[0, 10, start()], other, others, [40, 50, yes("strict", { session: "t", secret: "t/0" })]]), { resurrected: 1 });
});

test("a wrong answer", () => {
  const refused = (more) => [[0, 10, start()], [20, 30, no("page", { status: 503, code: "store_unavailable", retryAfter: "1", ...more })]];
  assert.deepEqual(found(refused()), {});
  assert.deepEqual(found(refused({ retryAfter: undefined })), { wrong: 1 });
  assert.deepEqual(found(refused({ code: undefined })), { wrong: 1 });
  assert.deepEqual(found(refused({ code: "internal" })), { wrong: 1 });
  assert.deepEqual(found(refused({ isTouched: true })), { wrong: 1 });
  assert.deepEqual(found([[0, 10, start()], [20, 15_000, yes("page", { result: "cut", isUnanswered: true })]]), { wrong: 1 }, "none at all");
  assert.deepEqual(found(refused({ status: 500, code: "misconfigured", expected: [500] })), {});
});
