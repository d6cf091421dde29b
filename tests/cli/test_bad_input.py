#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Manifests that are wrong, through every command that reads them: file, line, object and field are named, exit code 1, and nothing has changed. And
large ones, which are right."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import FAILED, SHOP, offkube  # noqa: E402

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    app: %s\nspec: {containers: [{name: c, image: none}]}\n"
SLICE = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-%d, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n" \
        "ports: [{port: 8080}]\nendpoints:\n"

# What is in the file, and what must be said after its name.
BAD = {
    "unknown field": (SERVICE + "  ports: [{port: 80}]\n  clusterIp: 10.96.0.7\n", r":6: Service shop/web: spec\.clusterIp: no such field"),
    "unknown field of a port": (SERVICE + "  ports:\n  - port: 80\n    target: 8080\n", r":7: Service shop/web: spec\.ports\[0\]\.target: "),
    "conflict: two first addresses": (SERVICE + "  clusterIP: 10.96.0.7\n  clusterIPs: [10.96.0.8]\n  ports: [{port: 80}]\n",
                                      r":\d+: Service shop/web: spec\.clusterIPs?"),
    "conflict: headless with an address": (SERVICE + "  clusterIP: None\n  clusterIPs: [10.96.0.8]\n  ports: [{port: 80}]\n", r":\d+: Service shop/web: spec\."),
    "conflict: affinity time without affinity": (SERVICE + "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 5}}\n  ports: [{port: 80}]\n",
                                                 r":5: Service shop/web: spec\.sessionAffinityConfig"),
    "a value twice": (SERVICE + "  ports: [{port: 80}]\n  ports: [{port: 81}]\n", r":6: .*ports"),
    "label value of 1 MB": (POD % ("x" * (1 << 20)), r":6: Pod default/a: metadata\.labels\.app: .*63"),
    "label key of 1 MB": (POD.replace("    app: %s", "    ? " + "k" * (1 << 20) + "\n    : x"), r":7: Pod default/a: metadata\.labels"),
    "name of 1 MB": (SERVICE.replace("web", "w" * (1 << 20)) + "  ports: [{port: 80}]\n", r":\d+: "),
    "duplicate": (SERVICE + "  ports: [{port: 80}]\n---\n" + SERVICE + "  ports: [{port: 81}]\n", r":7: Service shop/web: .*second time.*:1"),
    "endpoint of the wrong family": (SLICE % 0 + "- addresses: [10.0.0.1]\n- addresses: ['fd00::1']\n", r":8: EndpointSlice default/web-0: endpoints\[1\]"),
    "address of the wrong family": (SERVICE + "  ipFamilies: [IPv6]\n  clusterIP: 10.96.0.9\n  ports: [{port: 80}]\n", r":\d+: Service shop/web: spec\."),
    "port out of range": (SERVICE + "  ports: [{port: 70000}]\n", r":5: Service shop/web: spec\.ports\[0\]\.port"),
    "empty": ("", r": "),
    "comments alone": ("# nothing\n---\n# here\n", r": "),
    "binary": ("\x7fELF\x02\x01\x01\x00\x00\x00", r": a binary file"),
    "no YAML": ("a: [1, 2\nb: }\n", r":\d+: "),
    "no object": ("- 1\n- 2\n", r":1: "),
    "cut in the middle": (SERVICE + "  ports: [{port: 8", r":\d+: "),
    "nested deeply": ("[" * 100000, r":\d+: "),
    "aliases that multiply": ("a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(9)), r":\d+: "),
    "no UTF-8": (b"kind: \xff\xfe\n", r":\d*:? ?"),
}


def commands(path, out):
    return [["plan", "--workload", path], ["compile", "--workload", path], ["trace", "--workload", path, "--to", "10.96.0.1:80"],
            ["eval", "--quick", "--workload", path, "--out", out], ["lab", "up", "--name", "bad", "--workload", path]]


class Bad(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.before = cell.inventory()

    def tearDown(self):
        self.assertEqual(cell.difference(self.before, cell.inventory()), [], "nothing may have changed")

    def write(self, content, name="bad.yaml"):
        path = f"{self.folder}/{name}"
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode("latin-1"))
        return path

    def refused(self, args, says):
        result = offkube(*args, code=FAILED)
        self.assertEqual(result.out, "")
        self.assertRegex(result.err, r"(?m)^error: " + says)
        self.assertEqual(result.err.count("error: "), 1, result.err)
        self.assertLess(len(result.err), 1500, "a message is for people")
        self.assertFalse(os.path.exists(f"{self.folder}/out"), "no folder for records")
        return result

    def test_content(self):
        for name, (content, says) in BAD.items():
            path = self.write(content)
            for args in commands(path, f"{self.folder}/out"):
                with self.subTest(what=name, args=args[:2]):
                    self.refused(args, path + says)

    def test_not_there(self):
        for args in commands(f"{self.folder}/absent.yaml", f"{self.folder}/out"):
            self.refused(args, f"{self.folder}/absent.yaml: .*No such file")
        os.mkdir(f"{self.folder}/empty")
        for args in commands(f"{self.folder}/empty", f"{self.folder}/out"):
            self.refused(args, f"{self.folder}/empty: ")

    def test_second_file(self):
        """One good file makes no bad one good."""
        path = self.write(BAD["unknown field"][0])
        for args in commands(SHOP, f"{self.folder}/out"):
            self.refused([*args, "--workload", path], path + BAD["unknown field"][1])

    def test_across_files(self):
        first, second = self.write(SERVICE + "  ports: [{port: 80}]\n", "1.yaml"), self.write(SERVICE + "  ports: [{port: 80}]\n", "2.yaml")
        self.refused(["plan", "--workload", self.folder], f"{second}:1: Service shop/web: .*{first}:1")

    def test_standard_input(self):
        result = offkube("plan", "--workload", "-", input=BAD["unknown field"][0].encode(), code=FAILED)
        self.assertRegex(result.err, r"error: [^:]*:6: Service shop/web: spec\.clusterIp")


class Large(unittest.TestCase):
    """A Service with 5,000 endpoints."""

    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, self.before)

    def path(self):
        path = f"{self.folder}/large.yaml"
        with open(path, "w", encoding="ascii") as f:
            f.write("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.8, ports: [{port: 80, targetPort: 8080}]}\n---\n")
            f.write((POD % "client").replace("name: a", "name: client") + "---\n")
            for i in range(50):
                f.write(SLICE % i + "".join(f"- addresses: [10.200.{i}.{k}]\n" for k in range(1, 101)) + "---\n")
        return path

    def test_thinking(self):
        path = self.path()
        self.assertIn("Services    1", offkube("plan", "--workload", path).out)
        program = offkube("compile", "--workload", path, "--target", "nft").out
        for address in "10.200.0.1", "10.200.49.100":
            self.assertIn(address, program)
        offkube("compile", "--workload", path, "--target", "nft", "--json").json()
        sim, nft = offkube("trace", "--workload", path, "--from", "client", "--to", "web", "--strategy", "nft", "--json").out.splitlines()
        for line in sim, nft:
            self.assertIn('"verdict":"translate"', line.replace(" ", ""))
            self.assertIn("10.200.", line)

    def test_replicas(self):
        path = f"{self.folder}/replicas.yaml"
        with open(path, "w", encoding="ascii") as f:
            f.write("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 5000\n  selector: {matchLabels: {app: web}}\n"
                    "  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: c, image: none, ports: [{containerPort: 8080}]}]}\n"
                    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n")
        self.assertIn("Services    1", offkube("plan", "--workload", path, "--nodes", 50).out)
        self.assertIn('"translate"', offkube("trace", "--workload", path, "--nodes", 50, "--node", "node-7", "--to", "web", "--json").out)

    def test_live(self):
        """In force and read back, in a lab; then applied from scratch: nothing is to do."""
        with cell.lab("large", workload=self.path()):
            self.assertRegex(offkube("lab", "apply", "--name", "large").out, r": 0 added, 0 removed, [1-9]\d{3,} kept")


if __name__ == "__main__":
    cell.main()
