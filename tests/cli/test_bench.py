#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark of scale and the experiment behind it: what is in force is seen by a client, and every figure has its record."""
import json
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import offkube  # noqa: E402


class Bench(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.out = f"{self.folder}/out"
        before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, before)

    def records(self):
        with open(f"{self.out}/records.jsonl", encoding="utf-8") as f:
            records = [json.loads(line) for line in f]
        self.assertEqual((records[0]["type"], records[-1]["type"], records[-1]["status"]), ("run", "end", "complete"))
        return records

    def check_cluster(self, r, n_changes, n_asks):
        where = str(r)
        if r["why"]:  # others make and end namespaces meanwhile
            self.assertIn("did not come to rest", r["why"], where)
            self.assertIsNone(r["memory"]["kernel_kib"], where)
        self.assertEqual((r["nodes"], r["kind"]), (1, "real"), where)
        self.assertGreater(r["from_empty_s"], 0, where)
        self.assertGreater(r["from_empty_apply_s"], 0, where)
        self.assertEqual(len(r.get("in_force_ns", [])), n_changes, where)
        self.assertEqual(len(r.get("apply_ns", [])), n_changes, where)
        self.assertTrue(all(0 < ns < 60e9 for ns in r.get("in_force_ns", [])), where)
        if n_asks:
            first = r["first_packet_ns"]
            self.assertTrue(0 < first["p50"] <= first["p90"] <= first["p99"], where)

    def test_nft(self):
        result = offkube("bench", "--strategy", "nft", "--small", 10, "--large", 300, "--huge", 20, "--rounds", 2, "--huge-rounds", 1, "--asks", 40,
                         "--changes", 4, "--out", self.out)
        scale = [r for r in self.records() if r["type"] == "scale"]
        self.assertEqual(sorted((r["services"], r["endpoints_per_service"], r["round"]) for r in scale),
                         [(10, 2, 0), (10, 2, 1), (20, 50, 0), (300, 2, 0), (300, 2, 1)])
        for r in scale:
            self.check_cluster(r, 4 if r["endpoints_per_service"] == 2 else 0, 40)
        for text in "300 Services x 2: one change, in force", "first packet, 300 over 10 Services", "20 Services x 50: from empty, in force":
            self.assertIn(text, result.out)
        for line in result.out.splitlines():
            if "not measured" in line:
                self.assertIn("did not come to rest", line)

    def test_cluster_dies(self):
        """The process of one cluster is killed: that is recorded, its lab is cleaned, the others are measured."""
        run = cell.start("bench", "--strategy", "nft", "--small", 10, "--large", 3000, "--huge", 0, "--rounds", 1, "--asks", 2000, "--changes", 4,
                         "--out", self.out)
        self.addCleanup(cell.kill_hard, run)

        def second_lab():
            # It is made when the first stands; a name ends in the process that owns it.
            names = [n for n in os.listdir("/run/offkube/lab") if n[0] == "s" and n[1:].isdigit()] if os.path.isdir("/run/offkube/lab") else []
            return sorted(names, key=lambda n: int(n[1:]))[1:2]

        lab, = cell.wait_for("two clusters", second_lab)
        os.kill(int(lab[1:]), signal.SIGKILL)
        self.assertEqual(run.wait(timeout=cell.DEADLINE_S), 0)
        why = {r["services"]: r["why"] for r in self.records() if r["type"] == "scale"}
        self.assertEqual(sorted(why), [10, 3000])
        self.assertIn("died of signal 9", why[3000])
        self.assertNotIn("died", why[10] or "")
        self.assertFalse(os.path.exists(f"/run/offkube/lab/{lab}"))

    def test_experiment(self):
        """As a part of eval, without any manifest; a strategy that carries no Services is said to be left out."""
        offkube("eval", "--quick", "--experiments", "scale", "--strategy", "none,nft", "--out", self.out)
        records = self.records()
        scale = [r for r in records if r["type"] == "scale"]
        self.assertEqual({(r["strategy"], r["services"]) for r in scale}, {("nft", 10), ("nft", 1000)})
        for r in scale:
            self.check_cluster(r, 6, 400)
        self.assertEqual([(r["load"], r["strategy"]) for r in records if r["type"] == "left-out"], [("scale", "none")])
        self.assertNotIn("sample", {r["type"] for r in records})


if __name__ == "__main__":
    cell.main()
