#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Branch coverage of the reference interpreter (src/target/sim) by the tests with the label "sim" (tests/properties.txt).
# usage: tools/coverage.sh BUILD [--least PERCENT]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$1
least=0
[ "${2:-}" = --least ] && least=$3

test -f "$build/build.ninja" || cmake -G Ninja -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Coverage --log-level=WARNING >/dev/null
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target sim_tests
find "$build" -name '*.gcda' -delete
log=$build/sim-tests.log
if ! ctest --test-dir "$build" -L '^sim$' --no-tests=error --output-on-failure >"$log" 2>&1; then
	cat "$log"
	exit 1
fi
gcovr --root "$top" --object-directory "$build" --filter "$top/src/target/sim/" --exclude-unreachable-branches \
	--txt "$build/sim-branches.txt" --branches --json-summary "$build/sim-coverage.json" "$build" >/dev/null
cat "$build/sim-branches.txt"
/usr/bin/python3 - "$build/sim-coverage.json" "$least" <<'END'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    summary = json.load(f)
percent = summary["branch_percent"] or 0
print(f"REPORT: sim branch coverage: {percent} % ({summary['branch_covered']} of {summary['branch_total']})")
if not summary["branch_total"]:
    sys.exit("no branch of src/target/sim was seen")
if percent < float(sys.argv[2]):
    sys.exit(f"less than {sys.argv[2]} %")
END
