#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""200 TCP connections under load survive whatever the program that carries them does: it exits, applies from scratch, is killed in the middle of an
apply, takes endpoints away, adds others. No error, no reset, no answer from another backend."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cell  # noqa: E402
import survival  # noqa: E402
from cell import offkube  # noqa: E402

N_POD, N_NODE = 150, 50  # connections from a pod and from a node itself
N_KILLED = 12
WEB, STICKY = ("10.96.1.1", "fd00:10:96::101"), ("10.96.1.2", "fd00:10:96::102")


class Survival(survival.Survival):
    LAB = "survive"

    @staticmethod
    def manifests(web, sticky):
        """Which pods the two Services have as endpoints."""
        return survival.service("web", WEB, "web", "{port: 80, targetPort: 8080}") + \
            survival.service("sticky", STICKY, "sticky", "{port: 81, targetPort: 8080}", "sessionAffinity: ClientIP") + \
            survival.pods(7, {"web": web, "sticky": sticky}, "{containerPort: 8080}")

    def ask(self, address, port, times):
        """Backends that answer new connections."""
        code = f"import sys; sys.path.insert(0, {os.path.dirname(survival.RESPONDER)!r}); import responder\n" \
               f"print(*{{responder.ask_once({address!r}, {port}) for _ in range({times})}})"
        return set(offkube("lab", "exec", "--name", self.LAB, "default/client", "--", sys.executable, "-c", code).out.split())

    def change_endpoints(self):
        self.write({0, 1, 2, 3, 4, 5}, {0, 1, 2, 4})
        self.apply()
        self.all_go_on("endpoints added")
        self.assertIn("default/b5", self.ask(WEB[0], 80, 200), "the new endpoint is in force")

        self.write({0, 3, 4, 5}, {2, 4})  # b1 and b2 leave web, b0 and b1 leave sticky; their pods run on
        self.apply()
        self.all_go_on("endpoints removed")
        self.assertLessEqual({"default/b1", "default/b2"}, self.names(80), "connections to removed endpoints are still there")
        self.assertEqual(self.ask(WEB[0], 80, 200), {f"default/b{i}" for i in (0, 3, 4, 5)}, "new ones go elsewhere")
        self.assertLessEqual(self.ask(STICKY[0], 81, 20), {"default/b2", "default/b4"})

    def test_survival(self):
        self.write({0, 1, 2, 3}, {0, 1, 2})
        self.up("nft")
        self.load("default/client", WEB[0], 80, 80, WEB[1], 80, 30, STICKY[0], 81, 20, STICKY[1], 81, N_POD - 130)
        self.load("node/node-1", WEB[0], 80, 30, WEB[1], 80, N_NODE - 30)
        self.all_go_on("the exit of the process that built the lab")
        self.assertEqual(self.names(80), {f"default/b{i}" for i in range(4)}, "the load is on all backends")
        self.apply_again("nft")
        self.change_endpoints()
        self.kill_applies(N_KILLED, ({0, 3, 6}, {2}), ({0, 3, 4, 5}, {2, 4}))
        self.assertEqual(self.ask(WEB[0], 80, 200), {f"default/b{i}" for i in (0, 3, 4, 5)})
        self.end_loads()


if __name__ == "__main__":
    cell.main()
