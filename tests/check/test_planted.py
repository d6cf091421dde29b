#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The checks of tools/check-tree.py can fail: each planted violation, in a tree of its own, is found; the same tree without it is clean.
Also: tools/check-symbols.py, and the counting of tools/test-summary.py."""
import contextlib
import importlib.util
import io
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SPDX = "/* SPDX-License-Identifier: GPL-2.0-or-later */\n"


def load(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path).replace("-", "_")[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


check_tree = load(f"{TOP}/tools/check-tree.py")
test_summary = load(f"{TOP}/tools/test-summary.py")

CLEAN = {
    "tools/rooms.txt": None,  # the real one
    "COPYING": "see LICENSES\n",
    "LICENSES/GPL-2.0-or-later.txt": "text\n",
    "LICENSES/GPL-2.0-only.txt": "text\n",
    "LICENSES/BSD-2-Clause.txt": "text\n",
    "README.md": "[the table](tools/rooms.txt), [a section](#x), [elsewhere](https://kubernetes.io/docs)\n",
    "src/base/include/base/str.h": SPDX + "#include <stddef.h>\nsize_t str_size(const char *s);\n",
    "src/net/include/net/addr.h": SPDX + '#include "base/str.h"\n',
    "src/net/addr.c": SPDX + '#include "net/addr.h"\n#include "private.h"\n#include <libmnl/libmnl.h>\n',
    "src/net/private.h": SPDX + '#include "base/str.h"\n',
    "src/plan/include/plan/plan.h": SPDX + '#include "target/target.h"\n',
    "src/target/include/target/target.h": SPDX + '#include "net/addr.h"\n',
    "src/target/sim/include/target_sim/sim.h": SPDX + '#include "target/target.h"\n',
    "src/target/nft/nft.c": SPDX + '#include "target/target.h"\n',
    "src/target/registry.c": SPDX + '#include "target_sim/sim.h"\n',
    "src/app/main.c": SPDX + '#include "target_sim/sim.h"\n#include "plan/plan.h"\n/* "nft" is only named: no exec here */\n',
    "src/target/bpf/abi.h": "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n",
    "src/target/bpf/prog/sock.bpf.c": "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */\n",
    "src/target/bpf/kernel.c": SPDX + '#include "sock.skel.h"\n',
}


def function(n_lines, comment=""):
    return SPDX + comment + "int f(void)\n{\n" + "\tg();\n" * n_lines + "\treturn 0;\n}\n"


# (check, file, its text, what the finding must say)
PLANTED = [
    ("rooms", "src/net/bad.c", '#include "plan/plan.h"\n', "room net may not see room plan"),
    ("rooms", "src/base/bad.c", '#include "net/addr.h"\n', "room base may not see room net"),
    ("rooms", "src/plan/bad.c", '#include "target_sim/sim.h"\n', "may name a concrete target"),
    ("rooms", "src/target/nft/bad.c", '#include "target_sim/sim.h"\n', "may name a concrete target"),
    ("rooms", "src/target/check.c", '#include "target_sim/sim.h"\n', "may name a concrete target"),
    ("rooms", "src/target/nft/bad.c", '#include "../sim/private.h"\n', "neither a public header nor beside"),
    ("rooms", "src/plan/bad.c", '#include "../net/private.h"\n', "a private header of another room"),
    ("rooms", "src/target/nft/bad.c", '#include "sock.skel.h"\n', "neither a public header nor beside"),
    ("rooms", "src/target/bpf/prog/bad.h", '#include "sim.h"\n', "neither a public header nor beside"),
    ("rooms", "src/plan/bad.c", "#include <libmnl/libmnl.h>\n", "room plan does not link libmnl"),
    ("rooms", "src/plan/bad.c", "#define X <stdio.h>\n#include X\n", "include by macro"),
    ("rooms", "src/plan/bad.c", "#  include <net/addr.h>\n#include <plan/plan.h>\n#include <measure/x.h>\n#include <target_sim/sim.h>\n",
     "may name a concrete target"),
    ("rooms", "src/plan/bad.c", '#include "app.h"\n', "neither a public header nor beside"),
    ("rooms", "src/cellar/bad.c", "#include <stdio.h>\n", "no room of tools/rooms.txt"),
    ("rooms", "tools/rooms.txt", "room base : net ;\nroom net : base ; libmnl\nroom plan : base net target ;\nroom target : base net ;\n"
     "room target/* : target ;\n", "a circle"),
    ("headers", "src/net/include/net/bad.h", "struct x { size_t n; };\n", "does not compile alone"),
    ("headers", "src/net/include/net/bad.h", '#include "plan/plan.h"\n', "does not compile alone"),
    ("format", "src/net/bad.c", "int f( void );\n", "not in the layout"),
    ("size", "src/net/bad.c", "\n" * 701, "702 lines"),
    ("functions", "src/net/bad.c", function(101), "without a comment"),
    ("licences", "src/net/bad.c", "int f(void);\n", "no SPDX"),
    ("licences", "src/target/bpf/prog/x.bpf.c", "", "wanted GPL-2.0-only OR BSD-2-Clause"),
    ("licences", "tools/bad.sh", "#!/bin/sh\n", "no SPDX"),
    ("forks", "src/net/bad.c", 'int f(void) { return system("true"); }\n', "starts a shell"),
    ("forks", "src/net/bad.c", 'FILE *f(void) { return popen("true", "r"); }\n', "starts a shell"),
    ("forks", "src/net/bad.c", 'void f(void) { execlp("nft", "nft", "list", NULL); }\n', "starts a network tool"),
    ("forks", "src/net/bad.c", 'char *a[] = { "/usr/sbin/ip", 0 };\nvoid f(void) { posix_spawn(0, a[0], 0, 0, a, 0); }\n',
     "names the path"),
    ("forks", "src/net/bad.c", 'const char *a[] = {\n"tc", 0 };\nvoid f(void) {\n execvp(a[0], a); }\n', "starts a network tool"),
    ("forks", "src/net/bad.c", 'const char *tool = "/sbin/iptables-restore";\n', "names the path"),
    ("paths", "docs/bad.md", "see /" + "work/main/x\n", "a path of one machine"),
    ("paths", "docs/bad.md", "see /" + "root/x\n", "a path of one machine"),
    ("paths", "tools/bad.sh", "curl https:/" + "/mirror.corp.invalid/debian\n", "is not in the list"),
    ("links", "docs/bad.md", "[x](missing.md)\n", "leads nowhere"),
    ("links", "docs/bad.md", "[x](../../outside.md)\n", "leads nowhere"),
]
# Not violations.
FINE = [
    ("functions", "src/net/good.c", function(101, f"/* {check_tree.REASON} one table has one loop. */\n")),
    ("functions", "src/net/good.c", function(90)),
    ("rooms", "src/net/good.c", '/* #include "plan/plan.h" */\n'),
    ("rooms", "src/target/bpf/prog/good.h", '#include "abi.h"\n'),
    ("forks", "src/net/good.c", 'const char *name = "nft";\nvoid f(struct x *x) { x->system(); }\n'),
    ("forks", "src/net/good.c", 'void f(char **argv) { q.strategy = "nft"; execvp(argv[0], argv); }\n'),
    ("paths", "docs/good.md", "/sys/fs/cgroup http://127.0.0.1:80 /etc/hosts\n"),
    ("links", "docs/good.md", "```\n[x](missing.md)\n```\n[x](../README.md#top)\n"),
]


def run_check(name, files):
    """Findings of one check in a tree with these files."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            if path == "tools/rooms.txt" and text is None:
                with open(f"{TOP}/{path}", encoding="utf-8") as f:
                    text = f.read()
            os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
            with open(f"{root}/{path}", "w", encoding="utf-8") as f:
                f.write(text)
        if name == "format":
            os.symlink(f"{TOP}/.clang-format", f"{root}/.clang-format")
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                return check_tree.CHECKS[name](check_tree.Tree(root))
            except check_tree.Skip:
                return None


class Result:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def case(self, good, text):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {text}")


def check_checks(result):
    for name in check_tree.CHECKS:
        findings = run_check(name, CLEAN)
        if findings is None:
            result.skipped += 1
            print(f"SKIP: check {name} cannot run here")
        else:
            result.case(findings == [], f"{name}: the clean tree has findings: {findings}")
    for name, path, text, wanted in PLANTED:
        if not path.endswith(".txt") and not text.startswith("#!") and not (name == "licences" and "SPDX" in wanted):
            text = SPDX + text
        findings = run_check(name, {**CLEAN, path: text})
        if findings is not None:
            result.case(any(wanted in f for f in findings), f"{name}: not found in {path}: {wanted}; found: {findings}")
    for name, path, text in FINE:
        findings = run_check(name, {**CLEAN, path: text})
        result.case(findings == [], f"{name}: {path} is fine, but: {findings}")


JUNIT = """<testsuite>
<testcase name="cmocka" status="run"><system-out>[==========] Running 5 test(s).
[  PASSED  ] 3 test(s).
[  SKIPPED ] 2 test(s), listed below:
SKIP: no IPv6
</system-out></testcase>
<testcase name="script" status="run"><system-out>TESTS: 10 passed, 0 failed, 1 skipped
SKIP: one of them
TESTS: 5 passed, 0 failed, 0 skipped</system-out></testcase>
<testcase name="plain" status="run"><system-out></system-out></testcase>
<testcase name="skipped" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/><system-out>SKIP: not root</system-out></testcase>
%s</testsuite>
"""
BROKEN = [
    ('<testcase name="x" status="fail"><failure message=""/><system-out>[  PASSED  ] 2 test(s).\n[  FAILED  ] 4 test(s), listed below:'
     '</system-out></testcase>', "21 passed, 4 failed, 4 skipped"),
    ('<testcase name="x" status="fail"><failure message=""/><system-out>crashed</system-out></testcase>',
     "19 passed, 1 failed, 4 skipped"),
    ('<testcase name="x" status="fail"><failure message=""/><system-out>[  PASSED  ] 2 test(s).\n==1==ERROR: LeakSanitizer'
     '</system-out></testcase>', "21 passed, 1 failed, 4 skipped"),
    ('<testcase name="x" status="notrun"><skipped message="Unable to find executable"/></testcase>', "19 passed, 1 failed, 4 skipped"),
    ('<testcase name="x" status="run"><system-out>TESTS: 0 passed, 0 failed, 0 skipped</system-out></testcase>',
     "19 passed, 1 failed, 4 skipped"),
    ('<testcase name="x" status="run"><system-out>TESTS: 1 passed, 2 failed, 0 skipped</system-out></testcase>',
     "20 passed, 2 failed, 4 skipped"),
]


def summarise(text):
    """(exit code, last line)"""
    with tempfile.TemporaryDirectory() as folder:
        if text is not None:
            with open(f"{folder}/junit.xml", "w", encoding="utf-8") as f:
                f.write(text)
        output = io.StringIO()
        old, sys.argv = sys.argv, ["test-summary.py", f"{folder}/junit.xml"]
        try:
            with contextlib.redirect_stdout(output):
                code = test_summary.main()
        finally:
            sys.argv = old
        return code, output.getvalue().splitlines()[-1], output.getvalue()


def check_summary(result):
    code, last, text = summarise(JUNIT % "")
    result.case((code, last) == (0, "19 passed, 0 failed, 4 skipped"), f"summary: {code} {last}")
    result.case(all(r in text for r in ("cmocka: no IPv6", "skipped: not root", "script: one of them")), f"summary: reasons: {text}")
    for case, wanted in BROKEN:
        code, last, _ = summarise(JUNIT % case)
        result.case((code, last) == (1, wanted), f"summary: {case}: {code} {last}, wanted {wanted}")
    for text in (None, "", "<testsuite></testsuite>", "<testsuite>"):
        code, last, _ = summarise(text)
        result.case((code, last) == (1, "0 passed, 0 failed, 0 skipped"), f"summary of nothing: {code} {last}")


SYMBOLS = [  # (C text, findings)
    ("const int a = 1; static const char *const b[] = { \"x\" }; const char *f(void); const char *f(void) { return b[0]; }", 0),
    ("int a;", 1),
    ("static int a = 1; int f(void); int f(void) { static int n; return a++ + n++; }", 2),
    ("static __thread int a; int f(void); int f(void) { return a++; }", 1),
    ("const char *a = \"x\";", 1),
]


def check_symbols(result):
    if not all(map(shutil.which, ("gcc", "ar", "objdump"))):
        result.skipped += 1
        print("SKIP: no compiler")
        return
    with tempfile.TemporaryDirectory() as folder:
        def build(library, text):
            subprocess.run(["gcc", "-xc", "-fPIC", "-c", "-", "-o", f"{folder}/x.o"], input=text, text=True, check=True)
            subprocess.run(["ar", "rcs", f"{folder}/{library}.a", f"{folder}/x.o"], check=True)

        def run():
            return subprocess.run([sys.executable, f"{TOP}/tools/check-symbols.py", folder], capture_output=True, text=True, check=False)

        result.case(run().returncode == 77, "symbols: nothing built is a skip")
        for text, n_findings in SYMBOLS:
            build("one", text)
            done = run()
            result.case(done.returncode == (n_findings > 0) and f"symbols: {n_findings} findings" in done.stdout,
                        f"symbols: {text}: wanted {n_findings}: {done.stdout}")
        build("one", SYMBOLS[0][0])
        build("two", SYMBOLS[0][0])
        done = run()
        result.case(done.returncode == 1 and "f is defined in one.a and two.a" in done.stdout, f"symbols: twice: {done.stdout}")


def main():
    result = Result()
    check_checks(result)
    check_symbols(result)
    check_summary(result)
    print(f"TESTS: {result.passed} passed, {result.failed} failed, {result.skipped} skipped")
    return 1 if result.failed else 0


if __name__ == "__main__":
    sys.exit(main())
