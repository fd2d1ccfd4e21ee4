#!/usr/bin/env bash
# Does what a newcomer does: takes the steps for an application of one's own from the documents,
# word for word, in a fresh clone, and looks whether they lead where the documents say.
#
#   tests/newcomer.sh                 all but rails
#   tests/newcomer.sh own express     these; own is the README's, the others are of docs/getting-started.md
#
# A block of a document is taken where a remark is before it:
#
#   <!-- newcomer NAME: file PATH -->   is written to this file
#   <!-- newcomer NAME: start -->       is run, and stays; it has begun when it prints `ready`
#   <!-- newcomer NAME: run -->         each line is run, and has to give the status behind its #
#                                       (`# 200, "hello"`: with this text; `# 303 to /`: with just
#                                       this Location), as curl -i shows it
#
# The clone is of the working tree as it is. It gets what takes minutes from here: npm packages and
# the built Worker, with the stamps by which scripts/setup and scripts/build know that they fit; what
# does not fit they make anew. One thing is changed: a port that is taken gives way to one that is free.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/../scripts/lib.sh"
cd "$root"
export PATH=$WARIFU_PATH:$WARIFU_FLASK/bin

documents=(README.md docs/getting-started.md)
work=$(mktemp -d "${TMPDIR:-/tmp}/warifu-newcomer-XXXXXX")
started=
leave() {
  stop
  rm -rf "$work"
  clean_up # of scripts/lib.sh
}
trap leave EXIT

# --- the clone --------------------------------------------------------------------------

clone=$work/warifu
git clone --quiet --local "$root" "$clone"
git ls-files -z --modified --others --exclude-standard | while IFS= read -r -d '' file; do
  if [ -e "$file" ]; then
    mkdir -p "$clone/$(dirname "$file")"
    cp -p "$file" "$clone/$file"
  else
    rm -f "$clone/$file"
  fi
done
if [ -d node_modules ]; then cp -al node_modules "$clone/" 2>/dev/null || cp -a node_modules "$clone/"; fi
if [ -d build ]; then cp -a build "$clone/"; fi
if [ -d .warifu/named ]; then mkdir -p "$clone/.warifu" && cp -a .warifu/named "$clone/.warifu/"; fi

# --- what the documents say -------------------------------------------------------------

# step NAME WHAT: the block behind the remark.
block() {
  awk -v remark="<!-- newcomer $1: $2 -->" '
    index($0, remark) { wanted = 1; indent = index($0, "<") - 1; next }
    wanted && $1 ~ /^```/ { if (inside) exit; inside = 1; next }
    wanted && inside { print substr($0, indent + 1) }' "${documents[@]}"
}
files_of() { sed -n "s/.*<!-- newcomer $1: file \(.*\) -->.*/\1/p" "${documents[@]}"; }

# --- ports ------------------------------------------------------------------------------

is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
free_port() {
  node -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'
}
gateway=8787
origin=3000
use_free_ports() {
  changes=
  if is_taken $gateway; then
    PORT=$(free_port)
    export PORT
    changes="s/:$gateway\\b/:$PORT/g;"
    say "port $gateway is taken: $PORT takes its place"
  fi
  origin_port=$origin
  if is_taken $origin; then
    origin_port=$(free_port)
    changes="${changes}s/\\b$origin\\b/$origin_port/g;"
    say "port $origin is taken: $origin_port takes its place"
  fi
}

# --- one application --------------------------------------------------------------------

start() { # NAME
  local begin
  begin=$(block "$1" start | sed "$changes")
  [ -n "$begin" ] || die "no document says how to start $1"
  log=$work/$1.log
  set -m # a group of its own, so that all of it can be ended
  (cd "$clone" && exec bash -c "$begin") >"$log" 2>&1 </dev/null &
  started=$!
  set +m
  until grep -qx ready "$log" && is_taken "$origin_port"; do
    kill -0 "$started" 2>/dev/null || { cat "$log" >&2 && die "$1 ended before it was ready"; }
    sleep 0.1
  done
}

stop() {
  if [ -z "$started" ]; then return; fi
  kill -TERM -- "-$started" 2>/dev/null || true
  wait "$started" 2>/dev/null || true
  started=
}

try() { # NAME: returns whether all lines gave what they should
  local line command wanted text place got location output count=0
  while IFS= read -r line; do
    case $line in '' | '#'*) continue ;; esac
    command=${line%% # *}
    wanted=$(printf '%s\n' "$line" | sed -n 's/.* # \([0-9]*\).*/\1/p')
    text=$(printf '%s\n' "$line" | sed -n 's/.* # [0-9]*, "\(.*\)".*/\1/p')
    place=$(printf '%s\n' "$line" | sed -n 's/.* # [0-9]* to \([^ ]*[^ :,]\).*/\1/p')
    [ -n "$wanted" ] || die "$1: what should come of this? $line"
    output=$(cd "$clone" && bash -c "$command" 2>&1) || true
    printf '%s\n' "$output" >>"$work/$1.answers"
    got=$(printf '%s\n' "$output" | tr -d '\r' | sed -n 's/^HTTP\/[0-9.]* \([0-9]*\).*/\1/p' | tail -n 1)
    location=$(printf '%s\n' "$output" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    if [ "$got" != "$wanted" ] || [[ $output != *"$text"* ]] || { [ -n "$place" ] && [ "$location" != "$place" ]; }; then
      printf '%s\n' "$output" "--- the log:" >&2
      tail -n 30 "$log" >&2
      die "$1: $line: it gave ${got:-no answer}"
    fi
    say "  $got  $command"
    count=$((count + 1))
  done <<<"$(block "$1" run | sed "$changes")"
  [ "$count" -ge 4 ] || die "$1: only $count lines were run"
}

if [ $# -eq 0 ]; then set -- own express flask static; fi
for name; do
  say "$name"
  use_free_ports
  for file in $(files_of "$name"); do
    mkdir -p "$clone/$(dirname "$file")"
    block "$name" "file $file" | sed "$changes" >"$clone/$file"
    [ -s "$clone/$file" ] || die "$name: $file is empty"
  done
  start "$name"
  try "$name"
  stop
  # What the gateway has printed and stored has none of the tokens that the answers set, nor a key.
  node tests/scan/after.mjs "$work/$name.answers" "$clone/.dev.vars" "$clone/.warifu/dev-admin-key" -- "$log" "$clone/.wrangler/state"
done
say "newcomer: every step of $* leads where the documents say"
