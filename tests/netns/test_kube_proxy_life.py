#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real kube-proxy under `offkube`: what is refused and how, what dies with whom, that nothing is left, and that another's kube-proxy is let be."""
import glob
import os
import shutil
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import FAILED, SHOP, offkube  # noqa: E402

TRACE = ["trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/cart:7002", "--target", "kube-proxy"]
EVAL = ["eval", "--quick", "--workload", SHOP, "--strategy", "kube-proxy", "--load", "echo", "--budget", "60"]


# An nft that notes its pid with what it is to write, and writes it when it may.
LATE_NFT = """#!/bin/sh
[ "$*" = "-f -" ] || exec {nft} "$@"
cat >{folder}/part.$$
mv {folder}/part.$$ {folder}/in.$$
until [ -e {folder}/go ]; do sleep 0.02; done
exec {nft} -f {folder}/in.$$
"""


def real_program():
    """As kp_find_program() has it."""
    if os.environ.get("OFFKUBE_KUBE_PROXY"):
        return os.environ["OFFKUBE_KUBE_PROXY"]
    top = os.path.dirname(os.path.realpath(cell.OFFKUBE))
    while top != "/":
        if os.path.exists(f"{top}/peers/kube-proxy"):
            return f"{top}/peers/kube-proxy"
        top = os.path.dirname(top)
    return shutil.which("kube-proxy")


def write_program(path, text, mode=0o755):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


class Program(unittest.TestCase):
    """--kube-proxy PATH."""

    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, self.before)

    def write(self, text, mode=0o755):
        return write_program(f"{self.folder}/program", text, mode)

    def refused(self, path, says):
        result = offkube(*TRACE, "--kube-proxy", path, code=FAILED)
        self.assertRegex(result.err, r"(?m)^error: --kube-proxy: " + says)
        self.assertEqual(result.out, "")

    def test_wrong_path(self):
        self.refused(f"{self.folder}/none", ".*/none: No such file")
        self.refused(self.write("", 0o644), ".*/program is no program")
        self.refused(self.folder, ".* is no program")

    def test_dies_at_start(self):
        path = self.write("#!/bin/sh\necho 'I1128 hello' >&2\necho 'E1128 my last words' >&2\nexit 3\n")
        result = offkube(*TRACE, "--kube-proxy", path, code=FAILED)
        self.assertIn("it has ended: E1128 my last words", result.err)

    def test_leaves_a_child(self):
        """What it has started goes with it."""
        path = self.write("#!/bin/sh\nsleep 600 </dev/null >/dev/null 2>&1 &\necho 'E1128 my last words' >&2\nexit 3\n")
        result = offkube(*TRACE, "--kube-proxy", path, code=FAILED)
        self.assertIn("it has ended: E1128 my last words", result.err)
        self.assertNotIn("sleep", cell.processes().values())

    def test_no_program_of_this_machine(self):
        result = offkube(*TRACE, "--kube-proxy", self.write("not a program\n"), code=FAILED)
        self.assertRegex(result.err, "it has ended: error: cannot be executed: Exec format error")


class Life(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        offkube("cleanup", "--labs")
        self.before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, self.before)
        self.addCleanup(offkube, "cleanup", "--labs")

    def proxies(self):
        return [pid for pid, name in cell.processes().items() if name == "kube-proxy"]

    def test_traffic_without_processes(self):
        with cell.lab("kp", "--strategy", "kube-proxy"):
            self.assertEqual(self.proxies(), [], "lab up has ended, and so have they")
            rules = offkube("lab", "exec", "--name", "kp", "node/node-1", "--", "nft", "list", "ruleset").out
            self.assertIn("table ip kube-proxy", rules)
            self.assertRegex(rules, r'comment "server \d+\.\d+ kube-proxy \d+\.\d+"')
            offkube("lab", "apply", "--name", "kp", "--strategy", "nft")
            rules = offkube("lab", "exec", "--name", "kp", "node/node-1", "--", "nft", "list", "ruleset").out
            self.assertNotIn("kube-proxy", rules)

    def test_killed(self):
        """kill -9 of the evaluation: the server processes and both kube-proxies go too; cleanup takes the rest."""
        process = cell.start(*EVAL, "--out", f"{self.folder}/out")
        try:
            cell.wait_for("two kube-proxies", lambda: len(self.proxies()) == 2)
        finally:
            cell.kill_hard(process)
        cell.wait_for("no kube-proxy", lambda: not self.proxies())

    def test_proxy_killed(self):
        """When kube-proxy alone is killed the evaluation still comes to its end, and nothing is left."""
        process = cell.start(*EVAL, "--out", f"{self.folder}/out")
        try:
            cell.wait_for("two kube-proxies", lambda: len(self.proxies()) == 2)
            os.kill(self.proxies()[0], signal.SIGKILL)
            process.wait(timeout=cell.DEADLINE_S)
        finally:
            cell.kill_hard(process)

    def late_nft(self):
        """A kube-proxy whose transactions wait for the file "go"."""
        os.mkdir(f"{self.folder}/bin")
        write_program(f"{self.folder}/bin/nft", LATE_NFT.format(nft=shutil.which("nft"), folder=self.folder))
        return write_program(f"{self.folder}/program", f'#!/bin/sh\nPATH={self.folder}/bin:$PATH exec {real_program()} "$@"\n')

    def waiting(self):
        """Those that have a transaction to write."""
        pids = {int(path.rsplit(".", 1)[1]) for path in glob.glob(f"{self.folder}/in.*")}
        return pids & set(cell.processes())

    def test_late_transaction(self):
        """apply is killed while nft works: what comes after it ends that nft first, and so finds, and leaves, no table but its own."""
        with cell.lab("kp"):
            process = cell.start("lab", "apply", "--name", "kp", "--strategy", "kube-proxy", "--kube-proxy", self.late_nft())
            try:
                cell.wait_for("a transaction", self.waiting)
            finally:
                cell.kill_hard(process)
            cell.wait_for("no kube-proxy", lambda: not self.proxies())
            self.assertTrue(self.waiting(), "it has outlived kube-proxy")
            offkube("lab", "apply", "--name", "kp", "--strategy", "nft")
            late = self.waiting()
            with open(f"{self.folder}/go", "w", encoding="ascii"):
                pass
            cell.wait_for("no nft", lambda: not self.waiting())
            for node in ("node-1", "node-2"):
                tables = offkube("lab", "exec", "--name", "kp", f"node/{node}", "--", "nft", "list", "tables").out
                self.assertNotIn("kube-proxy", tables)
            self.assertFalse(late, "it was ended, not let go")
            offkube("lab", "apply", "--name", "kp", "--strategy", "kube-proxy")

    def test_another_one(self):
        """A table of that name that is not ours: cleanup leaves it, apply refuses and leaves what was in force."""
        with cell.lab("kp"):
            offkube("lab", "exec", "--name", "kp", "node/node-1", "--", "nft", "add", "table", "ip", "kube-proxy")
            result = offkube("lab", "apply", "--name", "kp", "--strategy", "kube-proxy", code=FAILED)
            self.assertIn("a kube-proxy that is not ours", result.err)
            rules = offkube("lab", "exec", "--name", "kp", "node/node-1", "--", "nft", "list", "tables").out
            self.assertIn("table ip kube-proxy\n", rules)
            self.assertIn("table ip offkube\n", rules)
        subprocess.run(["nft", "add", "table", "ip", "kube-proxy"], check=True)
        try:
            offkube("cleanup")
            self.assertIn("table ip kube-proxy", cell.nft_ruleset())
        finally:
            subprocess.run(["nft", "delete", "table", "ip", "kube-proxy"], check=True)


if __name__ == "__main__":
    probe = subprocess.run([cell.OFFKUBE, "probe", "--json"], capture_output=True, text=True, check=False)
    if probe.returncode == 0:
        import json
        target = {t["target"]: t for t in json.loads(probe.stdout)["targets"]}["kube-proxy"]
        if not target["usable"]:
            cell.skip(f"kube-proxy: {target.get('refusal', '')} {target.get('detail', '')}")
    cell.main()
