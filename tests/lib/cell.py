#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""For end-to-end tests of `offkube`: a cell to run it in, and what such tests ask.

A cell is a world of its own: network, mount, process and cgroup namespaces, an empty /run, an empty bpffs. So a test may kill, clean up "all labs" and count what is
left without ever meeting a lab, a process or a table of the machine that it runs on. enter() makes it; the end of the test is the end of the cell, with
all that is in it.
"""
import contextlib
import ctypes
import json
import os
import platform
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OFFKUBE = os.path.join(os.environ.get("OFFKUBE_BIN", f"{TOP}/build/bin"), "offkube")
SHOP = f"{TOP}/examples/shop.yaml"
DEADLINE_S = 120  # of anything that should take a second or two: other tests share the machine
INSIDE = "OFFKUBE_TEST_CELL"
BPF_FS = "/sys/fs/bpf"

OK, FAILED, USAGE, CANNOT = 0, 1, 2, 77


def skip(why):
    print(f"SKIP: {why}")
    sys.exit(77)


# ---- the cell ----

def cgroup_mounts():
    """Where the hierarchies are that the program uses: (folder, type, options)."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        for line in f:
            head, tail = line.split(" - ", 1)
            kind, _, options = tail.split()
            if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(",")):
                found.append((head.split()[4], kind, ",".join(o for o in options.split(",") if o not in ("rw", "ro"))))
    return found


def make_cgroup(root):
    """A cgroup for the cell, of this process and all that it starts; False when this hierarchy is there to look at only."""
    path = f"{root}/okt.{os.getpid()}"
    try:
        os.mkdir(path)
        with open(f"{path}/cgroup.procs", "w", encoding="ascii") as f:
            f.write("0")
    except OSError:
        with contextlib.suppress(OSError):
            os.rmdir(path)
        return False
    return True


def drop_cgroup(root):
    path = f"{root}/okt.{os.getpid()}"
    with open(f"{root}/cgroup.procs", "w", encoding="ascii") as f:
        f.write("0")
    for top, folders, _ in os.walk(path, topdown=False):
        for name in folders:
            os.rmdir(f"{top}/{name}")
    os.rmdir(path)


def outside():
    """Starts this program again inside a cell and ends as it ends."""
    if os.geteuid() != 0:
        skip("needs root: namespaces")
    if not shutil.which("unshare") or not shutil.which("ip"):
        skip("needs unshare and ip")
    if subprocess.run(["unshare", "--net", "--mount", "--pid", "--cgroup", "--fork", "true"], stderr=subprocess.DEVNULL,
                      check=False).returncode:
        skip("namespaces cannot be made here")
    mounts = [m for m in cgroup_mounts() if make_cgroup(m[0])]
    env = dict(os.environ, **{INSIDE: json.dumps(mounts)})
    try:
        code = subprocess.run(["unshare", "--net", "--mount", "--pid", "--cgroup", "--ipc", "--fork", "--kill-child", "--mount-proc",
                               sys.executable] + sys.argv, env=env, check=False).returncode
    finally:
        for mount in mounts:
            drop_cgroup(mount[0])
    sys.exit(code if code >= 0 else 1)


def furnish(cgroups):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run"], check=True)
    os.mkdir("/run/lock")
    for path, kind, options in cgroups:
        subprocess.run(["umount", path], check=True)
        subprocess.run(["mount", "-t", kind, *(["-o", options] if options else []), "none", path], check=True)
    # An instance of its own: pins of others are not seen. A kernel without BPF has no such file system.
    subprocess.run(["mount", "-t", "bpf", "-o", "mode=700", "none", BPF_FS], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def be_init():
    """Process 1 of the cell: a child goes on with the test, we bury whoever has lost his parent."""
    child = os.fork()
    if child == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xff)


def enter():
    """Call first of all, before anything is printed: returns inside the cell."""
    where = os.environ.pop(INSIDE, None)
    if where is None:
        outside()
    furnish(json.loads(where))
    be_init()


def main(live=True):
    """What a test program ends with: all its cases, in a cell when they are live ones."""
    if not os.access(OFFKUBE, os.X_OK):
        skip("the program is not built")
    if live:
        enter()
    unittest.main(verbosity=2)


# ---- running the program ----

class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"offkube {' '.join(map(str, self.args))}: exit code {self.code}\n--- stdout\n{self.out[-4000:]}\n--- stderr\n{self.err[-4000:]}"


def offkube(*args, code=OK, timeout=DEADLINE_S, wrapper=(), **kwargs):
    """Runs the program to its end and fails the test unless it ends with `code` (None = any). Output must be UTF-8."""
    words = [*wrapper, OFFKUBE, *map(str, args)]
    done = subprocess.run(words, capture_output=True, timeout=timeout, check=False, **({"stdin": subprocess.DEVNULL} if "input" not in kwargs else {}),
                          **kwargs)
    result = Result(args, done.returncode, done.stdout.decode(), done.stderr.decode())
    if "Sanitizer" in result.err or "runtime error:" in result.err:
        raise AssertionError(f"a sanitizer speaks\n{result}")
    if code is not None and result.code != code:
        raise AssertionError(f"exit code {code} expected\n{result}")
    return result


def start(*args, **kwargs):
    """Starts the program; output is thrown away unless asked for."""
    kwargs = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **kwargs}
    return subprocess.Popen([OFFKUBE, *map(str, args)], **kwargs)


def wait_for(what, condition, timeout=DEADLINE_S):
    """Asks until the answer is true; that answer."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {timeout} s: {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="okt-") as path:
        os.chmod(path, 0o755)
        yield path


@contextlib.contextmanager
def lab(name, *args, workload=SHOP):
    """A kept lab for as long as the block lasts."""
    offkube("lab", "up", "--name", name, "--workload", workload, *args)
    try:
        yield name
    finally:
        offkube("lab", "down", "--name", name)


def lab_state(name):
    with open(f"/run/offkube/lab/{name}/state.json", encoding="utf-8") as f:
        return json.load(f)


# ---- what is there ----

def processes():
    """Command lines of all processes of the cell but the test's own."""
    own = {1, os.getpid()}
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in own:
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                    stat = f.read()
                if stat[stat.rindex(")") + 2] not in "ZX":
                    found[int(name)] = stat[stat.index("(") + 1:stat.rindex(")")]
    return found


def tree(top):
    return sorted(os.path.relpath(f"{folder}/{n}", top) for folder, folders, names in os.walk(top) for n in folders + names)


def sysctls():
    """Everything below /proc/sys/net that is a setting, by name; interfaces come and go, and are told by their own list."""
    found = {}
    for path, _, names in os.walk("/proc/sys/net"):
        for name in names:
            if re.search("count$|random|stat", name):
                continue
            with contextlib.suppress(OSError, UnicodeDecodeError):
                with open(f"{path}/{name}", encoding="ascii") as f:
                    found[f"{path}/{name}"] = f.read().strip()
    return found


def nft_ruleset():
    if not shutil.which("nft"):
        return ""
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout.decode()


def inventory():
    """All that the program could leave on its host."""
    return {
        "namespaces": tree("/run/netns") if os.path.isdir("/run/netns") else [],
        "state": [n for n in tree("/run/offkube") if n not in ("lab", "netns", "lab/.lock")] if os.path.isdir("/run/offkube") else [],
        "cgroups": [f"{m[0]}/{n}" for m in cgroup_mounts() for n in tree(m[0]) if os.path.isdir(f"{m[0]}/{n}")],
        "processes": sorted(processes().values()),
        "pins": tree(BPF_FS),
        "interfaces": sorted(n for _, n in socket.if_nameindex()),
        "tables": nft_ruleset(),
        "sysctls": sysctls(),
        "shared memory": sorted(os.listdir("/dev/shm")),
        "memory segments": subprocess.run(["ipcs", "-m"], capture_output=True, check=True).stdout.decode() if shutil.which("ipcs") else "",
    }


def difference(before, after):
    """Lines that tell what after has and before had not, and the reverse; empty = nothing was left."""
    lines = []
    for key, old in before.items():
        new = after[key]
        if old == new:
            continue
        if isinstance(old, dict):
            lines += [f"{key}: {k}: {old.get(k)} -> {new.get(k)}" for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
        elif isinstance(old, list):
            lines += [f"{key}: left {n}" for n in new if n not in old or new.count(n) > old.count(n)]
            lines += [f"{key}: lost {n}" for n in old if n not in new]
        else:
            lines.append(f"{key}: was\n{old}\nis\n{new}")
    return lines


def assert_nothing_left(before, timeout=DEADLINE_S):
    """Namespaces die in the background: what is left must be gone within the time."""
    deadline = time.monotonic() + timeout
    while True:
        left = difference(before, inventory())
        if not left:
            return
        if time.monotonic() > deadline:
            raise AssertionError("left over:\n" + "\n".join(left))
        time.sleep(0.05)


# ---- a kernel without nf_tables, as far as a process can see ----

NETLINK_NETFILTER = 12


def without_netfilter():
    """For preexec_fn: from here on socket(AF_NETLINK, _, NETLINK_NETFILTER) fails as on a kernel that has no netfilter netlink."""
    nr = {"x86_64": 41, "aarch64": 198}[platform.machine()]
    ret_allow, ret_errno, errno_protonosupport = 0x7fff0000, 0x00050000, 93
    ld, jeq, ret = 0x20, 0x15, 0x06
    program = [
        (ld, 0, 0, 0), (jeq, 0, 5, nr),  # the number of the system call
        (ld, 0, 0, 16), (jeq, 0, 3, socket.AF_NETLINK),
        (ld, 0, 0, 32), (jeq, 0, 1, NETLINK_NETFILTER),
        (ret, 0, 0, ret_errno | errno_protonosupport),
        (ret, 0, 0, ret_allow),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, fprog, 0, 0):  # no new privileges; filter
        os._exit(99)


def kill_hard(process):
    """SIGKILL, as if the machine's memory had run out; waits for the end."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    return process.wait(timeout=DEADLINE_S)
