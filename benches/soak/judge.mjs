// Whether a run is good. A judgement has a name, what was found, and whether that is within
// its limit.
import { median } from "../support/statistics.mjs";

// The share of a run in which caches fill, which is not judged.
export const WARM_UP = 1 / 3;

// Memory is flat if, at 95 % confidence, a straight line through it rises by no more than
// this over the judged time.
const GROWTH_SHARE_MAX = 0.05;
const GROWTH_MB_MAX = 2;

// Of all answers, or so many: 503 of a site that cannot know. On a machine that stands still
// for longer than the bound, that is what it has to say.
const UNAVAILABLE_SHARE_MAX = 1 / 10_000;
const UNAVAILABLE_MAX = 20;

// With less than this a run proves nothing.
const REQUESTS_MIN = 200;
const ENDS_MIN = 3;

// Two minutes are compared if they had this share of the requests of the busiest ones.
const BUSY_SHARE = 0.75;
// With fewer points there is nothing to compare.
const POINTS_MIN = 5;

// From so long on memory is judged: in a shorter run it is still filling.
const JUDGED_FROM_SECONDS = 1_800;

// Theil and Sen: the median of the slopes of all pairs of points, and their interval after
// Sen (1968), which holds the slope with a probability of 95 %. A few wild points move neither.
export function slope(points) {
  const slopes = [];
  for (let one = 0; one < points.length; one += 1) {
    for (let other = one + 1; other < points.length; other += 1) {
      const [[x, y], [X, Y]] = [points[one], points[other]];
      if (X !== x) slopes.push((Y - y) / (X - x));
    }
  }
  slopes.sort((a, b) => a - b);
  const count = points.length;
  const half = (1.96 * Math.sqrt((count * (count - 1) * (2 * count + 5)) / 18)) / 2;
  const at = (index) => slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(index)))];
  return { slope: median(slopes), low: at(slopes.length / 2 - half - 0.5), high: at(slopes.length / 2 + half - 0.5) };
}

// The memory that is judged, by name: pairs of minutes and megabytes after the warm-up.
export function memorySeries(samples, { seconds: length }) {
  const judged = samples.filter(({ seconds }) => seconds >= length * WARM_UP && seconds <= length);
  const series = { "workerd, its own memory": floor(judged) };
  for (const isolate of Object.keys(judged[0].heap_mb)) {
    const collected = judged.filter(({ heap_mb }) => heap_mb[isolate].collected);
    const of = (what) => collected.map(({ seconds, heap_mb }) => [seconds / 60, heap_mb[isolate][what]]);
    series[`${isolate}, what lives in its heap`] = of("used");
    series[`${isolate}, its WebAssembly`] = of("wasm");
  }
  return series;
}

// The least of each two minutes: what is above is garbage, of which there is more where there
// are more requests. So only what was about as busy as the busiest two minutes is compared.
function floor(samples) {
  const windows = [...Map.groupBy(samples, ({ seconds }) => Math.floor(seconds / 120))].map(([window, within]) => ({
    minutes: 2 * window,
    rate: within.reduce((sum, { per_second }) => sum + per_second, 0) / within.length,
    mb: Math.min(...within.map(({ anonymous_mib }) => anonymous_mib)) * 1.048576,
  }));
  const busiest = Math.max(...windows.map(({ rate }) => rate));
  return windows.filter(({ rate }) => rate >= BUSY_SHARE * busiest).map(({ minutes, mb }) => [minutes, mb]);
}

// Of one series: how much it grows over its time, and whether that is too much.
export function growth(points) {
  if (points.length < POINTS_MIN) return { isFlat: false, says: `${points.length} points cannot be judged: the load was too uneven` };
  const minutes = points.at(-1)[0] - points[0][0];
  const { slope: perMinute, low, high } = slope(points);
  const middle = median(points.map(([, mb]) => mb));
  const limit = Math.max(GROWTH_SHARE_MAX * middle, GROWTH_MB_MAX);
  const grown = perMinute * minutes;
  const interval = `${(low * 1e3).toFixed(1)} to ${(high * 1e3).toFixed(1)}`;
  const share = ((grown / middle) * 100).toFixed(1);
  return {
    median_mb: middle,
    kb_per_minute: perMinute * 1e3,
    interval,
    minutes,
    grown_mb: grown,
    limit_mb: limit,
    isFlat: low * minutes <= limit,
    says: `${(perMinute * 1e3).toFixed(1)} kB a minute (${interval}), ${share} % of ${middle.toFixed(1)} MB in ${minutes.toFixed(0)} minutes; at most ${limit.toFixed(1)} MB`,
  };
}

// `raw` is what a run has left behind.
export function judge(raw) {
  const { samples, findings, flooded, store, options, edges } = raw;
  const judged = [];
  const say = (name, isGood, found) => judged.push({ name, isGood, found });
  const kinds = Object.entries(findings.counts).map(([kind, count]) => `${kind}: ${count}`);
  say("there was load", raw.requests >= REQUESTS_MIN && raw.ends >= ENDS_MIN, `${raw.requests} requests, ${raw.ends} ends; at least ${REQUESTS_MIN} and ${ENDS_MIN}`);
  say("every answer was what it had to be", kinds.length === 0, kinds.length === 0 ? `${raw.requests} answers` : kinds.join("; "));
  const most503 = Math.max(UNAVAILABLE_MAX, Math.floor(raw.requests * UNAVAILABLE_SHARE_MAX));
  say("the site was there", raw.unavailable <= most503, `${raw.unavailable} answers with 503 store_unavailable, at most ${most503}`);
  say("no session was served after its end", raw.served === 0, `${raw.ends} ends, ${raw.served} served afterwards`);
  say(
    "the store holds the sessions that must live, and no other",
    store.missing === 0 && store.extra <= store.perhaps,
    `${store.living} live; ${store.missing} are missing, ${store.extra} should not be there`,
  );
  // 300 at once and 300 a minute, at each edge: docs/reference.md.
  const mostRefused = edges * 300 * (options.seconds / 60 + 2);
  const asked = flooded.refused + flooded.limited;
  say(
    "made-up cookies of one network are limited",
    flooded.refused <= mostRefused && (asked <= mostRefused || flooded.limited > 0),
    `${asked} came, ${flooded.refused} were looked at, at most ${Math.round(mostRefused)} may be; ${flooded.limited} got 429`,
  );
  if (options.seconds >= JUDGED_FROM_SECONDS) {
    for (const [name, points] of Object.entries(memorySeries(samples, options))) {
      const { isFlat, says } = growth(points);
      say(`flat: ${name}`, isFlat, says);
    }
  }
  return judged;
}
