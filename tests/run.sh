#!/usr/bin/env bash
# Builds everything and runs every test, on a machine that may have nothing installed. The last line is the result:
#
#   N passed, N failed[, N skipped]
#
# and the exit code is 0 only if nothing failed.
#
#   tests/run.sh [--full]
#
#   --full   also: all tests under the address, undefined-behaviour and thread sanitizers, clang's -Wthread-safety, and the
#            checks of format (clang-format), of likely mistakes (clang-tidy) and of shell scripts (shellcheck)
#
# Flags come from .bazelrc alone, so that this and cluster/quickstart.sh share one build.
#
# shellcheck disable=SC2317  # the checks are called by their names
set -euo pipefail
cd "$(dirname "$0")/.."

full=false
package_options=()
for argument in "$@"; do
  case "$argument" in
    --full)
      full=true
      package_options+=(--full)
      ;;
    -h | --help)
      sed -n '2,13s/^# \{0,1\}//p' tests/run.sh
      exit 0
      ;;
    *)
      echo "run.sh: unknown argument \"$argument\"; usage: tests/run.sh [--full]" >&2
      exit 2
      ;;
  esac
done

passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

finish() {
  local line="$passed passed, $failed failed"
  if ((skipped > 0)); then line+=", $skipped skipped"; fi
  echo
  echo "$line"
  if ((failed > 0 || passed == 0)); then exit 1; fi
  exit 0
}

if ! cluster/packages.sh "${package_options[@]}"; then
  failed=1
  echo "FAILED: the packages to build with"
  finish
fi

# A terminal sees the progress; a log gets a sign of life every half minute.
bazel_options=(--keep_going --color=no)
[[ -t 1 ]] || bazel_options+=(--curses=no --show_progress_rate_limit=30)

# run_tests NAME [option...]: all tests in one configuration; a failed test's output has been printed when it returns.
run_tests() {
  local name=$1
  shift
  echo "== tests${name:+, $name}"
  bazel test //... "${bazel_options[@]}" --test_summary=short --build_event_json_file="$work/events.json" "$@" || true
  [[ -e "$work/events.json" ]] || : >"$work/events.json"
  local counts
  read -ra counts < <(python3 tests/report.py "$work/events.json" "$name" 2>"$work/faults") || counts=(0 1 0)
  cat "$work/faults"
  passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
  rm -f "$work/events.json"
}

# check NAME command...: counts as one test.
check() {
  local name=$1
  shift
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $name"
  fi
}

sources() { find kernels cluster coordinator worker tests \( -name '*.cc' -o -name '*.h' -o -name '*.cu' \) -print0 | sort -z; }

thread_safety() { bazel build //... "${bazel_options[@]}" --config=clang --symlink_prefix=/; }

# Passes only if the tool ran over the sources, found nothing and said nothing.
format() {
  local files
  mapfile -d '' files < <(sources)
  if ((${#files[@]} > 0)) && clang-format-14 --dry-run --Werror "${files[@]}" >"$work/format" 2>&1 && [[ ! -s "$work/format" ]]; then
    return 0
  fi
  echo "places that differ from .clang-format, by file (clang-format-14 -i FILE):"
  if ! grep -F -e '[-Wclang-format-violations]' "$work/format" | cut -d: -f1 | sort | uniq -c; then
    echo "none, but clang-format-14 failed:"
    head -n 20 "$work/format"
  fi
  return 1
}

# Generated headers are taken from the build before. Of the instruction sets' sources one path is read.
mistakes() {
  printf '%s\n' -std=c++20 "-I$PWD" "-isystem$PWD/bazel-bin" -mavx2 -mfma -ffp-contract=off -Wno-everything \
    -DCAROUSEL_ISA=avx2 -DCAROUSEL_ISA_AVX2=1 >"$work/compile_flags.txt"
  sources | grep -z '\.cc$' | xargs -0 -n 1 -P "$(nproc)" clang-tidy-14 --quiet -p "$work" 2>"$work/mistakes" && return
  tail -n 3 "$work/mistakes"
  return 1
}

scripts() { find .ci cluster tests -type f \( -name '*.sh' -o -path '.ci/*' \) -print0 | xargs -0 shellcheck; }

run_tests ""
if $full; then
  # Their outputs stay apart, and bazel-bin goes on pointing to what users run.
  for sanitizer in asan ubsan tsan; do
    run_tests "$sanitizer" --config="$sanitizer" --symlink_prefix=/
  done
  check "clang's thread-safety analysis" thread_safety
  check "format" format
  check "likely mistakes (clang-tidy)" mistakes
  check "shell scripts" scripts
fi
finish
