// What takes the turns of requests; src/edge/turn.rs says what they are.

import { within, withinShared } from "./patience.js";

// What takes the turns of requests, in whatever instance of the WebAssembly there is. Where
// that had to be begun anew, it has never heard of what waits, and says so.
let turns;

// A request whose promise cannot be settled any more, since its client has gone away, is to
// be dropped. To have each collected by itself would cost it as much as its check does, so
// they are collected together: as soon as the last of them is over.
const TOGETHER_MAX = 64;
const gone = new FinalizationRegistry((numbers) => numbers.forEach((number) => turns.dropped(number)));
let newest;
let joined = TOGETHER_MAX;

// The largest number so far.
let last = 0;

// Keeps the class of it: an object would be a pointer into one instance.
export function lendTurns(lent) {
  turns = lent.constructor;
  return last;
}

function alone() {
  const held = { numbers: new Set() };
  gone.register(held, held.numbers);
  return held;
}

function together() {
  if (joined === TOGETHER_MAX) {
    newest = alone();
    joined = 0;
  }
  joined += 1;
  return newest;
}

// Takes the next turn of the request with this number when a promise is settled, or with
// null where that takes longer than so many milliseconds. 0: it will not take long; -1: it
// takes as long as it takes. `shares`: the context of a request that shares timers.
export function follow(promise, number, msMax, shares) {
  last = number;
  const held = msMax < 0 ? alone() : together();
  held.numbers.add(number);
  const take = (how, what) => {
    held.numbers.delete(number);
    return turns[how](number, what);
  };
  let settled = promise;
  if (msMax > 0) settled = shares === undefined ? within(msMax, promise) : withinShared(shares, msMax, promise);
  return settled.then(
    (value) => take("resolved", value),
    (thrown) => take("rejected", thrown),
  );
}

// A promise of this request's own, and the function by which another one keeps it: the
// platform goes on with it where it was made.
export function notice() {
  const { promise, resolve } = Promise.withResolvers();
  return [promise, resolve];
}

// Keeps a request going, also without its client, until the function is called that it
// returns, or the platform has had enough, which is half a minute after the client has gone.
export function hold(context) {
  let release;
  context.waitUntil(new Promise((resolve) => (release = resolve)));
  return release;
}

// Keeps what was begun going after the answer.
export function goOnAfter(context, promise) {
  context.waitUntil(promise);
}
