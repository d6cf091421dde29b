# SPDX-License-Identifier: GPL-2.0-or-later
"""For tests of what survives in a lab: crowds of sockets under traffic, and under them applies that come from scratch, or are killed in the middle."""
import contextlib
import json
import random
import signal
import subprocess
import sys
import time
import unittest

import cell
from cell import offkube

RESPONDER = f"{cell.TOP}/tests/lib/responder.py"

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  clusterIP: {ips[0]}
  clusterIPs: ["{ips[0]}", "{ips[1]}"]
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {{{selects}: "yes"}}
  ports: [{ports}]
  {more}
---
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec: {{containers: [{{name: c, image: none, ports: [{ports}]}}]}}
---
"""


def service(name, ips, selects, ports, more=""):
    """A Service of both families; ports and more are YAML, for the list of ports and for further lines of the spec."""
    return SERVICE.format(name=name, ips=ips, selects=selects, ports=ports, more=more)


def pods(n, members, ports):
    """Pods b0, b1 .. and a client; members says which of them a Service selects: {name: numbers}."""
    text = POD.format(name="client", labels="", ports=ports)
    for i in range(n):
        labels = ", ".join(f'{name}: "yes"' for name, has in members.items() if i in has)
        text += POD.format(name=f"b{i}", labels=labels, ports=ports)
    return text


class Load:
    """A crowd of sockets in a place of a lab; words as responder.py takes them."""

    def __init__(self, lab, place, *words):
        self.place, self.n = place, sum(words[2::3])
        self.process = subprocess.Popen([cell.OFFKUBE, "lab", "exec", "--name", lab, place, "--", sys.executable, RESPONDER, *map(str, words)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def report(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("report\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the load of {self.place} ended with {self.process.wait()}")
        return json.loads(line)

    def end(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        code = self.process.wait(timeout=cell.DEADLINE_S)
        self.process.stdout.close()
        return code


class Survival(unittest.TestCase):
    """Who derives from it names its lab, and says with manifests() what is in it."""

    LAB = ""

    @staticmethod
    def manifests(*args):
        raise NotImplementedError

    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.path = f"{self.folder}/cluster.yaml"
        offkube("cleanup", "--labs")
        self.before = cell.inventory()
        self.loads = []
        self.apply_s = 0.0

    def tearDown(self):
        for load in self.loads:
            load.process.kill()
            load.end()
        offkube("lab", "down", "--name", self.LAB)
        cell.assert_nothing_left(self.before)

    def write(self, *args):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(self.manifests(*args))

    def up(self, strategy):
        offkube("lab", "up", "--name", self.LAB, "--workload", self.path, "--strategy", strategy)

    def load(self, place, *words):
        self.loads.append(Load(self.LAB, place, *words))

    def apply(self, *words):
        begin = time.monotonic()
        offkube("lab", "apply", "--name", self.LAB, *words)
        self.apply_s = time.monotonic() - begin

    def all_go_on(self, what):
        """Every socket has got at least three answers more, and none has failed."""
        floor = [load.report()["fewest"] + 3 for load in self.loads]
        for load, want in zip(self.loads, floor):
            now = cell.wait_for(f"three more answers each after: {what}",
                                lambda load=load, want=want: next((r for r in [load.report()] if r["fewest"] >= want or r["n_errors"]), None))
            self.assertEqual(now["errors"], [], f"after: {what}")
            self.assertEqual(now["live"], load.n)

    def names(self, port):
        """Backends that hold sockets of the port."""
        return {n for load in self.loads for n in load.report()["names"].get(str(port), {})}

    def apply_again(self, strategy):
        """The model that is in force, from scratch, and the strategy that is in force."""
        for _ in range(3):
            self.apply()
            self.all_go_on("an apply from scratch")
        self.apply("--strategy", strategy)
        self.all_go_on("a strategy for itself")

    def kill_applies(self, n, *models):
        """n applies killed at a moment of chance, each made good by a whole one, from one model to the next, up to the last. One that was faster does not count."""
        rng, n_killed, i = random.Random(3), 0, 0
        while n_killed < n or i % len(models):
            self.write(*models[i % len(models)])
            process = cell.start("lab", "apply", "--name", self.LAB)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0, self.apply_s))
            code = cell.kill_hard(process)
            self.assertIn(code, (0, -signal.SIGKILL))
            n_killed += code == -signal.SIGKILL
            self.all_go_on(f"an apply killed, number {i}")
            self.apply()
            self.all_go_on(f"the apply after it, number {i}")
            i += 1

    def end_loads(self):
        """None of them has seen anything wrong to its end."""
        for load in self.loads:
            report = load.report()
            print(f"{load.place}: {report['live']} sockets, {report['answers']} answers, the slowest in {report['slowest_s']:.3f} s")
        while self.loads:
            self.assertEqual(self.loads.pop().end(), 0)
