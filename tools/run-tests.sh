#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs CTest in a build folder and counts. The last line of the output is "N passed, N failed, N skipped".
# usage: tools/run-tests.sh BUILD [ctest option...]
set -u

top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd) || exit 1
shift
junit=$build/junit.xml
rm -f "$junit" "$build/summary.txt"
ctest --test-dir "$build" --output-on-failure --no-tests=error --output-junit "$junit" \
	--test-output-size-passed 4194304 --test-output-size-failed 4194304 "$@"
/usr/bin/python3 "$top/tools/test-summary.py" "$junit" --last-line "$build/summary.txt"
