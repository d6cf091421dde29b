#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is said of options, help and exit codes, and that every --json output is JSON. Nothing here needs a privilege."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import CANNOT, FAILED, OK, SHOP, USAGE, offkube  # noqa: E402

COMMANDS = [["eval"], ["report"], ["bench"], ["plan"], ["compile"], ["trace"], ["probe"], ["cleanup"],
            ["lab", "up"], ["lab", "status"], ["lab", "exec"], ["lab", "apply"], ["lab", "down"]]


class Help(unittest.TestCase):
    def test_each_command_has_examples(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                text = offkube(*command, "--help").out
                self.assertTrue(text.startswith(f"usage: offkube {' '.join(command)}"), text)
                self.assertIn("  --help", text)
                examples = text.partition("\nexamples:\n")[2]
                self.assertRegex(examples, rf"(?m)^  offkube {' '.join(command)}\b", "no example of the command itself")

    def test_examples_parse(self):
        """An example that names an option that does not exist would be worse than none."""
        for command in COMMANDS:
            text = offkube(*command, "--help").out
            known = set(re.findall(r"(?m)^  --([a-z0-9-]+)", text))
            used = set(re.findall(r"(?<= )--([a-z][a-z0-9-]*)", text.partition("\nexamples:\n")[2].replace(" -- ", " ")))
            self.assertLessEqual(used, known, f"examples of {command}")

    def test_program(self):
        listed = set(re.findall(r"(?m)^  (\w+) ", offkube("--help").out))
        self.assertEqual(listed, {c[0] for c in COMMANDS})
        self.assertIn("77", offkube("--help").out)
        self.assertEqual(offkube("help").out, offkube("--help").out)
        self.assertRegex(offkube("--version").out, r"^offkube \d+\.\d+")
        self.assertIn("lab exec", offkube("lab", "--help").out)


class Usage(unittest.TestCase):
    def check(self, *args, says):
        result = offkube(*args, code=USAGE)
        self.assertEqual(result.out, "", "a usage error says nothing on standard output")
        self.assertRegex(result.err, says)
        return result

    def test_no_command(self):
        self.check(says="usage: offkube COMMAND")
        self.check("evil", says='no command "evil"')
        self.check("lab", says="usage:")
        self.check("lab", "sideways", says="usage:")

    def test_unknown_option(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                result = self.check(*command, "--nonsense-of-no-use", says="--nonsense-of-no-use")
                self.assertNotIn("did you mean", result.err)
                self.assertIn(f"usage: offkube {' '.join(command)}", result.err)

    def test_did_you_mean(self):
        for args, meant in (["plan", "--workloads", SHOP], "--workload"), (["eval", "--quik"], "--quick"), (["eval", "--repeats=5"], "--repeat"), \
                (["lab", "up", "--strateg", "nft"], "--strategy"), (["trace", "--packet", "x"], "--packets"), (["cleanup", "--lab"], "--labs"):
            with self.subTest(args=args):
                self.check(*args, says=f"did you mean {meant}\\b")

    def test_values(self):
        self.check("eval", "--repeat", "many", says="--repeat")
        self.check("eval", "--repeat", "2", says="--repeat")
        self.check("eval", "--repeat", "-5", says="--repeat")
        self.check("eval", "--repeat", "99999999999999999999", says="--repeat")
        self.check("eval", "--repeat", "5x", says="--repeat")
        self.check("eval", "--repeat", "", says="--repeat")
        self.check("eval", "--repeat", says="--repeat")
        self.check("eval", "--budget=1", says="--budget")
        self.check("plan", "--json=yes", says="--json")
        self.check("plan", "stray", says="stray")
        self.check("report", says="usage")
        self.check("report", "a", "b", says="b")


class Mistakes(unittest.TestCase):
    """Well-formed, but not to be done: exit code 1 and one line that says why."""

    def check(self, *args, says, code=FAILED):
        result = offkube(*args, code=code)
        self.assertRegex(result.err, says)
        self.assertEqual(result.out, "")

    def test_names(self):
        for command in ["plan"], ["compile"], ["eval"], ["lab", "up"]:
            self.check(*command, "--workload", SHOP, "--strategy", "warp", says='"?warp"?.*see offkube probe')
        self.check("compile", "--workload", SHOP, "--target", "warp", says='warp.*no such target')
        self.check("eval", "--workload", SHOP, "--load", "echo,warp", says='no load "warp"')
        self.check("plan", "--workload", SHOP, "--node", "node-77", says="node-77.*no such node")
        self.check("trace", "--workload", SHOP, "--from", "shop/nobody", "--to", "shop/cart", says="shop/nobody")
        self.check("trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/nothing", says="shop/nothing")
        self.check("trace", "--workload", SHOP, says="--to")
        self.check("bench", "--strategy", "none", says='"none" that carries Services')

    def test_absent(self):
        for command in ["plan"], ["compile"], ["eval"], ["lab", "up"], ["trace", "--to", "10.0.0.1:80"]:
            self.check(*command, says="give --workload")
            self.check(*command, "--workload", "/nonexistent/shop.yaml", says="/nonexistent/shop.yaml: .*No such file")
        self.check("report", "/nonexistent", says="/nonexistent.*No such file")
        self.check("trace", "--workload", SHOP, "--packets", "/nonexistent", says="/nonexistent.*No such file")
        for verb in "exec", "apply":
            self.check("lab", verb, "--name", "okt-nosuch", *(["node/node-1", "--", "true"] if verb == "exec" else []),
                       says="okt-nosuch: there is no such lab")
        for name in "UPPER", "a/b", "../x", "", "a" * 40:
            self.check("lab", "down", "--name", name, says="name")

    def test_packets(self):
        with cell.folder() as path:
            for text, says in ("{}\nnot json\n", r":1: "), ("[1]\n", r":1: "), ("\x00\x01\x02\n", r":1: "), ("{" * 5000, r":1: "), ("[" * 200000, r":1: "):
                with open(f"{path}/p.jsonl", "w", encoding="utf-8") as f:
                    f.write(text)
                self.check("trace", "--workload", SHOP, "--packets", f"{path}/p.jsonl", says=re.escape(f"{path}/p.jsonl") + says)
            self.check("trace", "--workload", SHOP, "--packets", path, says=re.escape(path) + ": cannot be read: Is a directory")


class Json(unittest.TestCase):
    def test_probe(self):
        found = offkube("probe", "--json").json()
        self.assertLessEqual({"kernel", "targets", "strategies"}, set(found))
        targets = {t["target"]: t for t in found["targets"]}
        self.assertTrue(targets["sim"]["usable"])
        for t in targets.values():
            self.assertEqual(t["usable"], t["refusal"] is None)
        self.assertLessEqual({"none", "nft"}, {s["strategy"] for s in found["strategies"]})

    def test_plan(self):
        for strategy in "none", "nft":
            result = offkube("plan", "--workload", SHOP, "--strategy", strategy, "--json", code=None)
            self.assertIn(result.code, (OK, CANNOT), result)
            self.assertIsInstance(result.json(), dict)

    def test_compile(self):
        for target in "sim", "host", "nft":
            self.assertIsInstance(offkube("compile", "--workload", SHOP, "--target", target, "--json").json(), dict)
            self.assertTrue(offkube("compile", "--workload", SHOP, "--target", target).out.strip())

    def test_compile_is_stable(self):
        once = offkube("compile", "--workload", SHOP, "--target", "nft").out
        self.assertEqual(once, offkube("compile", "--workload", SHOP, "--target", "nft").out)

    def test_trace(self):
        import json
        lines = offkube("trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/catalog", "--count", "3", "--json").out.splitlines()
        self.assertEqual(len(lines), 3)
        for line in map(json.loads, lines):
            self.assertEqual((line["target"], line["verdict"]), ("sim", "translate"))
            self.assertEqual(set(line["backend"]), {"ip", "port"})
            self.assertLessEqual({"src", "sport", "dst", "dport", "proto"}, set(line["out"]))
            self.assertIsInstance(line["snat"], bool)

    def test_status(self):
        self.assertIsInstance(offkube("lab", "status", "--json").json(), list)


if __name__ == "__main__":
    cell.main(live=False)
