// Turns of a tenth of a second: every contender's wrk runs through the whole round, and sends
// only in its own slots of it. What the machine's speed does within seconds then meets all.
export const SLOT_MS = 100;

// When each has its slots, in milliseconds of the wall clock: `shares` says of each how many it has
// in a cycle. The order is drawn anew for each cycle: each comes as often after one as after another.
export function schedule(shares, { cycles, from }) {
  const starts = shares.map(() => []);
  const places = shares.flatMap((share, index) => Array(share).fill(index));
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    shuffled(places).forEach((index, place) => starts[index].push(from + (cycle * places.length + place) * SLOT_MS));
  }
  return { starts, end: from + cycles * places.length * SLOT_MS };
}

function shuffled(items) {
  for (let at = items.length - 1; at > 0; at -= 1) {
    const other = Math.floor(Math.random() * (at + 1));
    [items[at], items[other]] = [items[other], items[at]];
  }
  return items;
}

// A script for wrk. `starts` are those of its slots, of which it begins requests in the first
// `sends` milliseconds, so that the answers come before another's slot begins; it prints how long
// it was at work. `cookies` is a file with a line for each of `count` requests, after which it rests.
// `unlike`: each has a field that none before has had like that.
export function lua({ starts, sends, cookies, count, unlike }) {
  return (starts === undefined ? "" : inSlots(starts, sends)) + fields(unlike) + (cookies === undefined ? "" : eachItsOwn(cookies, count));
}

// wrk calls it once before it begins, to see whether it is a request at all.
const fields = (unlike) => `math.randomseed(${Math.floor(Math.random() * 2 ** 31)})
local ray = math.random(2 ^ 31)
function request()
  ray = ray + 1
  wrk.headers["cf-ray"] = string.format("%016x-FRA", ray)
  ${unlike ? 'wrk.headers["x-client-time"] = ray' : ""}
  return wrk.format()
end
`;

// wrk asks before each request how many milliseconds to wait: when the connection is open, and
// then when an answer has come. It takes the time of an answer from when the request is written.
const inSlots = (starts, sends) => `local ffi = require "ffi"
ffi.cdef "typedef struct { long s, us; } timeval; int gettimeofday(timeval *, void *);"
local time, starts, at, last = ffi.new "timeval", { ${starts.join(", ")} }, 0, 0
busy = 0
function delay()
  ffi.C.gettimeofday(time, nil)
  local now = tonumber(time.s) * 1e3 + tonumber(time.us) / 1e3
  while starts[at + 1] and now >= starts[at + 1] do at, last = at + 1, 0 end
  if at > 0 then
    local into = now - starts[at]
    busy, last = busy + into - last, into
    if into < ${sends} then return 0 end
  end
  return starts[at + 1] and math.ceil(starts[at + 1] - now) or 1e9
end
local thread
function setup(it) thread = it end
function done() print(string.format("Busy: %.1fms", thread:get("busy"))) end
`;

// The one at the start is for what wrk looks at to know whether it is a request at all.
const eachItsOwn = (file, count) => `local lines, left, inner, common = io.lines("${file}"), ${count - 1}, delay, request
function delay()
  local wait = inner and inner() or 0
  if left == 0 then return 1e9 end
  left = left - 1
  return wait
end
function request()
  wrk.headers["cookie"] = lines()
  return common()
end
`;
