#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Applies the mutations of one target to a private copy of the tree and expects its tests to fail. See README.md beside this file.

usage: run.py TARGET BUILD [MUTATION.mut...]
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COPIED = ("CMakeLists.txt", "cmake", "src", "tests", "tools", "examples", "fixtures")
SKIPPED = 77


class Failure(Exception):
    """Ends the run: the baseline or the machinery is broken."""


class Command:
    """The file `command` of a target: what to build, what to run."""

    def __init__(self, path):
        self.build, self.runs, self.timeout = [], [], 300
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                key, _, value = line.partition(":")
                if key == "build":
                    self.build += value.split()
                elif key == "run":
                    self.runs.append(value.split())
                elif key == "timeout":
                    self.timeout = int(value)
                elif line.strip() and not line.startswith("#"):
                    raise Failure(f"{path}:{number}: unknown word {key}")
        if not self.build or not self.runs:
            raise Failure(f"{path}: needs build: and run:")


class Mutation:
    def __init__(self, path):
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.file, self.seds, self.patch = None, [], None
        with open(path, encoding="utf-8") as f:
            self.text = f.readline().strip()
            rest = f.read()
        head, mark, patch = rest.partition("patch:\n")
        if mark:
            self.patch = patch
        for line in head.splitlines():
            key, _, value = line.partition(":")
            if key == "file":
                self.file = value.strip()
            elif key == "sed":
                self.seds.append(value.strip())
            elif line.strip() and not line.startswith("#"):
                raise Failure(f"{path}: unknown line: {line}")
        if not self.text or bool(self.patch) == bool(self.file and self.seds):
            raise Failure(f"{path}: needs a description, and either file: with sed: or patch:")

    def files(self):
        return [self.file] if self.file else re.findall(r"^\+\+\+ b/(\S+)", self.patch, re.M)

    def apply(self, tree):
        """None, or why it does not apply. Every sed expression must change something: a dead one tests nothing."""
        if self.patch:
            done = subprocess.run(["patch", "-p1", "-s", "-F0", "--no-backup-if-mismatch"], cwd=tree, input=self.patch,
                                  capture_output=True, text=True, check=False)
            return None if done.returncode == 0 else (done.stdout + done.stderr).strip()
        path = os.path.join(tree, self.file)
        if not os.path.isfile(path):
            return f"no file {self.file}"
        for sed in self.seds:
            before = read(path)
            done = subprocess.run(["sed", "-E", sed, path], capture_output=True, check=False)
            if done.returncode != 0:
                return done.stderr.decode().strip()
            if done.stdout == before:
                return f"changes nothing: {sed}"
            with open(path, "wb") as f:
                f.write(done.stdout)
        return None


def copy_tree(tree):
    """The tree into its copy; what is equal keeps its time, so that little is built again. What is gone here goes there."""
    wanted = set()
    for name in COPIED:
        path = os.path.join(TOP, name)
        if os.path.isfile(path):
            wanted.add(name)
        for folder, folders, names in os.walk(path):
            folders[:] = [f for f in folders if f != "__pycache__"]
            wanted |= {os.path.relpath(os.path.join(folder, n), TOP) for n in names}
    for folder, _, names in os.walk(tree):
        for name in names:
            if os.path.relpath(os.path.join(folder, name), tree) not in wanted:
                os.unlink(os.path.join(folder, name))
    for name in sorted(wanted):
        restore(tree, name)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def restore(tree, name):
    source, copy = os.path.join(TOP, name), os.path.join(tree, name)
    if os.path.isfile(copy) and read(source) == read(copy):
        return
    os.makedirs(os.path.dirname(copy), exist_ok=True)
    shutil.copyfile(source, copy)  # a new time: ninja must build it
    shutil.copymode(source, copy)


def peer(folder):
    """kube-proxy as tests/peers/build.sh leaves it: the copy's programs lie too deep to find it themselves. None: they look for it in $PATH."""
    while folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
        path = os.path.join(folder, "peers", "kube-proxy")
        if os.path.exists(path):
            return path
    return None


class Bench:
    """The copy, its build folder and its commands."""

    def __init__(self, command, work):
        self.command, self.tree, self.build_folder = command, os.path.join(work, "tree"), os.path.join(work, "build")

    def configure(self):
        copy_tree(self.tree)
        if not os.path.exists(os.path.join(self.build_folder, "build.ninja")):
            self.call(["cmake", "-G", "Ninja", "-S", self.tree, "-B", self.build_folder, "-DCMAKE_BUILD_TYPE=None",
                       "-DCMAKE_C_FLAGS=-O1 -g", "-DOFFKUBE_WERROR=OFF"], "does not configure")

    def call(self, words, what):
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{what}:\n{done.stdout[-4000:]}")

    def build(self, what):
        self.call(["ninja", "-C", self.build_folder, *self.command.build], what)

    def run(self):
        """(exit code of the first run that fails or is skipped or None on timeout, its output); 0 when all pass."""
        env = dict(os.environ, OFFKUBE_SOURCE_DIR=self.tree, OFFKUBE_BUILD_DIR=self.build_folder,
                   OFFKUBE_BIN=os.path.join(self.build_folder, "bin"))
        program = peer(self.build_folder)
        if program:
            env.setdefault("OFFKUBE_KUBE_PROXY", program)
        for words in self.command.runs:
            try:
                done = subprocess.run(words, cwd=self.build_folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True, errors="replace", timeout=self.command.timeout, check=False)
            except subprocess.TimeoutExpired:
                return None, "timeout"
            if done.returncode != 0:
                return done.returncode, done.stdout
        return 0, ""


def try_mutation(bench, mutation):
    """None when it is caught, or what went wrong."""
    try:
        why = mutation.apply(bench.tree)
        if why:
            return f"does not apply: {why}"
        try:
            bench.build("does not compile")
        except Failure as e:
            return str(e)
        code, output = bench.run()
        if code == 0:
            return "SURVIVED: no test failed"
        if code == SKIPPED:
            return f"the tests were skipped: {output.strip()[-400:]}"
        return None
    finally:
        for name in mutation.files():
            if os.path.isfile(os.path.join(TOP, name)):
                restore(bench.tree, name)


def run_all(target, work, only):
    folder = os.path.join(TOP, "tests", "mutation", target)
    names = sorted(n for n in os.listdir(folder) if n.endswith(".mut"))
    names = [n for n in names if not only or n in only]
    if not names:
        raise Failure(f"no mutation in {folder}")
    mutations = [Mutation(os.path.join(folder, n)) for n in names]
    bench = Bench(Command(os.path.join(folder, "command")), os.path.abspath(os.path.join(work, target)))
    os.makedirs(bench.tree, exist_ok=True)
    bench.configure()
    bench.build("the tree does not build without mutations")
    code, output = bench.run()
    if code == SKIPPED:
        reason = re.search(r"^SKIP: .*", output, re.M)
        print(reason.group(0) if reason else "SKIP: the tests of the target were skipped")
        return SKIPPED
    if code != 0:
        raise Failure(f"the tests fail without any mutation (exit code {code}):\n{output[-4000:]}")

    n_failed = 0
    for mutation in mutations:
        start = time.monotonic()
        why = try_mutation(bench, mutation)
        n_failed += why is not None
        print(f"{mutation.name}: {why or 'caught'} ({mutation.text}; {time.monotonic() - start:.1f} s)", flush=True)
    print(f"TESTS: {len(mutations) - n_failed} passed, {n_failed} failed, 0 skipped")
    return 1 if n_failed else 0


def main():
    parser = argparse.ArgumentParser(description="mutations of one target; each must be caught")
    parser.add_argument("target")
    parser.add_argument("build", help="folder for the copy and its build")
    parser.add_argument("mutation", nargs="*", help="only these files")
    args = parser.parse_args()
    try:
        return run_all(args.target, args.build, {os.path.basename(m) for m in args.mutation})
    except (Failure, OSError) as e:
        print(f"mutation/{args.target}: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
