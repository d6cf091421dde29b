#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""offkube lab: two labs side by side, exec into every kind of place, status, changes by apply, and owners that were killed."""
import contextlib
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import FAILED, SHOP, offkube  # noqa: E402

LIB = f"{cell.TOP}/tests/lib"

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: c, image: none, ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{clusterIP: 10.96.3.3, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: client}}
spec: {{containers: [{{name: c, image: none}}]}}
"""


def execute(lab, place, *command, **kwargs):
    return offkube("lab", "exec", "--name", lab, place, "--", *command, **kwargs)


def ask(lab, place, address, port, times=1):
    """Backends that answer new connections from the place."""
    code = f"import sys; sys.path.insert(0, {LIB!r}); import responder\n" \
           f"print(*{{responder.ask_once({address!r}, {port}) for _ in range({times})}})"
    return set(execute(lab, place, sys.executable, "-c", code).out.split())


class Lab(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        offkube("cleanup", "--labs")
        self.before = cell.inventory()
        self.addCleanup(cell.assert_nothing_left, self.before)
        self.addCleanup(offkube, "cleanup", "--labs")

    def status(self):
        return {s["name"]: s for s in offkube("lab", "status", "--json").json()}

    def write(self, replicas):
        path = f"{self.folder}/web.yaml"
        with open(path, "w", encoding="ascii") as f:
            f.write(WEB.format(replicas=replicas))
        return path

    def test_two_at_once(self):
        with cell.lab("one", workload=self.write(2)):
            with cell.lab("two", "--strategy", "none", "--nodes", "3", "--clients", "2"):
                status = self.status()
                self.assertEqual(status["one"], {"name": "one", "alive": True, "owner": 0, "strategy": "nft", "nodes": 2, "pods": 3, "servers": 2})
                self.assertEqual((status["two"]["strategy"], status["two"]["nodes"], status["two"]["owner"]), ("none", 3, 0))
                self.assertGreater(status["two"]["servers"], 10)
                text = offkube("lab", "status").out
                self.assertRegex(text, r"(?m)^one +up +strategy nft +nodes 2 pods 3 servers 2$")
                self.assertRegex(text, r"(?m)^two +up +strategy none +nodes 3 pods \d+ ")
                self.assertEqual(offkube("lab", "up", "--name", "one", "--workload", SHOP, code=FAILED).err.count("one: a lab of this name is up"), 1)
                self.assertEqual(ask("one", "default/client", "10.96.3.3", 80, 50), {"default/web-0", "default/web-1"})
                for n in range(2):
                    self.assertIn("inet", execute("two", f"client/{n}", "ip", "-4", "addr", "show", "dev", "eth0").out)
            self.assertEqual(list(self.status()), ["one"])
            self.assertEqual(ask("one", "client/0", "10.96.3.3", 80, 50), {"default/web-0", "default/web-1"}, "the end of the other is nothing to this one")
        self.assertEqual(self.status(), {})
        self.assertEqual(offkube("lab", "status").out, "")

    def test_exec(self):
        with cell.lab("exec", workload=self.write(2)):
            namespaces = {p: execute("exec", p, "readlink", "/proc/self/ns/net").out for p in
                          ("node/node-1", "node/node-2", "client/0", "default/client", "default/web-0", "default/web-1")}
            self.assertEqual(len({*namespaces.values(), os.readlink("/proc/self/ns/net") + "\n"}), 7, "seven different networks")
            self.assertEqual(execute("exec", "client", "readlink", "/proc/self/ns/net").out, namespaces["default/client"], "namespace default")
            self.assertEqual(execute("exec", "client", "sh", "-c", "cat; exit 42", input=b"words", code=42).out, "words", "input, output, exit code")
            for place in "node/node-7", "client/1", "client/x", "client/", "client/-0", "client/ 0", "client/4294967296", "default/nobody", "nobody", "/", "":
                self.assertIn("no such node, pod or client", execute("exec", place, "true", code=FAILED).err)
            self.assertIn("cannot be run", execute("exec", "client", "/nonexistent", code=FAILED).err)
            self.assertIn("give a place and a command", offkube("lab", "exec", "--name", "exec", "client", code=FAILED).err)

    def test_apply_scales(self):
        """More and fewer pods, by the manifests; also when an apply was killed on the way."""
        with cell.lab("scale", workload=self.write(2)):
            for i, replicas in enumerate([4, 1, 6, 3, 8, 1]):
                self.write(replicas)
                if i >= 2:
                    process = cell.start("lab", "apply", "--name", "scale")
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=0.03 * i)
                    cell.kill_hard(process)
                offkube("lab", "apply", "--name", "scale")
                self.assertEqual(ask("scale", "client", "10.96.3.3", 80, 40 * replicas), {f"default/web-{k}" for k in range(replicas)})
                self.assertEqual(self.status()["scale"]["servers"], replicas)
                self.assertEqual(sorted(cell.processes().values()), ["ok-pod"] * replicas)
                self.assertEqual(len([n for n in cell.tree("/run/netns") if ".pod." in n]), replicas + 1)

    def test_apply_mends(self):
        """What somebody took out of a running lab is put back."""
        with cell.lab("mend", workload=self.write(3)):
            everybody = {f"default/web-{k}" for k in range(3)}
            for s in cell.lab_state("mend")["servers"][:2]:
                os.kill(s["pid"], 9)
            for place, command in ("node/node-1", "nft delete table ip offkube"), ("node/node-2", "nft flush chain ip offkube services"), \
                    ("default/web-0", "ip link del eth0"), ("node/node-1", "ip route flush root 10.244.0.0/16"):
                if "nft" not in command or cell.shutil.which("nft"):
                    execute("mend", place, *command.split(), code=None)
            offkube("lab", "apply", "--name", "mend")
            self.assertEqual(ask("mend", "client", "10.96.3.3", 80, 60), everybody)
            self.assertEqual(ask("mend", "node/node-2", "10.96.3.3", 80, 60), everybody)
            self.assertRegex(offkube("lab", "apply", "--name", "mend").out, r": 0 added, 0 removed, \d+ kept")

    def test_strategies_change(self):
        with cell.lab("change", "--strategy", "none", workload=self.write(2)):
            for strategy in "nft", "none", "nft":
                offkube("lab", "apply", "--name", "change", "--strategy", strategy)
                self.assertEqual(self.status()["change"]["strategy"], strategy)
                if strategy == "nft":
                    self.assertEqual(ask("change", "client", "10.96.3.3", 80, 40), {"default/web-0", "default/web-1"})
            offkube("lab", "apply", "--name", "change")
            self.assertEqual(self.status()["change"]["strategy"], "nft", "the one in force is the default")

    def test_wrong_manifests_change_nothing(self):
        path = self.write(2)
        with cell.lab("wrong", workload=path):
            with open(path, "a", encoding="ascii") as f:
                f.write("---\napiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {portz: 1}\n")
            before = cell.inventory()
            self.assertIn("spec.portz: no such field", offkube("lab", "apply", "--name", "wrong", code=FAILED).err)
            self.assertEqual(cell.difference(before, cell.inventory()), [])
            self.write(2)
            self.assertTrue(ask("wrong", "client", "10.96.3.3", 80))

    def test_owner_killed(self):
        process = cell.start("eval", "--quick", "--workload", SHOP, "--out", f"{self.folder}/out")
        found = cell.wait_for("a lab of eval with servers", lambda: [s for s in self.status().values() if s["servers"]])[0]
        self.assertEqual(found["owner"], process.pid)
        self.assertIn(f"belongs to process {process.pid}", offkube("lab", "down", "--name", found["name"], code=FAILED).err)
        self.assertIn("belongs to a process", offkube("lab", "exec", "--name", found["name"], "node/node-1", "--", "true", code=FAILED).err)
        offkube("cleanup", "--labs")  # spares what lives
        self.assertIn(found["name"], self.status())
        cell.kill_hard(process)
        self.assertFalse(self.status()[found["name"]]["alive"])
        self.assertEqual(offkube("lab", "down", "--name", found["name"]).out, "1 lab removed\n")
        self.assertNotIn(found["name"], self.status())
        offkube("lab", "down", "--all")
        cell.assert_nothing_left({**self.before, "cgroups": cell.inventory()["cgroups"]})
        offkube("cleanup")  # the CPU meter's group is no lab's
        cell.assert_nothing_left(self.before)

    def test_down(self):
        self.assertEqual(offkube("lab", "down", "--name", "absent").out, "0 labs removed\n")
        for name in "a", "b":
            offkube("lab", "up", "--name", name, "--workload", self.write(1))
        self.assertEqual(offkube("lab", "down", "--all").out, "2 labs removed\n")
        cell.assert_nothing_left(self.before)


if __name__ == "__main__":
    cell.main()
