// How long a promise is waited for.

// What the promise comes to; null where that takes longer.
export function within(msMax, promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, msMax, null);
    const settle = (how) => (what) => {
      clearTimeout(timer);
      how(what);
    };
    promise.then(settle(resolve), settle(reject));
  });
}

// The same for what a request has asked of the application or an object, so that the platform
// knows that it waits. To set a timer and to take it back is a twentieth of what a request costs,
// and most have their answer within a moment. So of those that wait beside others, those that
// begin within a second share one. When it rings, whoever still waits is told, and sets a timer
// of their own.
export function withinShared(context, msMax, promise) {
  if (msMax <= SHARED_MS + LATE_MS) return within(msMax, promise);
  remind();
  const began = Date.now();
  const { promise: first, resolve, reject } = Promise.withResolvers();
  let settled;
  if (shared === undefined && single === undefined) {
    const timer = setTimeout(resolve, msMax, null);
    single = timer;
    settled = () => {
      clearTimeout(timer);
      if (single === timer) single = undefined;
    };
  } else {
    single = undefined;
    const mine = (shared ??= new Shared(began));
    mine.join(context, resolve);
    settled = () => mine.waiting.delete(resolve);
  }
  promise.then(
    (value) => {
      settled();
      resolve(value);
    },
    (thrown) => {
      settled();
      reject(thrown);
    },
  );
  return first.then((value) => {
    if (value !== STILL) return value;
    // No less than is left for certain: a clock that jumps costs two seconds at most.
    const left = Math.max(began + msMax - Date.now(), msMax - SHARED_MS - LATE_MS);
    return within(Math.min(left, msMax), promise);
  });
}

// Where the platform has ended those whose timers they were, whoever comes next sees to it.
export function remind() {
  if (shared !== undefined && Date.now() > shared.until + LATE_MS) shared.end();
}

const SHARED_MS = 1_000;
const LATE_MS = 1_000;
const KEEPERS = 2;
const STILL = Symbol("it waits still");

// The one that requests rely on which begin now; else the timer of one that waits alone.
let shared, single;

// A timer is ended with the request that has set it: so that is kept going until it rings, also
// without its client; and two have set one, since the platform may end any request. Where one
// waits, the platform goes on with it where its promise was made, whoever settles that.
class Shared {
  waiting = new Set();
  #keepers = [];

  constructor(now) {
    this.until = now + SHARED_MS;
  }

  join(context, tell) {
    if (this.#keepers.length < KEEPERS && !this.#keepers.includes(context)) {
      const ms = Math.min(SHARED_MS, Math.max(0, this.until - Date.now()));
      const rung = new Promise((resolve) => setTimeout(resolve, ms));
      context.waitUntil(rung.then(() => this.end()));
      this.#keepers.push(context);
    }
    this.waiting.add(tell);
  }

  end() {
    if (shared === this) shared = undefined;
    for (const tell of this.waiting) tell(STILL);
    this.waiting.clear();
    this.#keepers = [];
  }
}
