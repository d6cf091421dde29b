#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The random suites together must have taken every verdict, reason and branch of sim often enough, and not mostly missed the Services; and bpf-sock every
way, hook and circumstance of its own.

Each suite leaves its counts in OFFKUBE_BUILD_DIR/histogram (histogram.h); this runs after them.
"""
import json
import os
import sys

SUITES = ("random_packets", "random_sockets")
WAYS = "ways"  # of bpf-sock, left by random_sockets_bpf
# Reasons that a socket call never ends with, and why.
NO_WAY = {
    "not-new": "a socket call is new",
    "icmp-related": "no packet is seen",
    "reply": "no packet is seen",
    "malformed": "no packet is seen",
    "left-changing": "needs a change at the same moment: netns/bpf_calls stops in the middle of one",
}
HITS_MIN = 50
MISSES_MAX = 0.2
SKIPPED = 77


def load(folder):
    counts = {}
    for suite in (*SUITES, WAYS):
        path = os.path.join(folder, suite + ".json")
        if not os.path.exists(path):
            print(f"SKIP: {suite} left no counts (it was skipped, or failed)")
            sys.exit(SKIPPED)
        with open(path, encoding="utf-8") as f:
            counts[suite] = json.load(f)
    return counts


def check_ways(ways):
    print(f"\n{'bpf-sock':36}{'calls':>16}")
    for name, n in ways.items():
        print(f"{'way':8} {name:27}{n:16}" + (f"  ({NO_WAY[name]})" if name in NO_WAY else ""))
    return [f"bpf-sock {name}: {n} times, wanted {HITS_MIN}" for name, n in ways.items() if n < HITS_MIN and name not in NO_WAY]


def main():
    folder = os.path.join(os.environ["OFFKUBE_BUILD_DIR"], "histogram")
    counts = load(folder)
    failures = []
    print(f"{'':36}" + "".join(f"{suite:>16}" for suite in SUITES) + f"{'sum':>12}")
    for kind in ("verdict", "reason", "branch"):
        for name in counts[SUITES[0]][kind]:
            if name.startswith("left-"):  # of faster tiers (drops.def), never of sim
                continue
            each = [counts[suite][kind][name] for suite in SUITES]
            print(f"{kind:8} {name:27}" + "".join(f"{n:16}" for n in each) + f"{sum(each):12}")
            if sum(each) < HITS_MIN:
                failures.append(f"{kind} {name}: {sum(each)} times, wanted {HITS_MIN}")
    for suite in SUITES:
        misses = counts[suite]["misses"] / max(counts[suite]["asked"], 1)
        print(f"REPORT: {suite}: {counts[suite]['asked']} asked, {100 * misses:.1f} % of them no Service")
    misses = sum(counts[s]["misses"] for s in SUITES) / max(sum(counts[s]["asked"] for s in SUITES), 1)
    if misses > MISSES_MAX:
        failures.append(f"misses: {100 * misses:.1f} %, wanted at most {100 * MISSES_MAX:.0f} %")
    failures += check_ways(counts[WAYS])
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
