#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds every fuzz target with libFuzzer, ASan and UBSan (clang) and runs each for FUZZ_SECONDS (60). What is found new stays in BUILD/corpus;
# an input that fails is written to BUILD/found and named.
# usage: tools/fuzz.sh BUILD [target...]
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=$1
shift
seconds=${FUZZ_SECONDS:-60}

test -f "$build/build.ninja" || cmake -G Ninja -S "$top" -B "$build" -DCMAKE_BUILD_TYPE=Fuzz -DCMAKE_C_COMPILER=clang-14 \
	-DOFFKUBE_WERROR=OFF --log-level=WARNING >/dev/null
cmake --build "$build" -j "${JOBS:-$(nproc)}" --target fuzzers
mkdir -p "$build/found"

n_run=0
n_failed=0
for program in "$build"/tests/fuzz/fuzz_*; do
	name=${program##*/fuzz_}
	[ -x "$program" ] || continue
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	mkdir -p "$build/corpus/$name"
	echo "fuzz: $name, $seconds s"
	n_run=$((n_run + 1))
	log=$build/$name.log
	dict=$top/tests/fuzz/$name.dict
	[ -f "$dict" ] && dict=-dict=$dict || dict=
	if "$program" ${dict:+"$dict"} -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$build/found/$name-" "$build/corpus/$name" "$top/tests/fuzz/corpus/$name" >"$log" 2>&1; then
		grep -E '^stat::(number_of_executed_units|average_exec_per_sec)' "$log" || true
	else
		n_failed=$((n_failed + 1))
		tail -n 40 "$log"
		echo "fuzz: $name FAILED; inputs are in $build/found, the log is $log"
	fi
done
echo "$((n_run - n_failed)) passed, $n_failed failed, 0 skipped"
[ "$n_run" -gt 0 ] && [ "$n_failed" -eq 0 ]
