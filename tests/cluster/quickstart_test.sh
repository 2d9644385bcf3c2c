#!/usr/bin/env bash
# What quickstart.sh says about its arguments, before anything is installed or built.
set -euo pipefail

# The script among programs that only note that they were called.
tree="$TEST_TMPDIR/tree"
mkdir -p "$tree/cluster" "$tree/bin"
cp cluster/quickstart.sh "$tree/cluster/"
for program in cluster/packages.sh bin/bazel; do
  printf '#!/bin/sh\necho %s "$@" >>"%s/called"\n' "$program" "$tree" >"$tree/$program"
  chmod +x "$tree/$program"
done
echo 'exit 9' >>"$tree/bin/bazel"
export PATH="$tree/bin:$PATH"

# run ARGUMENT…: sets code and said; what it called is in $tree/called.
run() {
  rm -f "$tree/called"
  code=0
  said=$("$tree/cluster/quickstart.sh" "$@" 2>&1) || code=$?
}

fail() {
  echo "FAIL: $*: exit code $code, said: $said"
  exit 1
}

# refuses WORDS ARGUMENT…: with exit code 2 and these words, and nothing was called.
refuses() {
  local words=$1
  shift
  run "$@"
  ((code == 2)) || fail "$*"
  [[ "$said" == *"$words"* && "$said" == *"usage:"* ]] || fail "$* does not say '$words'"
  [[ ! -e "$tree/called" ]] || fail "$* called $(cat "$tree/called")"
}

refuses 'unknown argument "--stpes"' --stpes 5
refuses 'unknown argument "500"' 500
refuses 'unknown argument "--bogus"' --steps 5 --bogus
refuses '--steps takes a whole number' --steps
refuses 'got "many"' --steps many
refuses 'got "many"' --steps=many
refuses '--steps takes a whole number' --steps 0
refuses '--steps takes a whole number' --steps -3
refuses '--steps takes a whole number' --steps --workers 2
refuses '--steps takes a whole number from 1 to 1000000000' --steps 1000000001
refuses '--workers takes a whole number from 1 to 256, got "0"' --workers 0
refuses '--workers takes a whole number from 1 to 256, got "257"' --workers=257
refuses '--workers takes a whole number' --workers 2.5
refuses '--workers takes a whole number' --workers

for help in -h --help; do
  run "$help"
  ((code == 0)) || fail "$help"
  [[ "$said" == *"--steps N"* && "$said" == *"--workers N"* ]] || fail "$help does not name the options"
  [[ ! -e "$tree/called" ]] || fail "$help called $(cat "$tree/called")"
done

# With good arguments it goes on to both: so the checks above would have seen them called.
run --steps 5 --workers=2
((code == 9)) || fail "--steps 5 --workers=2"
grep -q 'cluster/packages.sh' "$tree/called" || fail "packages.sh was not called"
grep -q '^bin/bazel build' "$tree/called" || fail "bazel was not called"
