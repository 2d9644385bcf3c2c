#!/usr/bin/env bash
# What run.sh reports follows from what Bazel reports, also when Bazel was killed or nothing could be built.
set -euo pipefail

events="$TEST_TMPDIR/events.json"
faults="$TEST_TMPDIR/faults"

configured() { echo '{"id":{"targetConfigured":{"label":"'"$1"'"}},"configured":{"targetKind":"cc_test rule","testSize":"SMALL"}}'; }
completed() { echo '{"id":{"targetCompleted":{"label":"'"$1"'"}},"completed":{"success":true}}'; }
broken() { echo '{"id":{"targetCompleted":{"label":"'"$1"'"}},"aborted":{}}'; }
summary() { echo '{"id":{"testSummary":{"label":"'"$1"'"}},"testSummary":{"overallStatus":"'"$2"'"}}'; }
finished() { echo '{"id":{"buildFinished":{}},"finished":{"exitCode":{"name":"'"$1"'"}}}'; }

# expect COUNTS TEXT: the counts, and a text among the faults ("" for none).
expect() {
  local counts
  counts=$(python3 tests/report.py "$events" asan 2>"$faults")
  if [[ "$counts" != "$1" ]]; then
    echo "expected \"$1\", got \"$counts\" from:"
    cat "$events" "$faults"
    exit 1
  fi
  if [[ -z "$2" && -s "$faults" ]] || ! grep -qF -- "$2" <(cat "$faults" && echo); then
    echo "expected \"$2\" in:"
    cat "$faults"
    exit 1
  fi
}

# Two tests that pass, and a target that is no test.
{ configured //a:t && configured //b:t && completed //a:t && completed //b:t && completed //c:binary; } >"$events"
{ summary //a:t PASSED && summary //b:t PASSED && finished SUCCESS; } >>"$events"
expect "2 0 0" ""

# One fails, one runs out of time.
{ configured //a:t && configured //b:t && completed //a:t && completed //b:t; } >"$events"
{ summary //a:t FAILED && summary //b:t TIMEOUT && finished TESTS_FAILED; } >>"$events"
expect "0 2 0" "TIMEOUT: //b:t (asan)"

# A test and a program do not build.
{ configured //a:t && configured //b:t && broken //a:t && completed //b:t && broken //c:binary; } >"$events"
{ summary //a:t NO_STATUS && summary //b:t PASSED && finished BUILD_FAILURE; } >>"$events"
expect "1 2 0" "DOES NOT BUILD: //c:binary (asan)"

# A test is not for this platform.
{ configured //a:t && summary //a:t NO_STATUS && configured //b:t && summary //b:t PASSED && finished SUCCESS; } >"$events"
expect "1 0 1" "SKIPPED: //a:t"

# A BUILD file is wrong: Bazel names no test at all.
finished PARSING_FAILURE >"$events"
expect "0 1 0" "PARSING_FAILURE"

# Bazel was killed in the middle of a line, after the first of two tests.
{ configured //a:t && configured //b:t && summary //a:t PASSED && echo -n '{"id":{"testSu'; } >"$events"
expect "1 1 0" "NOT RUN: //b:t"

# It did not even start.
: >"$events"
expect "0 1 0" "INTERRUPTED"

echo "reports follow from events"
