#!/usr/bin/env python3
"""Counts the tests of one `bazel test` from its build event file (--build_event_json_file).

    report.py EVENTS [CONFIGURATION]

Prints "PASSED FAILED SKIPPED" to stdout, and a line for everything that is not right to stderr. A target that does not build
counts as failed, and so does an invocation that ended badly without naming a target.
"""

import json
import sys


def read_events(path):
    """A killed Bazel leaves half a line at the end; what came before it counts."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                return


def collect(events):
    """(tests, status by test, targets that do not build, exit code name)."""
    tests, status, broken, end = set(), {}, set(), "INTERRUPTED"
    for event in events:
        identity = event.get("id", {})
        if "targetConfigured" in identity and "testSize" in event.get("configured", {}):
            tests.add(identity["targetConfigured"]["label"])
        elif "targetCompleted" in identity and not event.get("completed", {}).get("success", False):
            broken.add(identity["targetCompleted"]["label"])
        elif "testSummary" in identity:
            status[identity["testSummary"]["label"]] = event.get("testSummary", {}).get("overallStatus", "NO_STATUS")
        elif "buildFinished" in identity:
            end = event.get("finished", {}).get("exitCode", {}).get("name", "UNKNOWN")
    return tests, status, broken, end


def main(path, configuration):
    tests, status, broken, end = collect(read_events(path))
    where = f" ({configuration})" if configuration else ""
    passed = failed = skipped = 0
    for label in sorted(tests | broken):
        result = status.get(label, "DOES NOT BUILD" if label in broken else "NOT RUN")
        if result in ("PASSED", "FLAKY"):
            passed += 1
            if result == "FLAKY":
                print(f"FLAKY: {label}{where} passed only when it was run again", file=sys.stderr)
        elif result == "NO_STATUS" and label not in broken:
            skipped += 1
            print(f"SKIPPED: {label}{where}", file=sys.stderr)
        else:
            failed += 1
            print(f"{'DOES NOT BUILD' if label in broken else result}: {label}{where}", file=sys.stderr)
    if end not in ("SUCCESS", "TESTS_FAILED") and failed == 0:
        failed += 1
        print(f"FAILED: bazel ended with {end}{where}; its words are above", file=sys.stderr)
    print(passed, failed, skipped)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
