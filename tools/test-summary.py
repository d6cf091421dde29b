#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts a CTest run from its JUnit file and prints each failure and each skip with its reason, then as the last line
"N passed, N failed, N skipped". Exit code 1 if any failed or none passed.

What one CTest test counts for:
 1. a cmocka program: its cases, by cmocka's own lines;
 2. a test that prints lines "TESTS: P passed, F failed, S skipped": their sum;
 3. any other: one.
A test that CTest calls failed counts at least one failure, whatever it printed. A test that could not be started has failed.
A line "SKIP: why" gives the reason of a skip; lines "REPORT: text" are shown again at the end.
"""
import argparse
import re
import sys
import xml.etree.ElementTree as ElementTree

CMOCKA = {
    "passed": re.compile(r"^\[  PASSED  \] (\d+) test\(s\)", re.M),
    "failed": re.compile(r"^\[  FAILED  \] (?:\w+: )?(\d+) test\(s\)", re.M),
    "skipped": re.compile(r"^\[  SKIPPED \] (?:\w+: )?(\d+) test\(s\)", re.M),
}
TESTS = re.compile(r"^TESTS: (\d+) passed, (\d+) failed, (\d+) skipped\s*$", re.M)
SKIP = re.compile(r"^\s*SKIP: *(.+?)\s*$", re.M)
REPORT = re.compile(r"^REPORT: *(.+?)\s*$", re.M)


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def printed_count(output):
    """What the program says of itself, or None."""
    lines = TESTS.findall(output)
    if lines:
        return Count(*(sum(int(line[i]) for line in lines) for i in range(3)))
    found = {word: [int(n) for n in regex.findall(output)] for word, regex in CMOCKA.items()}
    if any(found.values()):
        return Count(*(sum(found[word]) for word in ("passed", "failed", "skipped")))
    return None


def count_case(case):
    """(Count, reasons of skips) of one <testcase>."""
    output = (case.findtext("system-out") or "").replace("\r\n", "\n")
    said = printed_count(output)
    reasons = SKIP.findall(output)
    skipped = case.find("skipped")
    if skipped is not None and "SKIP_RETURN_CODE" in (skipped.get("message") or ""):
        return Count(skipped=1), reasons[:1] or ["no reason given"]
    if case.get("status") == "disabled":
        return Count(skipped=1), ["disabled"]
    if skipped is not None or case.find("failure") is not None or case.get("status") != "run":
        count = said or Count()
        count.failed = max(count.failed, 1)
        return count, reasons
    count = said or Count(passed=1)
    if count.passed + count.failed + count.skipped == 0:
        count.failed = 1  # ran nothing, and called that success
    if count.skipped and not reasons:
        reasons = ["no reason given"]
    return count, reasons


def main():
    parser = argparse.ArgumentParser(description="count a CTest run")
    parser.add_argument("junit")
    parser.add_argument("--last-line", metavar="FILE", help="also write the last line there")
    args = parser.parse_args()

    total = Count()
    failed, skips, reports = [], [], []
    try:
        cases = ElementTree.parse(args.junit).getroot().iter("testcase")
        for case in cases:
            count, reasons = count_case(case)
            total.add(count)
            if count.failed:
                failed.append(f"  {case.get('name')}: {count}")
            skips += [f"  {case.get('name')}: {reason}" for reason in reasons]
            reports += [f"  {text}" for text in REPORT.findall(case.findtext("system-out") or "")]
    except (OSError, ElementTree.ParseError) as e:
        print(f"no test result: {e}")

    for title, lines in (("reported:", reports), ("skipped:", skips), ("failed:", failed)):
        if lines:
            print("\n".join(["", title] + lines))
    if args.last_line:
        with open(args.last_line, "w", encoding="utf-8") as f:
            f.write(f"{total}\n")
    print(f"\n{total}")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
