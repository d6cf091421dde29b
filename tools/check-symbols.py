#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the room libraries of a build define: no name twice (the linker sees only those that happen to meet), and no mutable globals.

usage: tools/check-symbols.py FOLDER	a folder with *.a; helpers of tests are left out
"""
import collections
import glob
import os
import re
import subprocess
import sys

# Mutable for a reason.
MUTABLE = {
    "app_stop": "set by the signal handler",
    "threshold": "the log level (base/log.c), atomic",
}
# Of the compiler: sanitizers, coverage, and names of sections.
COMPILER = re.compile(r"^(__(odr_)?asan|\.L|\.|__gcov|__sancov|__llvm)")


def symbols(library):
    """(name, section, is global) of all that a library defines."""
    text = subprocess.run(["objdump", "-t", library], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        match = re.match(r"^[0-9a-f]+ (.)(.)(.).{4} (\S+)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$", line)
        if match and match.group(4) != "*UND*" and not COMPILER.match(match.group(5)):
            weak = match.group(2) == "w"
            yield match.group(5), match.group(4), match.group(1) == "g" and not weak


def main():
    libraries = [n for n in sorted(glob.glob(os.path.join(sys.argv[1], "*.a"))) if "libtest_" not in n]
    if not libraries:
        print("SKIP: the libraries are not built")
        return 77
    places = collections.defaultdict(list)
    findings = []
    n_symbols = 0
    for library in libraries:
        for name, section, is_global in symbols(library):
            n_symbols += 1
            if is_global:
                places[name].append(os.path.basename(library))
            stem = name.split(".")[0]
            if re.match(r"\.(data|bss|tdata|tbss)(\.(?!rel\.ro)|$)|\*COM\*", section) and stem not in MUTABLE:
                findings.append(f"{os.path.basename(library)}: {name} is mutable and outlives its caller ({section})")
    findings += [f"{name} is defined in {' and '.join(where)}" for name, where in places.items() if len(where) > 1]
    print("\n".join(sorted(findings)))
    print(f"symbols: {len(findings)} findings in {n_symbols} symbols")
    return 1 if findings or not n_symbols else 0


if __name__ == "__main__":
    sys.exit(main())
