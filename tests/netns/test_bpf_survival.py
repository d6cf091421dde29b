#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets that bpf-sock has led to a backend survive whatever the program that carries them does: 200 TCP connections, 200 connected UDP sockets and 50
unconnected ones, under traffic, while it exits, applies from scratch, is killed in the middle of an apply, changes the endpoints of others, outgrows its
maps, and changes the strategy. No error, no answer from another backend or another address than before."""
import glob
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
import survival  # noqa: E402

N_POD, N_NODE, N_SEND = 150, 50, 50  # TCP connections and connected UDP sockets, each, from a pod and from a node itself; unconnected ones
N_KILLED = 8
N_MORE = 700  # Services, both families: more than the 1,024 elements that maps begin with
WEB, OTHER = ("10.96.1.1", "fd00:10:96::101"), ("10.96.1.2", "fd00:10:96::102")
PINS = f"{cell.BPF_FS}/offkube"


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


class Survival(survival.Survival):
    LAB = "bpfsurvive"

    @staticmethod
    def manifests(web, other, n_more=0):
        """Which pods the two Services have as endpoints; further Services without a use."""
        ports = "{name: t, port: 80, targetPort: 8080}, {name: u, port: 53, targetPort: 5300, protocol: UDP}"
        text = survival.service("web", WEB, "web", ports) + survival.service("other", OTHER, "other", ports)
        for i in range(n_more):
            text += survival.service(f"more-{i}", (f"10.96.{8 + i // 250}.{1 + i % 250}", f"fd00:10:96::1:{i + 1:x}"), "other", ports)
        return text + survival.pods(6, {"web": web, "other": other}, "{containerPort: 8080}, {containerPort: 5300, protocol: UDP}")

    def start_loads(self):
        half_pod, half_node = N_POD // 2, N_NODE // 2
        self.load("default/client", WEB[0], 80, half_pod, WEB[1], 80, N_POD - half_pod, f"udp:{WEB[0]}", 53, half_pod, f"udp:{WEB[1]}", 53, N_POD - half_pod)
        self.load("node/node-1", WEB[0], 80, half_node, WEB[1], 80, N_NODE - half_node, f"udp:{WEB[0]}", 53, half_node, f"udp:{WEB[1]}", 53, N_NODE - half_node)
        self.load("default/client", f"send:{WEB[0]}", 53, N_SEND // 2, f"send:{WEB[1]}", 53, N_SEND - N_SEND // 2)

    def change_others(self):
        self.write({0, 1, 2, 3, 4}, {4, 5})
        self.apply()
        self.all_go_on("endpoints added, another Service changed")
        self.write({0, 1, 2, 3, 4}, {5})
        self.apply()
        self.all_go_on("an endpoint of another Service removed")

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
        self.up("socket")
        self.start_loads()
        self.all_go_on("the exit of the process that built the lab")
        self.assertEqual(self.names(80) | self.names(53), {f"default/b{i}" for i in range(4)}, "the load is on all backends")
        self.apply_again("socket")
        self.change_others()
        self.kill_applies(N_KILLED, ({0, 1, 2, 3, 4, 5}, {3, 4}), ({0, 1, 2, 3, 4}, {5}))
        self.grow()
        self.change_strategies()
        self.end_loads()


if __name__ == "__main__":
    cell.main()
