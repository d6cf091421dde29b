#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that runs out of something in the middle: files, processes, room on the disk. The failure is told, and nothing is left. And several
processes that work on one lab at the same time."""
import contextlib
import os
import resource
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import FAILED, SHOP, offkube  # noqa: E402


def limit(what, n):
    return lambda: resource.setrlimit(what, (n, n))


@contextlib.contextmanager
def small_disk(folder, kib):
    path = f"{folder}/small"
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", path], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", path], check=True)


class Limits(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        offkube("cleanup", "--labs")
        self.before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, self.before)

    def fails(self, *args, says, **kwargs):
        result = offkube(*args, code=FAILED, **kwargs)
        self.assertRegex(result.err, says)
        cell.assert_nothing_left(self.before)

    def test_files(self):
        for n in 12, 20, 30:
            self.fails("lab", "up", "--name", "files", "--workload", SHOP, preexec_fn=limit(resource.RLIMIT_NOFILE, n), says="Too many open files")

    def test_files_of_eval(self):
        self.fails("eval", "--quick", "--workload", SHOP, "--out", f"{self.folder}/out", preexec_fn=limit(resource.RLIMIT_NOFILE, 60),
                   says="Too many open files")

    def test_state_disk(self):
        """/run/offkube is full: the state cannot be written, so nothing is made."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=8", "none", "/run/offkube"], check=True)
        try:
            result = offkube("lab", "up", "--name", "disk", "--workload", SHOP, code=FAILED)
            self.assertIn("No space left", result.err)
            self.assertEqual(cell.difference({k: v for k, v in self.before.items() if k != "state"}, cell.inventory()), [])
        finally:
            subprocess.run(["umount", "/run/offkube"], check=True)

    def test_record_disk(self):
        with small_disk(self.folder, 16) as path:
            self.fails("eval", "--quick", "--repeat", 3, "--load", "connect", "--workload", SHOP, "--out", path, says="records.jsonl: .*No space left")
            with open(f"{path}/records.jsonl", encoding="utf-8") as f:
                self.assertTrue(f.readline().endswith("}\n"))

    def test_output_closed(self):
        """The reader of a long output goes away."""
        process = cell.start("compile", "--workload", SHOP, "--target", "nft", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        self.assertNotIn(b"Sanitizer", process.stderr.read())
        process.stderr.close()
        process.wait(timeout=cell.DEADLINE_S)

    def test_output_full(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            for args in ["plan", "--workload", SHOP], ["compile", "--workload", SHOP], ["probe"], ["probe", "--json"], ["lab", "status", "--json"], \
                    ["trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/cart"]:
                with self.subTest(args=args):
                    process = subprocess.run([cell.OFFKUBE, *args], stdout=full, stderr=subprocess.PIPE, check=False)
                    self.assertEqual(process.returncode, FAILED, "what was asked for has not been printed")


class Crowd(unittest.TestCase):
    def setUp(self):
        offkube("cleanup", "--labs")
        before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, before)
        self.addCleanup(offkube, "cleanup", "--labs")

    def together(self, *commands):
        processes = [cell.start(*c, stderr=subprocess.PIPE) for c in commands]
        return [(p.communicate(timeout=cell.DEADLINE_S)[1].decode(), p.returncode) for p in processes]

    def test_same_name(self):
        """Of several that want one name one gets it."""
        results = self.together(*[["lab", "up", "--name", "crowd", "--workload", SHOP]] * 4)
        self.assertEqual(sorted(code for _, code in results), [0, 1, 1, 1], results)
        for err, code in results:
            if code:
                self.assertRegex(err, "crowd: a lab of this name (is up|belongs to process)")
        self.assertTrue(offkube("lab", "status", "--json").json()[0]["alive"])

    def test_applies(self):
        """Applies of one lab at the same time: each ends well, and the lab is as its manifests say."""
        offkube("lab", "up", "--name", "crowd", "--workload", SHOP, "--strategy", "none")
        for _ in range(3):
            for err, code in self.together(*[["lab", "apply", "--name", "crowd", "--strategy", "nft"]] * 4):
                self.assertEqual(code, 0, err)
            self.assertRegex(offkube("lab", "apply", "--name", "crowd").out, r": 0 added, 0 removed, \d+ kept")
            offkube("lab", "apply", "--name", "crowd", "--strategy", "none")
        state = cell.lab_state("crowd")
        self.assertEqual(len({s["pid"] for s in state["servers"]}), len(cell.processes()))

    def test_downs(self):
        offkube("lab", "up", "--name", "crowd", "--workload", SHOP)
        results = self.together(*[["lab", "down", "--name", "crowd"]] * 3, ["cleanup", "--labs"])
        self.assertEqual([code for _, code in results], [0] * 4, results)
        self.assertEqual(offkube("lab", "status", "--json").json(), [])


if __name__ == "__main__":
    cell.main()
