#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded run of identical strategies (nft, nft-again and the A/A arm, on a machine that was busy with other things): the report finds no winner.
The record is tests/report/aa.jsonl, as it was written but for histograms, targets and reachability."""
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import offkube  # noqa: E402


class Twins(unittest.TestCase):
    def test_no_winner(self):
        folder = self.enterContext(cell.folder())
        shutil.copy(f"{cell.TOP}/tests/report/aa.jsonl", f"{folder}/records.jsonl")
        summary = offkube("report", folder, "--json").json()
        cells, pools = summary["cells"], summary["pools"]
        self.assertEqual({(c["load"], c["path"]) for c in cells}, {(load, path) for load in ("echo", "connect") for path in ("same-node", "other-node")})
        for c in cells:
            arms = [a for a in c["arms"] if "(A/A)" not in a["arm"]]
            self.assertEqual({a["strategy"] for a in arms}, {"nft", "nft-again"})
            for a in arms:
                for name, metric in a["metrics"].items():
                    self.assertFalse(metric.get("best"), f"{c['load']}, {c['path']}, {a['arm']}, {name}: {metric}")
                shared = {name for name, metric in a["metrics"].items() if metric.get("shares_first_place")}
                self.assertLessEqual({"cpu", "cpu_full", "p50", "rate"}, shared, a["arm"])
        self.assertEqual({(p["load"], p["strategy"]) for p in pools}, {(load, s) for load in ("echo", "connect", None) for s in ("nft", "nft-again")})
        for p in pools:
            self.assertLessEqual({"cpu", "cpu_full", "p50", "rate"}, set(p["metrics"]), p["load"])
            for name, metric in p["metrics"].items():
                self.assertTrue(metric["shares_first_place"] and not metric["best"], f"{p['load']}, {p['strategy']}, {name}: {metric}")


if __name__ == "__main__":
    cell.main(live=False)
