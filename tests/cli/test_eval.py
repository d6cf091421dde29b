#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, end to end: manifests in, every Service reached, strategies measured, a table and a page out; the page again from the records alone."""
import hashlib
import json
import os
import re
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import SHOP, offkube  # noqa: E402

# Real manifests, where the tree stands beside them.
WORKLOADS = os.path.join(os.path.dirname(cell.TOP), "shared", "data", "workloads")
SKIPS = {"no pod on that side to ask from", "no usable endpoint", "this lab's servers speak TCP and UDP", "refused: internal-traffic-policy"}
EVAL_S = 300  # more than four times what it takes


def where(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def content(folder):
    """Hash of every file."""
    found = {}
    for name in cell.tree(folder):
        with open(f"{folder}/{name}", "rb") as f:
            found[name] = hashlib.sha256(f.read()).hexdigest()
    return found


class Eval(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.out = f"{self.folder}/out"
        before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, before)

    def run_eval(self, *args):
        result = offkube("eval", "--quick", "--repeat", 3, "--out", self.out, *args, timeout=EVAL_S)
        with open(f"{self.out}/records.jsonl", encoding="utf-8") as f:
            self.records = [json.loads(line) for line in f]
        self.assertEqual((self.records[0]["type"], self.records[-1]["type"], self.records[-1]["status"]), ("run", "end", "complete"))
        return result

    def of_type(self, name):
        return [r for r in self.records if r["type"] == name]

    def strategies(self):
        """That took part: those of the run less those that were refused."""
        return {s["name"] for s in self.records[0]["strategies"]} - {r["strategy"] for r in self.of_type("strategy-refused")}

    def check_reach(self):
        """Every Service port was asked on both paths under every strategy, and who answered is one of its pods."""
        reach = self.of_type("reach")
        n_services = self.records[0]["workloads"][0]["services"]
        for strategy in self.strategies():
            mine = [r for r in reach if r["strategy"] == strategy]
            self.assertEqual(len({r["service"] for r in mine}), n_services, strategy)
            asked = {}
            for r in mine:
                where = f"{strategy}: {r}"
                self.assertTrue(r["ok"] or r["skip"] in SKIPS, where)
                asked.setdefault((r["service"], r["port"], r["proto"], r["family"]), []).append(r)
            for key, records in asked.items():
                self.assertEqual(sorted(r["path"] for r in records), ["other-node", "same-node"], key)
                if key[2] != "sctp":
                    self.assertTrue(any(r["ok"] for r in records) or all(r["skip"] == "no usable endpoint" for r in records), key)
            answered = [r for r in mine if r["answered_by"]]
            self.assertGreater(len(answered), n_services)
            self.assertTrue(all(r["answered_by"].split("/")[0] == r["service"].split("/")[0] for r in answered))
        by_service = [r for r in reach if r["strategy"] == "nft" and r["ok"] and r["path"] == "other-node"]
        self.assertTrue(by_service, "Services are asked from another node too")

    def check_samples(self, loads):
        samples = self.of_type("sample")
        arms = {a["arm"] for a in self.records[0]["arms"] if a["strategy"] in self.strategies()}
        self.assertLessEqual({"none", "nft", "socket", "none (A/A)"}, arms)
        self.assertEqual({s["arm"] for s in samples}, arms)
        self.assertEqual({s["load"] for s in samples}, loads)
        self.assertEqual({s["round"] for s in samples}, {0, 1, 2})
        for s in samples:
            self.assertEqual(s["wrong"], 0, s)
        for arm in arms:
            for mode in "open", "closed":  # a single slice may be empty: machines stand still at times
                self.assertGreater(sum(s["ok"] for s in samples if (s["arm"], s["mode"]) == (arm, mode)), 0, (arm, mode))
        for s in samples:
            if s["load"] == "connect" and s["strategy"] in ("nft", "socket"):
                self.assertGreaterEqual(sum(n or 0 for n in s["carried"].values()), s["ok"], "every connection went by the Service's rules")
            if s["load"] == "connect" and s["strategy"] == "socket":
                self.assertEqual(s["carried"]["nft"], 0, "no packet with a Service address reaches the tier below")
            if s["strategy"] == "none":
                self.assertEqual(s["carried"], {})

    def check_page(self):
        with open(f"{self.out}/report.html", encoding="utf-8") as f:
            page = f.read()
        self.assertTrue(page.lstrip().lower().startswith("<!doctype html>"))
        without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", page)
        without_names = re.sub(r"<!DOCTYPE[^>]*>", "", without_names)
        for word in "http://", "https://", "@import", "<script src", "<link":
            self.assertNotIn(word, without_names, "the page needs nothing but itself")
        self.assertEqual([m for m in re.findall(r'(?:src|href)="([^"]*)"', without_names) if not m.startswith(("data:", "#"))
                          and not os.path.exists(f"{self.out}/{m}")], [])
        self.assertEqual(re.findall(r"url\((?!#|[\"']?(?:data:|#))[^)]*\)", without_names), [])
        names = set(os.listdir(self.out))
        for figure in {n[:-4] for n in names if n.endswith(".csv")}:
            self.assertLessEqual({f"{figure}.csv", f"{figure}.gp"}, names)
            if shutil.which("gnuplot"):
                self.assertIn(f"{figure}.svg", names)
        self.assertTrue(any(n.endswith(".csv") for n in names))
        if shutil.which("gnuplot"):
            self.assertIn("<svg", page)

    def check_again(self):
        """From the records alone, the same to the byte."""
        first = content(self.out)
        offkube("report", self.out)
        self.assertEqual(content(self.out), first)
        elsewhere = f"{self.folder}/elsewhere"
        os.mkdir(elsewhere)
        shutil.copy(f"{self.out}/records.jsonl", elsewhere)
        offkube("report", elsewhere)
        self.assertEqual(content(elsewhere), first)

    def test_shop(self):
        result = self.run_eval("--workload", SHOP)
        self.check_reach()
        self.check_samples({"echo", "connect", "http", "bulk"} if where("nginx") and where("iperf3") else {"echo", "connect"})
        self.check_page()
        self.check_again()
        for text in "reach: shop, nft", "CPU per request", f"page: {self.out}/report.html":
            self.assertIn(text, result.out)
        self.assertRegex(result.err, r"\d+:\d\d left", "progress with the time left")
        self.assertIsInstance(offkube("report", self.out, "--json").json(), dict)

    def real(self, name):
        path = f"{WORKLOADS}/{name}"
        if not os.path.exists(path):
            self.skipTest(f"{name} is not beside this tree")
        result = self.run_eval("--load", "connect", "--json", "--workload", path)
        self.assertIsInstance(result.json(), dict)
        self.check_reach()
        self.check_samples({"connect"})
        self.check_page()

    def test_online_boutique(self):
        self.real("online-boutique.yaml")

    def test_open5gs(self):
        self.real("open5gs.yaml")


if __name__ == "__main__":
    cell.main()
