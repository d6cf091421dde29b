#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The experiments beside the cells, each in its small form: what they say they measured is there, nobody answered who should not, nothing is left."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import FAILED, offkube  # noqa: E402

EVAL_S = 240
STRATEGIES = "none", "nft"


class Experiments(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.out = f"{self.folder}/out"
        before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, before)

    def run_eval(self, experiments):
        offkube("eval", "--quick", "--experiments", experiments, "--strategy", ",".join(STRATEGIES), "--out", self.out, timeout=EVAL_S)
        with open(f"{self.out}/records.jsonl", encoding="utf-8") as f:
            self.records = [json.loads(line) for line in f]
        self.assertEqual((self.records[0]["type"], self.records[-1]["type"], self.records[-1]["status"]), ("run", "end", "complete"))

    def of_type(self, name):
        return [r for r in self.records if r["type"] == name]

    def test_sweep(self):
        self.run_eval("sweep")
        sweeps = self.of_type("sweep")
        ended = {(r["load"], r["strategy"]) for r in self.of_type("left-out")}  # a busy machine may carry less than the axis offers
        seen = {(r["axis"], r["load"], r["x"], r["strategy"]) for r in sweeps}
        self.assertEqual(len(seen), len(sweeps), "once each")
        for axis, loads, xs in (("offered", ("echo", "connect"), (2000, 4000)), ("live", ("connect",), (0, 1000)),
                                ("updates", ("echo", "connect"), (0, 10)), ("updates-same", ("echo", "connect"), (0, 10))):
            for strategy in STRATEGIES:
                if (f"sweep-{axis}", strategy) in ended:
                    self.assertEqual(axis, "offered", [r for r in self.of_type("left-out")])
                    continue
                for load in loads:
                    for x in xs:
                        self.assertIn((axis, load, x, strategy), seen)
        for r in sweeps:
            self.assertEqual((r["wrong"], r["workload"], r["path"], r["family"]), (0, "synthetic", "other-node", "ipv4"), r)
            if r["axis"].startswith("updates"):
                self.assertEqual(r["broken"], 0, r)
                self.assertLessEqual(r["changes"] > 0, r["x"] > 0, r)  # on a busy machine one may take all of the window
                self.assertLessEqual(r["changes"], r["x"] * r["seconds"] + 2, "those of the window, without the watched ones")
                if r["strategy"] == "none" or r["x"] == 0:
                    self.assertEqual(r["in_force_ns"], [], r)
        marked = [r for r in sweeps if r["axis"].startswith("updates") and r["x"] > 0 and r["strategy"] == "nft"]
        self.assertTrue(any(r["in_force_ns"] for r in marked), "changes were seen to come into force")
        for strategy in STRATEGIES:
            self.assertGreater(sum(r.get("changes", 0) for r in sweeps if r["strategy"] == strategy), 0, strategy)

    def test_idle_and_fault(self):
        self.run_eval("idle,fault")
        idle = self.of_type("idle")
        self.assertEqual(sorted(r["arm"] for r in idle), ["nft", "none", "none (A/A)"])
        for r in idle:
            self.assertGreater(r["seconds"], 0.4, r)
            self.assertEqual(r["process_kib"], 0, "neither needs a process")
            self.assertIn(r["at_rest"], (True, False), r)
        self.assertGreaterEqual(len(self.of_type("calibration")), 2, "also in the round of idle")
        fault = self.of_type("fault")
        self.assertEqual(sorted((r["strategy"], r["fault"]) for r in fault),
                         [("nft", "backend"), ("nft", "kill"), ("nft", "reapply"), ("none", "kill"), ("none", "reapply")])
        for r in fault:
            self.assertEqual(r["wrong"], 0, r)
            self.assertEqual(r["sent"], r["ok"] + r["lost"] + r["wrong"], r)
            self.assertGreater(r["ok"], 0, r)
            self.assertGreater(r["repair_ns"], 0, r)
            self.assertEqual(sum(b[1] for b in r["timeline"] if b[0] >= 0) > 0, True, r)
            if r["fault"] != "backend":
                self.assertEqual(r["broken"], 0, "no lasting connection is cut")
        self.assertEqual([(r["load"], r["strategy"]) for r in self.of_type("left-out")], [("fault", "none")])

    def test_unknown(self):
        result = offkube("eval", "--experiments", "cells,nonsense", code=FAILED)
        self.assertIn('no experiment "nonsense"', result.err)


if __name__ == "__main__":
    cell.main()
