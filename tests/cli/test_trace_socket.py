#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""offkube trace under strategy socket: each way that a call can go, and what the tier below then sees."""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
from cell import SHOP, offkube  # noqa: E402


def lines(*args):
    return [json.loads(line) for line in offkube("trace", "--workload", SHOP, "--json", *args).out.splitlines()]


def trace(*args):
    return {line["target"]: line for line in lines(*args)}


class TraceSocket(unittest.TestCase):
    def setUp(self):
        self.addCleanup(cell.assert_nothing_left, cell.inventory())

    def test_translated(self):
        """The packet that leaves goes to the backend; nft sees no Service any more."""
        for extra in ([], ["--maglev"]):
            got = trace("--from", "shop/frontend-0", "--to", "shop/catalog", "--strategy", "socket", *extra)
            self.assertEqual(got["bpf-sock"]["reason"], "chosen")
            self.assertEqual(got["bpf-sock"]["out"]["dst"], got["bpf-sock"]["backend"]["ip"])
            self.assertEqual(got["bpf-sock"]["out"]["src"], got["sim"]["out"]["src"])
            self.assertEqual(got["nft"]["reason"], "not-service")
            self.assertEqual(got["nft"]["out"], got["bpf-sock"]["out"])

    def test_maglev(self):
        """With the model's hash and a bound port it is the model's backend, connection by connection."""
        got = lines("--from", "shop/frontend-0", "--to", "shop/catalog", "--count", 20, "--strategy", "socket", "--maglev")
        for target in "sim", "bpf-sock":
            self.assertEqual(len([x for x in got if x["target"] == target]), 20)
        self.assertEqual([x["backend"] for x in got if x["target"] == "sim"], [x["backend"] for x in got if x["target"] == "bpf-sock"])
        self.assertGreater(len({x["backend"]["ip"] for x in got if x["target"] == "sim"}), 1)

    def test_refused(self):
        """The call fails, so there is no packet for the tier below."""
        got = trace("--from", "shop/frontend-0", "--to", "shop/reviews", "--strategy", "socket")
        self.assertEqual((got["bpf-sock"]["reason"], got["bpf-sock"]["out"]), ("no-endpoints", None))
        self.assertNotIn("nft", got)
        text = offkube("trace", "--workload", SHOP, "--from", "shop/frontend-0", "--to", "shop/reviews", "--target", "bpf-sock").out
        self.assertIn("the socket call fails: Connection refused", text)

    def test_left(self):
        """A client that is a backend of the Service is the tier's below."""
        got = trace("--from", "shop/cart-0", "--to", "shop/cart:7002", "--strategy", "socket")
        self.assertEqual((got["bpf-sock"]["verdict"], got["bpf-sock"]["reason"]), ("pass", "left-hairpin"))
        self.assertEqual(got["nft"]["reason"], "chosen")

    def test_of_nobody_here(self):
        got = trace("--from", "192.0.2.1", "--to", "shop/cart:7002", "--node", "node-1", "--strategy", "socket")
        self.assertEqual(got["bpf-sock"]["reason"], "left-client")
        self.assertEqual(got["nft"]["reason"], "chosen")

    def test_node_and_affinity(self):
        got = lines("--from", "node", "--to", "shop/cart:7002", "--count", 3, "--target", "bpf-sock")
        self.assertEqual([line["reason"] for line in got], ["chosen", "affinity", "affinity"])
        self.assertEqual(len({line["backend"]["ip"] for line in got}), 1)

    def test_datagram(self):
        got = trace("--from", "shop/frontend-0", "--to", "shop/telemetry:statsd", "--proto", "udp", "--strategy", "socket")
        self.assertEqual((got["bpf-sock"]["reason"], got["bpf-sock"]["out"]["proto"]), ("chosen", "udp"))


if __name__ == "__main__":
    cell.main()
