# shellcheck shell=bash
# What the scripts share: where things are, how they speak, long steps, locks.
# Works with bash 3.2, which is what macOS has.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
# shellcheck source=scripts/tools.env
. "$root/scripts/tools.env"

# A cache of our own: the user's own cargo tools are never replaced.
tools=${WARIFU_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/warifu/tools}

# The environment in which only pinned tools are found: cargo's from the cache,
# node, wrangler, esbuild and wasm-opt from npm.
export WARIFU_PATH="$tools/bin:$root/node_modules/.bin:$PATH"

# Schemathesis is Python's: a venv of its own. Its version is among the requirements.
WARIFU_SCHEMATHESIS=$tools/schemathesis-$(sed -n 's/^schemathesis==\([0-9.]*\).*/\1/p' "$root/tests/schemathesis/requirements.txt")
# And the origin of examples/verify/flask.
WARIFU_FLASK=$tools/flask-$(sed -n 's/^flask==\([0-9.]*\).*/\1/p' "$root/examples/verify/flask/requirements.txt")
# And httpbin, with the tests of requests.
WARIFU_HTTPBIN=$tools/httpbin-$(sed -n 's/^httpbin==\([0-9.]*\).*/\1/p' "$root/tests/httpbin/requirements.txt")
export WARIFU_SCHEMATHESIS WARIFU_FLASK WARIFU_HTTPBIN

say() { printf '%s\n' "$*"; }
die() {
  printf 'warifu: %s\n' "$*" >&2
  exit 1
}

sha256() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# --- long steps ---------------------------------------------------------------

step_pid=
held_lock=

# Whatever ends the script ends what it started, and nothing stays locked.
clean_up() {
  if [ -n "$step_pid" ]; then kill -TERM -- "-$step_pid" 2>/dev/null || true; fi
  if [ -n "$held_lock" ]; then rm -f "$held_lock"; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# step WHAT ROUGHLY LOG COMMAND... : says what is being done and how long it takes,
# keeps its output in LOG, and shows that only if it failed.
step() {
  local what=$1 roughly=$2 log=$3 began=$SECONDS next_word=30 status=0
  shift 3
  mkdir -p "$(dirname "$log")"
  say "$what ($roughly) ..."
  set -m # a process group of its own, so that all of it can be ended
  "$@" >"$log" 2>&1 </dev/null &
  step_pid=$!
  set +m
  while kill -0 "$step_pid" 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - began)) -ge "$next_word" ]; then
      say "  ... $((SECONDS - began)) s $(tail -n 1 "$log" | tr '\r' '\n' | tail -n 1 | cut -c1-100)"
      next_word=$((SECONDS - began + 30))
    fi
  done
  wait "$step_pid" || status=$?
  step_pid=
  if [ "$status" -ne 0 ]; then
    grep -vE '^ *(Compiling|Checking|Downloaded|Downloading|Locking|Adding) |^\[INFO\]' "$log" >&2 || true
    die "$what: failed with status $status after $((SECONDS - began)) s (output above, also in $log)"
  fi
  say "$what: done in $((SECONDS - began)) s"
}

# --- locks ----------------------------------------------------------------------
born() { # PID : when it began, the same text for whoever asks, in whichever language and time zone
  if [ -r "/proc/$1/stat" ]; then
    sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 # proc(5): starttime
  else
    LC_ALL=C TZ=UTC0 ps -o lstart= -p "$1" 2>/dev/null | tr -s ' ' _
  fi || true
}

# A lock is a symbolic link whose target is the owner's process id and when that process began:
# made in one step on every system (`flock` is missing on macOS), and a dead owner is seen, also
# where another process has got its number.
#
# lock FILE            waits for whoever has it
# lock FILE REFUSAL    does not wait: `process N REFUSAL`
lock() {
  local lock=$1 refusal=${2-} held owner told=
  mkdir -p "$(dirname "$lock")"
  until ln -s "$$ $(born $$)" "$lock" 2>/dev/null; do
    [ -w "$(dirname "$lock")" ] || die "$(dirname "$lock") is not writable for you"
    held=$(readlink "$lock") || continue # just released
    owner=${held%% *}
    if ! kill -0 "$owner" 2>/dev/null || [ "$held" != "$owner $(born "$owner")" ]; then
      # Take it away under another name: of two that see it dead, one succeeds.
      if mv "$lock" "$lock.$$" 2>/dev/null; then
        if [ "$(readlink "$lock.$$")" = "$held" ]; then
          rm -f "$lock.$$"
        else
          mv "$lock.$$" "$lock" # a living one came in between
        fi
      fi
      continue
    fi
    [ -z "$refusal" ] || die "process $owner $refusal (its lock is $lock)"
    [ -n "$told" ] || say "waiting for process $owner, which is doing the same (its lock is $lock) ..."
    told=yes
    sleep 0.5
  done
  held_lock=$lock # one at a time is enough
}

unlock() {
  rm -f "$held_lock"
  held_lock=
}
