#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The loads with servers and programs of others, and the call graph: each gives sound records; what is not on the host is left out, with its name."""
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import SHOP, offkube  # noqa: E402

EVAL_S = 280
SERVED = ["http", "h2", "redis", "file", "bulk", "bulk-8", "bulk-udp"]
# Load and mode: who makes it.
TOOL = {("http", "open"): "offkube", ("http", "closed"): "wrk", ("h2", "open"): "h2load", ("h2", "closed"): "h2load", ("redis", "open"): "offkube",
        ("redis", "closed"): "redis-benchmark", ("file", "closed"): "offkube", ("bulk", "open"): "iperf3", ("bulk", "closed"): "iperf3",
        ("bulk-8", "closed"): "iperf3", ("bulk-udp", "open"): "iperf3", ("bulk-udp", "closed"): "iperf3", ("calls", "open"): "offkube",
        ("calls", "closed"): "offkube"}
NEEDED = ["iperf3", "wrk", "nginx", "nghttpd", "h2load", "redis-server", "redis-benchmark"]


def where(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


class Loads(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.out = f"{self.folder}/out"
        before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, before)

    def run_eval(self, loads, *args):
        result = offkube("eval", "--quick", "--repeat", 3, "--experiments", "cells", "--load", ",".join(loads), "--out", self.out, *args,
                         timeout=EVAL_S)
        with open(f"{self.out}/records.jsonl", encoding="utf-8") as f:
            self.records = [json.loads(line) for line in f]
        self.assertEqual((self.records[-1]["type"], self.records[-1]["status"]), ("end", "complete"))
        return result

    def of_type(self, name):
        return [r for r in self.records if r["type"] == name]

    def check_sample(self, s):
        run = self.records[0]
        load = next(x for x in run["loads"] if x["name"] == s["load"])
        self.assertTrue(load[s["mode"]], s)
        self.assertEqual(s["tool"], TOOL[s["load"], s["mode"]])
        self.assertEqual((s["wrong"], s["refused"]), (0, 0), s)
        self.assertEqual(s["sent"], s["ok"] + s["timeout"] + s["other_error"], s)
        self.assertGreater(s["seconds"], 0)
        self.assertEqual(s["offered"], load["offered"] if s["mode"] == "open" else 0)
        self.assertAlmostEqual(s["rate"], s["units"] / s["seconds"], delta=s["rate"] * 0.001)
        if load["unit"] == "request":
            self.assertEqual(s["units"], s["ok"])
        self.assertEqual("latency_ns" in s, s["mode"] == "open" and load["unit"] == "request", s)
        self.assertEqual("lost_share" in s, s["load"] == "bulk-udp", s)
        if "lost_share" in s:
            self.assertTrue(0 <= s["lost_share"] <= 1, s)
        if s["load"] != "calls":
            self.assertEqual(s["client"], "offkube-eval/client")
            self.assertEqual(len(s["targets"]), 1)
        if s["ok"]:
            self.assertGreater(s["carried"]["nft"], 0, f"by the Service's address: {s}")

    def test_all(self):
        missing = [p for p in NEEDED if not where(p)]
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")
        self.run_eval([*SERVED, "calls"], "--strategy", "nft", "--workload", SHOP)
        samples = self.of_type("sample")
        for s in samples:
            self.check_sample(s)
        seen = {}
        for s in samples:
            seen.setdefault((s["load"], s["mode"], s["path"], s["arm"]), []).append(s)
        want = {(load, mode, path, arm) for load, mode in TOOL for arm in ("nft", "nft (A/A)")
                for path in (["mixed-nodes"] if load == "calls" else ["same-node", "other-node"])}
        self.assertEqual(set(seen), want)
        for key, group in seen.items():
            self.assertEqual([s["round"] for s in sorted(group, key=lambda s: s["round"])], [0, 1, 2], key)
            self.assertGreater(sum(s["units"] for s in group), 0, key)  # one slice may be empty: machines stand still at times
        self.assertEqual(self.of_type("left-out"), [])
        for s in samples:
            if s["load"] == "file" and s["ok"]:
                self.assertEqual(s["units"], 64)
            if s["load"] == "calls":
                self.assertRegex(s["client"], r"^[2-9] pods$")
                self.assertGreater(len(s["targets"]), 4, "pairs of caller and Service in the manifest")
        tools = {t["name"]: t["version"] for t in self.records[0]["tools"]}
        self.assertEqual(set(tools), set(NEEDED))
        self.assertTrue(all(v[0].isdigit() for v in tools.values()), tools)
        workload = self.records[0]["workloads"][0]
        self.assertEqual({r["service"].split("/")[0] for r in self.of_type("reach")}, {"shop"}, "our Services are not the workload's")
        self.assertEqual(len({r["service"] for r in self.of_type("reach")}), workload["services"])

    def hide(self, program):
        """As if it were not installed: the cell has mounts of its own."""
        path = where(program)
        if path:
            subprocess.run(["mount", "--bind", "/dev/null", os.path.realpath(path)], check=True)
            self.addCleanup(subprocess.run, ["umount", os.path.realpath(path)], check=True)

    def test_missing(self):
        if not where("nginx"):
            self.skipTest("not installed: nginx")
        self.hide("wrk")
        self.hide("nghttpd")
        self.run_eval(["http", "h2"], "--strategy", "nft", "--workload", SHOP)
        samples = self.of_type("sample")
        self.assertEqual({(s["load"], s["mode"]) for s in samples}, {("http", "open")})
        left = {(r["load"], r["path"], r["why"]) for r in self.of_type("left-out")}
        self.assertEqual(left, {(load, path, why) for path in ("same-node", "other-node")
                                for load, why in (("http", "wrk is not installed on this host: no closed loop"),
                                                  ("h2", "nghttpd is not installed on this host"))})
        self.assertNotIn("wrk", {t["name"] for t in self.records[0]["tools"]})

    def test_broken_server(self):
        """A server that does not start costs its loads, not the run; its last words are in the record."""
        path = where("nginx")
        if not path:
            self.skipTest("not installed: nginx")
        fake = f"{self.folder}/nginx"
        with open(fake, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\necho out of order\nexit 1\n")
        os.chmod(fake, 0o755)
        subprocess.run(["mount", "--bind", fake, os.path.realpath(path)], check=True)
        self.addCleanup(subprocess.run, ["umount", os.path.realpath(path)], check=True)
        result = self.run_eval(["calls", "http"], "--strategy", "none", "--workload", SHOP)
        self.assertEqual({s["load"] for s in self.of_type("sample")}, {"calls"})
        self.assertIn("out of order", result.err)
        left = [r for r in self.of_type("left-out") if r["load"] == "http"]
        self.assertEqual(len(left), 2)
        self.assertTrue(all("out of order" in r["why"] for r in left), left)

    def test_no_room(self):
        """A workload that has our namespace: said, and no failure."""
        if not where("nginx"):
            self.skipTest("not installed: nginx")
        path = f"{self.folder}/taken.yaml"
        with open(path, "w", encoding="utf-8") as f:
            f.write("apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: offkube-eval}\n"
                    "spec: {containers: [{name: c, image: none, ports: [{containerPort: 80}]}]}\n")
        self.run_eval(["file"], "--strategy", "none", "--workload", path)
        left = [r for r in self.of_type("left-out") if r["load"] == "file"]
        self.assertEqual({r["why"] for r in left}, {"offkube-eval: the workload has this namespace, which the servers of the loads need"})


if __name__ == "__main__":
    cell.main()
