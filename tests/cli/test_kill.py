#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 at any moment, and a cleanup that leaves nothing; Ctrl-C, and nothing to clean. The host (of the cell) has things of others on it, which
stay. OFFKUBE_TEST_KILLS: how many moments of each command (default 15)."""
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import FAILED, SHOP, offkube  # noqa: E402

N_KILLS = int(os.environ.get("OFFKUBE_TEST_KILLS", "15"))
N_SOCKET_KILLS = min(N_KILLS, 9)
EVAL = ["eval", "--quick", "--repeat", 3, "--load", "connect", "--strategy", "nft", "--workload", SHOP]
# What others have on this host: it must survive every cleanup.
FOREIGN = """
table ip other { map offkube { type ipv4_addr : verdict; }; chain services { type nat hook prerouting priority -100; ip daddr 10.96.0.1 drop; }; }
table inet offkube-of-another { set pods { type ipv4_addr; }; }
"""


def furnish_host():
    if shutil.which("nft"):
        subprocess.run(["nft", "-f", "-"], input=FOREIGN, text=True, check=True)
    for words in "link add okt-other type bridge", "addr add 10.96.7.1/24 dev okt-other", "netns add other":
        subprocess.run(["ip", *words.split()], check=True)


def moments(seed, n, longest, early=None):
    """Seeded, spread over the run; with `early`, two of three before it."""
    rng = random.Random(seed)
    return sorted(rng.uniform((i + 0.0) / n, (i + 1.0) / n) * (early if early and i % 3 else longest) for i in range(n))


class Dead(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        offkube("cleanup", "--labs")  # the folder /run/offkube, once
        self.before = cell.inventory()
        self.assertIn("other", self.before["namespaces"])

    def timed(self, *args):
        begin = time.monotonic()
        offkube(*args)
        return time.monotonic() - begin

    def kill_at(self, moment, *args):
        """True when it was still running."""
        process = cell.start(*args)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        return cell.kill_hard(process) == -signal.SIGKILL

    def clean(self, what):
        offkube("cleanup", "--labs")
        try:
            cell.assert_nothing_left(self.before)
        except AssertionError as why:
            raise AssertionError(f"{what}: {why}") from None

    def each(self, name, times, args, prepare=lambda i: None):
        n = 0
        for i, moment in enumerate(times):
            prepare(i)
            n += self.kill_at(moment, *[a.replace("%", str(i)) if isinstance(a, str) else a for a in args])
            self.clean(f"{name} killed after {moment:.3f} s")
        print(f"{name}: {n} of {len(times)} killed before the end; ", end="")
        self.assertGreaterEqual(n, len(times) / 2, "most were killed in the middle")

    def test_lab_up(self):
        whole = self.timed("lab", "up", "--name", "k", "--workload", SHOP)
        self.clean("lab up")
        self.each("lab up", moments(1, N_KILLS, whole), ["lab", "up", "--name", "k%", "--workload", SHOP])

    def test_lab_apply(self):
        def prepare(i):
            offkube("lab", "up", "--name", f"k{i}", "--workload", SHOP, "--strategy", ("none", "nft")[i % 2])

        prepare(0)
        whole = self.timed("lab", "apply", "--name", "k0", "--strategy", "nft")
        self.clean("lab apply")
        self.each("lab apply", moments(2, N_KILLS, whole), ["lab", "apply", "--name", "k%", "--strategy", "nft"], prepare)

    def test_lab_apply_socket(self):
        """Links and maps of every node are pinned in bpffs, which no namespace takes along when it dies."""
        def prepare(i):
            offkube("lab", "up", "--name", f"k{i}", "--workload", SHOP, "--strategy", ("none", "nft", "socket")[i % 3])

        prepare(0)
        whole = self.timed("lab", "apply", "--name", "k0", "--strategy", "socket")
        self.assertTrue(cell.tree(cell.BPF_FS), "there are pins")
        self.clean("lab apply")
        self.each("lab apply", moments(7, N_SOCKET_KILLS, whole), ["lab", "apply", "--name", "k%", "--strategy", "socket"], prepare)

    def test_eval(self):
        whole = self.timed(*EVAL, "--out", f"{self.folder}/whole")
        self.each("eval", moments(3, N_KILLS, whole, early=1.5), [*EVAL, "--out", f"{self.folder}/%"])
        for i in range(0, N_KILLS, 3):
            self.check_records(f"{self.folder}/{i}")

    def test_eval_servers(self):
        """Servers of others, their clients and their files go with the run too."""
        if not shutil.which("redis-server") or not shutil.which("iperf3"):
            self.skipTest("needs redis-server and iperf3")
        args = [*EVAL[:4], "--experiments", "cells", "--load", "redis,bulk", "--strategy", "nft", "--workload", SHOP]
        whole = self.timed(*args, "--out", f"{self.folder}/whole")
        n = max(3, N_KILLS // 5)
        self.each("eval with servers", moments(7, n, whole, early=2.5), [*args, "--out", f"{self.folder}/%"])

    def test_experiments(self):
        """Their workers, askers and loads too."""
        args = ["eval", "--quick", "--experiments", "scale,fault", "--strategy", "nft"]
        whole = self.timed(*args, "--out", f"{self.folder}/whole")
        n = max(4, N_KILLS // 4)
        self.each("experiments", moments(8, n, whole), [*args, "--out", f"{self.folder}/%"])

    def check_records(self, out):
        """What a killed run has written is good for a report, which tells that it is of a killed run."""
        text = ""
        with contextlib.suppress(FileNotFoundError):
            with open(f"{out}/records.jsonl", encoding="utf-8") as f:
                text = f.read()
        if "\n" in text:
            self.assertIn("" if '"type":"end"' in text else "killed", offkube("report", out).out)

    def test_cleanup(self):
        """The cleanup itself is killed; the next one goes on."""
        def prepare(i):
            offkube("lab", "up", "--name", f"k{i}", "--workload", SHOP)

        prepare(0)
        whole = self.timed("cleanup", "--labs")
        self.each("cleanup", moments(4, N_KILLS, whole), ["cleanup", "--labs"], prepare)

    def test_next_run_cleans(self):
        """What a dead one left under a name does not hinder the next lab of this name."""
        for moment in moments(5, 5, 0.3):
            self.kill_at(moment, "lab", "up", "--name", "again", "--workload", SHOP)
            result = offkube("lab", "up", "--name", "again", "--workload", SHOP, code=None)
            self.assertTrue(result.code == 0 or "is up" in result.err, result)
            self.assertIn("inet", offkube("lab", "exec", "--name", "again", "shop/cart-0", "--", "ip", "addr").out)
            offkube("lab", "down", "--name", "again")
            cell.assert_nothing_left(self.before)

    def test_trace(self):
        args = ["trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/catalog", "--strategy", "nft", "--count", "200"]
        whole = self.timed(*args)
        for moment in moments(6, 6, whole):
            self.kill_at(moment, *args)
            cell.assert_nothing_left(self.before)  # nothing needs a cleanup


class Interrupted(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        offkube("cleanup", "--labs")
        self.before = cell.inventory()

    def stop(self, sig, moment, *args, times=1):
        """As a terminal does it: the signal goes to the whole process group. Returns what the program said, and its exit code."""
        process = cell.start(*args, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        self.assertIsNone(process.poll(), "it had ended already")
        for _ in range(times):
            os.killpg(process.pid, sig)
        begin = time.monotonic()
        _, err = process.communicate(timeout=60)
        self.assertLess(time.monotonic() - begin, 20, "ends within seconds")
        self.assertNotIn(b"Sanitizer", err)
        return err.decode(), process.returncode

    def test_eval(self):
        for i, (sig, moment, times) in enumerate([(signal.SIGINT, 0.4, 1), (signal.SIGINT, 0.9, 1), (signal.SIGTERM, 1.5, 1), (signal.SIGINT, 3, 3),
                                                  (signal.SIGINT, 5, 1)]):
            with self.subTest(moment=moment):
                out = f"{self.folder}/{i}"
                err, code = self.stop(sig, moment, *EVAL, "--out", out, times=times)
                self.assertEqual(code, FAILED, err)
                self.assertIn("interrupted", err)
                cell.assert_nothing_left(self.before)
                with open(f"{out}/records.jsonl", encoding="utf-8") as f:
                    records = [json.loads(line) for line in f]
                self.assertEqual((records[0]["type"], records[-1]["type"], records[-1]["status"]), ("run", "end", "interrupted"))
                self.assertIn("interrupted", offkube("report", out).out)
                self.assertTrue(os.path.getsize(f"{out}/report.html"))

    def test_lab_up(self):
        for moment in 0.08, 0.15, 0.25:
            with self.subTest(moment=moment):
                _, code = self.stop(signal.SIGINT, moment, "lab", "up", "--name", "intr", "--workload", self.large())
                self.assertEqual(code, FAILED)
                cell.assert_nothing_left(self.before)

    def large(self):
        """A workload that takes more than a moment to build."""
        path = f"{self.folder}/large.yaml"
        with open(path, "w", encoding="utf-8") as f:
            f.write("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 200\n  selector: {matchLabels: {app: web}}\n"
                    "  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: c, image: none, ports: [{containerPort: 80}]}]}\n"
                    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n")
        return path

    def test_experiments(self):
        for i, (experiment, moment) in enumerate([("scale", 1.5), ("sweep", 3), ("fault", 2.5)]):
            with self.subTest(experiment=experiment):
                _, code = self.stop(signal.SIGINT, moment, "eval", "--experiments", experiment, "--strategy", "nft", "--out", f"{self.folder}/{i}")
                self.assertEqual(code, FAILED)
                cell.assert_nothing_left(self.before)

    def test_bench(self):
        _, code = self.stop(signal.SIGINT, 1.0, "bench", "--large", 2000, "--out", f"{self.folder}/bench")
        self.assertEqual(code, FAILED)
        cell.assert_nothing_left(self.before)


setUpModule = furnish_host

if __name__ == "__main__":
    cell.main()
