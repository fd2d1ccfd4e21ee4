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

// The same for a request to the application, of which the platform knows that it waits. To set a
// timer and to take it back is a twentieth of what a request costs, and most have their answer
// within a moment. So of those that wait beside others, those that begin within a second share
// one. When it rings, whoever still waits is told, and sets a timer of their own.
export function withinShared(context, msMax, promise) {
  if (msMax < 2 * SHARED_MS) return within(msMax, promise);
  const began = Date.now();
  // Whose timer it was has been ended by the platform.
  if (shared !== undefined && began > shared.until + LATE_MS) shared.end();
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
    const mine = (shared ??= new Shared(context, began));
    single = undefined;
    mine.waiting.add(resolve);
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
    return within(Math.min(msMax, Math.max(0, began + msMax - Date.now())), promise);
  });
}

const SHARED_MS = 1_000;
const LATE_MS = 1_000;
const STILL = Symbol("it waits still");

// The one that requests rely on which begin now; else the timer of one that waits alone.
let shared, single;

// A timer is ended with the request that has set it: so that is kept going until it rings, also
// without its client. Where a request waits, the platform goes on with it where its promise was
// made, whoever settles that.
class Shared {
  waiting = new Set();

  constructor(context, now) {
    this.until = now + SHARED_MS;
    const rung = new Promise((resolve) => setTimeout(resolve, SHARED_MS));
    context.waitUntil(rung.then(() => this.end()));
  }

  end() {
    if (shared === this) shared = undefined;
    for (const tell of this.waiting) tell(STILL);
    this.waiting.clear();
  }
}
