#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A host that cannot: a user without privileges, and a kernel without netfilter's netlink. The refusal is typed, the exit code 77, nothing changes,
and whatever can go on goes on."""
import json
import os
import shutil
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import CANNOT, SHOP, offkube  # noqa: E402

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")


def records(out):
    with open(f"{out}/records.jsonl", encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def of_type(out, name):
    return [r for r in records(out) if r["type"] == name]


@unittest.skipUnless(shutil.which("setpriv"), "needs setpriv")
class NoPrivilege(unittest.TestCase):
    def setUp(self):
        self.before = cell.inventory()

    def tearDown(self):
        cell.assert_nothing_left(self.before)

    def test_probe_tells(self):
        found = offkube("probe", "--json", wrapper=NOBODY).json()
        targets = {t["target"]: t for t in found["targets"]}
        self.assertTrue(targets["sim"]["usable"])
        for name in "host", "nft":
            self.assertEqual(targets[name]["refusal"], "no-privilege")
            self.assertIn("CAP_NET_ADMIN", targets[name]["detail"])
        self.assertFalse(any(s["usable"] for s in found["strategies"]))

    def test_thinking_goes_on(self):
        plan = offkube("plan", "--workload", SHOP, wrapper=NOBODY, code=CANNOT)
        self.assertIn("cannot run here: no-privilege", plan.out)
        self.assertIn("no tier carries the ClusterIP of 11 Services", plan.out)
        self.assertIn("warning: nft cannot run here: no-privilege", offkube("compile", "--workload", SHOP, "--target", "nft", wrapper=NOBODY).err)
        self.assertEqual(offkube("compile", "--workload", SHOP, "--target", "sim", wrapper=NOBODY).out,
                         offkube("compile", "--workload", SHOP, "--target", "sim").out)
        offkube("trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/cart", wrapper=NOBODY)

    def test_acting_is_refused(self):
        for args in ["lab", "up", "--workload", SHOP], ["cleanup"], ["cleanup", "--labs"], \
                ["trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/cart", "--target", "nft"]:
            with self.subTest(args=args):
                result = offkube(*args, wrapper=NOBODY, code=CANNOT)
                self.assertIn("no-privilege: ", result.err)
                self.assertEqual(result.err.count("error: "), 1)

    def test_eval(self):
        with cell.folder() as path:
            out = f"{path}/out"
            os.mkdir(out)
            os.chmod(out, 0o777)
            result = offkube("eval", "--quick", "--workload", SHOP, "--out", out, wrapper=NOBODY, code=CANNOT)
            self.assertIn("none of the strategies can run on this host", result.err)
            refused = of_type(out, "strategy-refused")
            names = [s["name"] for s in records(out)[0]["strategies"]]
            self.assertLessEqual({"none", "nft", "socket"}, set(names))
            self.assertEqual([(r["strategy"], r["refusal"]) for r in refused], [(name, "no-privilege") for name in names])
            self.assertEqual(records(out)[-1]["status"], "failed")
            page = offkube("report", out).out
            self.assertIn("no-privilege", page)

    def test_kept_lab_of_root(self):
        with cell.lab("priv"):
            self.assertEqual(offkube("lab", "status", "--json", wrapper=NOBODY).json()[0]["name"], "priv")
            for args in ["apply"], ["exec", "node/node-1", "--", "true"], ["down"]:
                with self.subTest(args=args):
                    result = offkube("lab", args[0], "--name", "priv", *args[1:], wrapper=NOBODY, code=CANNOT)
                    self.assertRegex(result.err, "error: .*(not permitted|denied|no-privilege)")
            offkube("lab", "apply", "--name", "priv")


class NoNetfilter(unittest.TestCase):
    def setUp(self):
        self.before = cell.inventory()

    def tearDown(self):
        cell.assert_nothing_left(self.before)

    def test_probe_and_plan(self):
        found = offkube("probe", "--json", preexec_fn=cell.without_netfilter).json()
        nft = next(t for t in found["targets"] if t["target"] == "nft")
        self.assertEqual(nft["refusal"], "kernel-feature")
        self.assertEqual({s["strategy"]: s["usable"] for s in found["strategies"]}["none"], True)
        plan = offkube("plan", "--workload", SHOP, preexec_fn=cell.without_netfilter, code=CANNOT).out
        self.assertIn("cannot run here: kernel-feature: service-lb needs nft", plan)
        offkube("plan", "--workload", SHOP, "--strategy", "none", preexec_fn=cell.without_netfilter)

    def test_lab(self):
        result = offkube("lab", "up", "--name", "feat", "--workload", SHOP, preexec_fn=cell.without_netfilter, code=CANNOT)
        self.assertIn("kernel-feature: service-lb needs nft", result.err)
        cell.assert_nothing_left(self.before)
        offkube("lab", "up", "--name", "feat", "--workload", SHOP, "--strategy", "none", preexec_fn=cell.without_netfilter)
        result = offkube("lab", "apply", "--name", "feat", "--strategy", "nft", preexec_fn=cell.without_netfilter, code=CANNOT)
        self.assertIn("kernel-feature", result.err)
        offkube("lab", "apply", "--name", "feat", "--strategy", "nft")  # with the feature, the same lab goes on
        offkube("cleanup", "--labs", preexec_fn=cell.without_netfilter)

    def test_next_strategy_goes_on(self):
        with cell.folder() as path:
            out = f"{path}/out"
            result = offkube("eval", "--quick", "--repeat", 3, "--load", "connect", "--strategy", "nft,none", "--workload", SHOP, "--out", out,
                             preexec_fn=cell.without_netfilter)
            self.assertIn("... continuing", result.err)
            self.assertEqual([(r["strategy"], r["refusal"]) for r in of_type(out, "strategy-refused")], [("nft", "kernel-feature")])
            self.assertEqual({s["strategy"] for s in of_type(out, "sample")}, {"none"})
            self.assertTrue(all(r["ok"] or r["skip"] for r in of_type(out, "reach")))
            self.assertEqual(records(out)[-1]["status"], "complete")
            with open(f"{out}/report.html", encoding="utf-8") as f:
                page = f.read()
            for text in page, result.out:
                self.assertIn("kernel-feature", text)


if __name__ == "__main__":
    cell.main()
