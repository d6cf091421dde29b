#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""200 TCP connections under load survive whatever the program that carries them does: it exits, applies from scratch, is killed in the middle of an
apply, takes endpoints away, adds others. No error, no reset, no answer from another backend."""
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import offkube  # noqa: E402

LAB = "survive"
N_POD, N_NODE = 150, 50  # connections from a pod and from a node itself
N_KILLED = 12
WEB, STICKY = ("10.96.1.1", "fd00:10:96::101"), ("10.96.1.2", "fd00:10:96::102")
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
  selector: {{{name}: "yes"}}
  {more}
  ports: [{{port: {port}, targetPort: 8080}}]
---
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec: {{containers: [{{name: c, image: none, ports: [{{containerPort: 8080}}]}}]}}
---
"""


def manifests(web, sticky):
    """Pods b0 .. b6 and a client; which of them the two Services have as endpoints."""
    text = SERVICE.format(name="web", ips=WEB, port=80, more="")
    text += SERVICE.format(name="sticky", ips=STICKY, port=81, more="sessionAffinity: ClientIP")
    for i in range(7):
        labels = [f'{name}: "yes"' for name, has in (("web", web), ("sticky", sticky)) if i in has]
        text += POD.format(name=f"b{i}", labels=", ".join(labels))
    return text + POD.format(name="client", labels="")


class Load:
    """A crowd of connections in a place of the lab."""

    def __init__(self, place, *words):
        self.place = place
        self.process = subprocess.Popen([cell.OFFKUBE, "lab", "exec", "--name", LAB, place, "--", sys.executable, RESPONDER, *map(str, words)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def report(self):
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
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.path = f"{self.folder}/cluster.yaml"
        self.before = cell.inventory()
        self.loads = []

    def tearDown(self):
        for load in self.loads:
            load.process.kill()
            load.end()
        offkube("lab", "down", "--name", LAB)
        cell.assert_nothing_left(self.before)

    def write(self, web, sticky):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(manifests(web, sticky))

    def apply(self, *words):
        return offkube("lab", "apply", "--name", LAB, *words).out

    def all_go_on(self, what):
        """Every connection has got at least three answers more, and none has failed."""
        floor = [load.report()["fewest"] + 3 for load in self.loads]
        for load, want in zip(self.loads, floor):
            now = cell.wait_for(f"three more answers each after: {what}",
                                lambda load=load, want=want: next((r for r in [load.report()] if r["fewest"] >= want or r["n_errors"]), None))
            self.assertEqual(now["errors"], [], f"after: {what}")
        self.assertEqual(sum(load.report()["live"] for load in self.loads), N_POD + N_NODE)

    def names(self, port):
        """Backends that hold connections of the port."""
        return {n for load in self.loads for n in load.report()["names"].get(str(port), {})}

    def ask(self, address, port, times):
        """Backends that answer new connections."""
        code = f"import sys; sys.path.insert(0, {os.path.dirname(RESPONDER)!r}); import responder\n" \
               f"print(*{{responder.ask_once({address!r}, {port}) for _ in range({times})}})"
        return set(offkube("lab", "exec", "--name", LAB, "default/client", "--", sys.executable, "-c", code).out.split())

    def test_survival(self):
        web, sticky = {0, 1, 2, 3}, {0, 1, 2}
        self.write(web, sticky)
        offkube("lab", "up", "--name", LAB, "--workload", self.path, "--strategy", "nft")
        self.loads = [Load("default/client", WEB[0], 80, 80, WEB[1], 80, 30, STICKY[0], 81, 20, STICKY[1], 81, N_POD - 130),
                      Load("node/node-1", WEB[0], 80, 30, WEB[1], 80, N_NODE - 30)]
        self.all_go_on("the exit of the process that built the lab")
        self.assertEqual(self.names(80), {f"default/b{i}" for i in web}, "the load is on all backends")

        duration = 0.0
        for _ in range(3):
            begin = time.monotonic()
            self.apply()
            duration = max(duration, time.monotonic() - begin)
            self.all_go_on("an apply from scratch")
        self.apply("--strategy", "nft")
        self.all_go_on("a strategy for itself")

        self.write(web | {4, 5}, sticky | {4})
        self.apply()
        self.all_go_on("endpoints added")
        self.assertIn("default/b5", self.ask(WEB[0], 80, 200), "the new endpoint is in force")

        self.write({0, 3, 4, 5}, {2, 4})  # b1 and b2 leave web, b0 and b1 leave sticky; their pods run on
        self.apply()
        self.all_go_on("endpoints removed")
        self.assertLessEqual({"default/b1", "default/b2"}, self.names(80), "connections to removed endpoints are still there")
        self.assertEqual(self.ask(WEB[0], 80, 200), {f"default/b{i}" for i in (0, 3, 4, 5)}, "new ones go elsewhere")
        self.assertLessEqual(self.ask(STICKY[0], 81, 20), {"default/b2", "default/b4"})

        rng, n_killed = random.Random(3), 0
        for i in range(N_KILLED):
            self.write({0, 3, 4, 5} if i % 2 else {0, 3, 6}, {2, 4} if i % 2 else {2})
            process = cell.start("lab", "apply", "--name", LAB)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0, duration))
            n_killed += cell.kill_hard(process) == -signal.SIGKILL
            self.all_go_on(f"an apply killed, number {i}")
            self.apply()
            self.all_go_on(f"the apply after it, number {i}")
        self.assertGreaterEqual(n_killed, N_KILLED / 2, "killed in the middle")
        self.assertEqual(self.ask(WEB[0], 80, 200), {f"default/b{i}" for i in (0, 3, 4, 5)})
        for load in self.loads:
            report = load.report()
            print(f"{load.place}: {report['live']} connections, {report['answers']} answers, the slowest in {report['slowest_s']:.3f} s")
        while self.loads:
            self.assertEqual(self.loads.pop().end(), 0)


if __name__ == "__main__":
    cell.main()
