#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets that bpf-sock has led to a backend survive whatever the program that carries them does: 200 TCP connections, 200 connected UDP sockets and 50
unconnected ones, under traffic, while it exits, applies from scratch, is killed in the middle of an apply, changes the endpoints of others, outgrows its
maps, and changes the strategy. No error, no answer from another backend or another address than before."""
import contextlib
import glob
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

LAB = "bpfsurvive"
N_POD, N_NODE, N_SEND = 150, 50, 50  # TCP connections and connected UDP sockets, each, from a pod and from a node itself; unconnected ones
N_KILLED = 8
N_MORE = 700  # Services, both families: more than the 1,024 elements that maps begin with
WEB, OTHER = ("10.96.1.1", "fd00:10:96::101"), ("10.96.1.2", "fd00:10:96::102")
RESPONDER = f"{cell.TOP}/tests/lib/responder.py"
PINS = f"{cell.BPF_FS}/offkube"

SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  clusterIP: {v4}
  clusterIPs: ["{v4}", "{v6}"]
  ipFamilyPolicy: RequireDualStack
  ipFamilies: [IPv4, IPv6]
  selector: {{{selects}: "yes"}}
  ports: [{{name: t, port: 80, targetPort: 8080}}, {{name: u, port: 53, targetPort: 5300, protocol: UDP}}]
---
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{{labels}}}}}
spec: {{containers: [{{name: c, image: none, ports: [{{containerPort: 8080}}, {{containerPort: 5300, protocol: UDP}}]}}]}}
---
"""


def service(name, ips, selects):
    return SERVICE.format(name=name, v4=ips[0], v6=ips[1], selects=selects)


def manifests(web, other, n_more=0):
    """Pods b0 .. b5 and a client; which of them the two Services have as endpoints; further Services without a use."""
    text = service("web", WEB, "web") + service("other", OTHER, "other")
    text += "".join(service(f"more-{i}", (f"10.96.{8 + i // 250}.{1 + i % 250}", f"fd00:10:96::1:{i + 1:x}"), "other") for i in range(n_more))
    for i in range(6):
        labels = [f'{name}: "yes"' for name, has in (("web", web), ("other", other)) if i in has]
        text += POD.format(name=f"b{i}", labels=", ".join(labels))
    return text + POD.format(name="client", labels="")


class Load:
    """A crowd of sockets in a place of the lab."""

    def __init__(self, place, *words):
        self.place, self.n = place, sum(words[2::3])
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


def dump(name):
    """All elements of a pinned map, of all nodes: [(key, sum of the value's numbers)]."""
    found = []
    for path in sorted(glob.glob(f"{PINS}/*/{name}")):
        done = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", path], capture_output=True, check=True)
        for e in json.loads(done.stdout):
            values = [int.from_bytes(bytes(int(b, 16) for b in v["value"]), "little") for v in e["values"]]
            found.append(((path, tuple(e["key"])), sum(values)))
    return found


def max_entries(name):
    done = [subprocess.run(["bpftool", "-j", "map", "show", "pinned", p], capture_output=True, check=True) for p in glob.glob(f"{PINS}/*/{name}")]
    return max(json.loads(d.stdout)["max_entries"] for d in done)


class Survival(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(cell.folder())
        self.path = f"{self.folder}/cluster.yaml"
        offkube("cleanup", "--labs")
        self.before = cell.inventory()
        self.loads = []

    def tearDown(self):
        for load in self.loads:
            load.process.kill()
            load.end()
        offkube("lab", "down", "--name", LAB)
        cell.assert_nothing_left(self.before)

    def write(self, *args):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(manifests(*args))

    def apply(self, *words):
        return offkube("lab", "apply", "--name", LAB, *words).out

    def all_go_on(self, what):
        """Every socket has got at least three answers more, and none has failed."""
        floor = [load.report()["fewest"] + 3 for load in self.loads]
        for load, want in zip(self.loads, floor):
            now = cell.wait_for(f"three more answers each after: {what}",
                                lambda load=load, want=want: next((r for r in [load.report()] if r["fewest"] >= want or r["n_errors"]), None))
            self.assertEqual(now["errors"], [], f"after: {what}")
            self.assertEqual(now["live"], load.n)

    def start_loads(self):
        half_pod, half_node = N_POD // 2, N_NODE // 2
        self.loads = [
            Load("default/client", WEB[0], 80, half_pod, WEB[1], 80, N_POD - half_pod, f"udp:{WEB[0]}", 53, half_pod, f"udp:{WEB[1]}", 53, N_POD - half_pod),
            Load("node/node-1", WEB[0], 80, half_node, WEB[1], 80, N_NODE - half_node, f"udp:{WEB[0]}", 53, half_node, f"udp:{WEB[1]}", 53, N_NODE - half_node),
            Load("default/client", f"send:{WEB[0]}", 53, N_SEND // 2, f"send:{WEB[1]}", 53, N_SEND - N_SEND // 2),
        ]

    def restart_and_reapply(self):
        duration = 0.0
        for _ in range(3):
            begin = time.monotonic()
            self.apply()
            duration = max(duration, time.monotonic() - begin)
            self.all_go_on("an apply from scratch")
        self.apply("--strategy", "socket")
        self.all_go_on("a strategy for itself")
        return duration

    def change_others(self):
        self.write({0, 1, 2, 3, 4}, {4, 5})
        self.apply()
        self.all_go_on("endpoints added, another Service changed")
        self.write({0, 1, 2, 3, 4}, {5})
        self.apply()
        self.all_go_on("an endpoint of another Service removed")

    def kill_applies(self, duration):
        rng, n_killed = random.Random(3), 0
        for i in range(N_KILLED):
            self.write({0, 1, 2, 3, 4} if i % 2 else {0, 1, 2, 3, 4, 5}, {5} if i % 2 else {3, 4})
            process = cell.start("lab", "apply", "--name", LAB)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=rng.uniform(0, duration))
            n_killed += cell.kill_hard(process) == -signal.SIGKILL
            self.all_go_on(f"an apply killed, number {i}")
            self.apply()
            self.all_go_on(f"the apply after it, number {i}")
        self.assertGreaterEqual(n_killed, N_KILLED / 2, "killed in the middle")

    def grow(self):
        counted, size = dict(dump("connections")), max_entries("services")
        self.assertGreaterEqual(sum(counted.values()), 2 * (N_POD + N_NODE) + N_SEND, "each socket was counted")
        self.write({0, 1, 2, 3, 4}, {5}, N_MORE)
        self.apply()
        self.all_go_on("growth beyond the size of the maps")
        self.assertGreater(max_entries("services"), size, "the maps are larger")
        now = dict(dump("connections"))
        self.assertEqual({k: now.get(k) for k in counted}, counted, "the counts went along")
        self.write({0, 1, 2, 3, 4}, {5})
        self.apply()
        self.all_go_on("all of them gone again")

    def change_strategies(self):
        # An unconnected socket is led datagram by datagram: whoever carries it anew chooses anew (README, observed differences).
        self.assertEqual(self.loads.pop().end(), 0)
        for name in "nft", "socket", "socket-host", "socket":
            self.apply("--strategy", name)
            self.all_go_on(f"a change to strategy {name}")

    def test_survival(self):
        self.write({0, 1, 2, 3}, {4, 5})
        offkube("lab", "up", "--name", LAB, "--workload", self.path, "--strategy", "socket")
        self.start_loads()
        self.all_go_on("the exit of the process that built the lab")
        names = {n for load in self.loads for by_name in load.report()["names"].values() for n in by_name}
        self.assertEqual(names, {f"default/b{i}" for i in range(4)}, "the load is on all backends")
        duration = self.restart_and_reapply()
        self.change_others()
        self.kill_applies(duration)
        self.grow()
        self.change_strategies()
        for load in self.loads:
            report = load.report()
            print(f"{load.place}: {report['live']} sockets, {report['answers']} answers, the slowest in {report['slowest_s']:.3f} s")
        while self.loads:
            self.assertEqual(self.loads.pop().end(), 0)


if __name__ == "__main__":
    cell.main()
