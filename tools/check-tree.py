#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of the tree itself; each is one CTest test (check/NAME), all are `make check`.

usage: tools/check-tree.py [--root DIR] NAME...	names: see CHECKS at the end; --list-c prints the C files that clang-format formats

A finding is one line "file:line: sentence"; any finding makes exit code 1. A check that cannot run here prints SKIP and exits 77.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 100
REASON = "Long because"  # what the comment above a longer function says

# Hosts that a tracked file may name in an address. Package registries and mirrors are no business of the tree.
HOSTS = {
    "www.gnu.org", "spdx.org", "www.w3.org", "www.kernel.org", "git.kernel.org", "docs.kernel.org", "lore.kernel.org",
    "kubernetes.io", "github.com", "www.debian.org", "www.rfc-editor.org", "datatracker.ietf.org", "research.google",
    "opensource.org", "example.com", "www.example.com", "localhost",
}


class Skip(Exception):
    """This check cannot run on this host."""


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = sorted(self.list_files())

    def list_files(self):
        """Tracked files and those that could be; without git, everything that is no build product."""
        git = subprocess.run(["git", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             capture_output=True, check=False) if os.path.exists(f"{self.root}/.git") else None
        if git and git.returncode == 0:
            names = git.stdout.decode().split("\0")
            return {n for n in names if n and os.path.isfile(f"{self.root}/{n}")}
        found = set()
        for folder, folders, names in os.walk(self.root):
            folders[:] = [f for f in folders if f not in (".git", "__pycache__")
                          and not (folder == self.root and f in ("build", "out"))]
            found |= {os.path.relpath(f"{folder}/{n}", self.root) for n in names}
        return found

    def text(self, name):
        """The text of a file; None when it is binary."""
        with open(f"{self.root}/{name}", "rb") as f:
            data = f.read()
        return None if b"\0" in data else data.decode("utf-8", "replace")

    def matching(self, regex):
        return [n for n in self.files if re.search(regex, n)]


def strip_comments(text):
    """C text with comments blanked; lines and strings stay."""
    def blank(match):
        return match.group(0) if match.group(0)[0] in "\"'" else re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)


# --- the room law -------------------------------------------------------------------------------------------------------------------

class Rooms:
    """The table tools/rooms.txt."""

    def __init__(self, tree):
        self.sees, self.modules, self.headers = {}, {}, {}
        for number, line in enumerate(tree.text("tools/rooms.txt").splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            match = re.fullmatch(r"(room|header)\s+(\S+)\s*:([^;]*)(?:;(.*))?", line)
            if not match:
                raise SystemExit(f"tools/rooms.txt:{number}: cannot read: {line}")
            kind, name, words, modules = match.groups()
            if kind == "room":
                self.sees[name] = set(words.split())
                self.modules[name] = set((modules or "").split())
            else:
                self.headers[name] = words.split()
        self.public = {}  # "net/addr.h" -> room
        for name in tree.matching(r"^src/.*/include/"):
            self.public[name.split("/include/", 1)[1]] = self.room_of(name)

    def room_of(self, name):
        """The room of a file under src/; "*" for those that may see everything."""
        parts = name.split("/")
        if parts[1] == "app" or name == "src/target/registry.c":
            return "*"
        if parts[1] == "target" and len(parts) > 3 and parts[2] != "include":
            return f"target/{parts[2]}"
        return parts[1]

    def row(self, room, table):
        if room.startswith("target/"):
            return table["target/*"] | table.get(room, set())
        return table[room]

    def known(self, room):
        return room == "*" or room.startswith("target/") or room in self.sees

    def folder(self, room, name):
        return "src" if room == "*" else f"src/{room}"


def check_include(rooms, tree, name, line, quote, what):
    room = rooms.room_of(name)
    owner = rooms.public.get(what)
    if owner and room in ("*", owner):
        return None
    if owner:
        if owner in rooms.row(room, rooms.sees):
            return None
        if owner.startswith("target/"):
            return f"{name}:{line}: only src/app and src/target/registry.c may name a concrete target ({what})"
        return f"{name}:{line}: room {room} may not see room {owner} ({what})"
    if room == "*" and what == "version.h":  # made by the build
        return None
    if quote == "<":
        for module, prefixes in rooms.headers.items():
            if any(what.startswith(p) for p in prefixes) and room != "*" and module not in rooms.row(room, rooms.modules):
                return f"{name}:{line}: room {room} does not link {module} ({what})"
        return None
    folder = rooms.folder(room, name)
    if what.endswith(".skel.h") and f"{folder}/prog/{what[:-len('.skel.h')]}.bpf.c" in tree.files:  # made by the build
        return None
    path = os.path.normpath(os.path.join(os.path.dirname(name), what))
    if "/prog/" in name and path not in tree.files:  # BPF programs see the headers that they share with user space
        path = f"{folder}/{what}"
    if path in tree.files:
        if path.startswith(f"{folder}/") and rooms.room_of(path) in (room, "*"):
            return None
        return f"{name}:{line}: a private header of another room ({what})"
    return f"{name}:{line}: neither a public header nor beside the file ({what})"


def find_cycle(sees):
    state = {}

    def visit(room, way):
        if state.get(room) == "done":
            return None
        if room in way:
            return way[way.index(room):] + [room]
        for other in sorted(sees.get(room, set()) - {"*"}):
            cycle = visit(other, way + [room])
            if cycle:
                return cycle
        state[room] = "done"
        return None

    for room in sees:
        cycle = visit(room, [])
        if cycle:
            return cycle
    return None


def check_rooms(tree):
    rooms = Rooms(tree)
    findings = []
    cycle = find_cycle(rooms.sees)
    if cycle:
        findings.append(f"tools/rooms.txt:1: a circle: {' '.join(cycle)}")
    for name in tree.matching(r"^src/.*\.(c|h|def)$"):
        if not rooms.known(rooms.room_of(name)):
            findings.append(f"{name}:1: no room of tools/rooms.txt")
            continue
        for number, line in enumerate(strip_comments(tree.text(name)).splitlines(), 1):
            match = re.match(r'\s*#\s*include(?:_next)?\b\s*(["<]?)([^">]*)', line)
            if not match:
                continue
            if not match.group(1):
                findings.append(f"{name}:{number}: an include by macro cannot be checked")
                continue
            finding = check_include(rooms, tree, name, number, match.group(1), match.group(2))
            if finding:
                findings.append(finding)
    return findings


# --- headers compile alone --------------------------------------------------------------------------------------------------------

def include_folders(rooms, tree, name):
    room = rooms.room_of(name)
    folders = sorted({n.split("/include/")[0] + "/include" for n in tree.matching(r"^src/.*/include/")})
    if room == "*":
        return folders + ["src/app"]
    seen = rooms.row(room, rooms.sees) | {room}
    return [f for f in folders if f[len("src/"):-len("/include")] in seen]


def check_headers(tree):
    """Every header, public or private, with the include path of its room. BPF programs have their own compiler and are left out."""
    compiler = shutil.which("gcc")
    if not compiler:
        raise Skip("no gcc")
    rooms = Rooms(tree)

    def compile_one(name):
        command = [compiler, "-x", "c", "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
        command += [f"-I{f}" for f in include_folders(rooms, tree, name)] + ["-include", name, "/dev/null"]
        done = subprocess.run(command, cwd=tree.root, capture_output=True, text=True, check=False)
        return [] if done.returncode == 0 else [f"{name}:1: does not compile alone:\n{done.stderr.rstrip()}"]

    headers = [n for n in tree.matching(r"^src/.*\.h$") if "/prog/" not in n and rooms.known(rooms.room_of(n))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [f for findings in pool.map(compile_one, headers) for f in findings]


# --- layout -----------------------------------------------------------------------------------------------------------------------

def formatted(tree):
    return tree.matching(r"^(src|tests)/.*\.[ch]$")


def check_format(tree):
    tool = shutil.which("clang-format-14")
    if not tool:
        raise Skip("no clang-format-14")
    names = formatted(tree)
    if not names:
        return []
    done = subprocess.run([tool, "--dry-run", "--Werror", "--ferror-limit=1", *names], cwd=tree.root,
                          capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if "[-Wclang-format-violations]" in line]
    findings = [re.sub(r": error: .*", ": not in the layout of .clang-format (make format)", line) for line in lines]
    if done.returncode != 0 and not findings:
        findings = [f"clang-format-14: {done.stderr.strip()}"]
    return findings


def check_size(tree):
    findings = []
    for name in tree.matching(r"^(src|tests|tools)/.*\.(c|h|py|sh)$"):
        n_lines = tree.text(name).count("\n")
        if n_lines > FILE_LINES_MAX:
            findings.append(f"{name}:1: {n_lines} lines, at most {FILE_LINES_MAX}")
    return findings


def functions(text):
    """(line, number of lines, comment above) of each function of a C file in our layout."""
    lines = strip_comments(text).splitlines()
    original = text.splitlines()
    start = None
    for i, line in enumerate(lines):
        if line == "{" and i and not lines[i - 1].startswith("#"):
            start = i
        elif line.startswith("}") and start is not None:
            top = start - 1
            while top > 0 and lines[top][:1] in ("\t", " ") and lines[top].strip():
                top -= 1
            above = top - 1
            comment = []
            while above >= 0 and not lines[above].strip() and original[above].strip():
                comment.insert(0, original[above])
                above -= 1
            yield top + 1, i - top + 1, "\n".join(comment)
            start = None


def check_functions(tree):
    findings = []
    n_all = n_long = 0
    for name in tree.matching(r"^src/.*\.[ch]$"):
        for line, n_lines, comment in functions(tree.text(name)):
            n_all += 1
            n_long += n_lines > 50
            if n_lines > FUNCTION_LINES_MAX and REASON not in comment:
                findings.append(f'{name}:{line}: function of {n_lines} lines without a comment "{REASON} ..." above it')
    print(f"{n_all} functions, {n_long} of them over 50 lines")
    return findings


# --- licences, and what may stand in a file -----------------------------------------------------------------------------------------

GPL = "GPL-2.0-or-later"
DUAL = "GPL-2.0-only OR BSD-2-Clause"
# No place for a comment, data, or the licences themselves.
NO_SPDX = (r"\.(md|json|jsonl|yaml|yml|txt|dict|svg|csv|gp|html|golden|expected|mut|png|pcap|gz)$|^COPYING$|^LICENSES/|^tests/fuzz/corpus/"
           r"|(^|/)\.(gitignore|editorconfig|clang-format|gitattributes)$|(^|/)go\.sum$|^tests/mutation/[^/]+/command$|^tests/(golden|data)/|^fixtures/")


def check_licences(tree):
    findings = []
    for name in tree.files:
        if re.search(NO_SPDX, name):
            continue
        text = tree.text(name)
        wanted = DUAL if re.search(r"\.bpf\.[ch]$|(^|/)abi\.h$|/prog/[^/]*\.h$|(^|/)drops\.def$", name) else GPL
        head = "\n".join((text or "").splitlines()[:3])
        match = re.search(r"SPDX-License-Identifier: (.*?)(?: \*/)?$", head, re.M)
        if not match:
            findings.append(f"{name}:1: no SPDX-License-Identifier in the first three lines")
        elif match.group(1).strip() != wanted:
            findings.append(f"{name}:1: licence {match.group(1).strip()}, wanted {wanted}")
    for name in ("COPYING", "LICENSES/GPL-2.0-or-later.txt", "LICENSES/GPL-2.0-only.txt", "LICENSES/BSD-2-Clause.txt"):
        if name not in tree.files:
            findings.append(f"{name}:1: is missing")
    return findings


TOOLS = r"(?:nft|ip|tc|bridge|conntrack|ipset|ipvsadm|sysctl|nsenter|(?:ip6?|eb|arp)tables(?:-\w+)*)"
EXEC = re.compile(r"\b(?:exec(?:l|le|lp|v|ve|vp|vpe|veat)|fexecve|posix_spawnp?)\s*\([^;]*;")


def check_forks(tree):
    """Product code speaks netlink. It starts no shell, and none of the network tools: none is an argument of an exec call or the
    first word of a list in a file with such a call, and no path of one stands anywhere."""
    findings = []
    for name in tree.matching(r"^src/.*\.[ch]$"):
        text = strip_comments(tree.text(name))

        def add(regex, sentence, within=(0, len(text))):
            for match in re.compile(regex).finditer(text, *within):
                findings.append(f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {sentence}")

        add(r"(?<![\w.>])(?:system|popen)\s*\(", "starts a shell")
        add(rf'"(?:/usr)?/s?bin/{TOOLS}"', "names the path of a network tool")
        calls = list(EXEC.finditer(text))
        for call in calls:
            add(rf'"{TOOLS}"', "starts a network tool", call.span())
        if calls:
            add(rf'(?:\{{|\[0\]\s*=)\s*"{TOOLS}"', "starts a network tool")
    return findings


def check_paths(tree):
    """No path of one machine, no address of a registry or a mirror."""
    # Written so that this file does not find itself.
    machine = re.compile(r"(?<![\w./$}])/(?:work|root|home/[a-z]\w*)/\w")
    findings = []
    for name in tree.files:
        if name.startswith("LICENSES/") or name == "COPYING" or name.startswith("tests/fuzz/corpus/"):
            continue
        text = tree.text(name)
        for number, line in enumerate((text or "").splitlines(), 1):
            for match in machine.finditer(line):
                findings.append(f"{name}:{number}: a path of one machine ({match.group(0)})")
            for host in re.findall(r"\b(?:https?|ftp|git|ssh)://(?:[^/\s@]*@)?([A-Za-z0-9.-]+)", line):
                if not re.fullmatch(r"[\d.]+", host) and host not in HOSTS and not host.endswith((".example", ".test")):
                    findings.append(f"{name}:{number}: host {host} is not in the list of tools/check-tree.py")
    return findings


def check_links(tree):
    """Relative links in Markdown lead somewhere inside the tree."""
    findings = []
    for name in tree.matching(r"\.md$"):
        fenced = False
        for number, line in enumerate(tree.text(name).splitlines(), 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            if fenced:
                continue
            for link in re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", link) or link.startswith("#"):
                    continue
                path = os.path.normpath(os.path.join(os.path.dirname(name), link.split("#")[0]))
                if path not in tree.files and not any(n.startswith(f"{path}/") for n in tree.files):
                    findings.append(f"{name}:{number}: the link {link} leads nowhere in the tree")
    return findings


CHECKS = {
    "rooms": check_rooms,
    "headers": check_headers,
    "format": check_format,
    "size": check_size,
    "functions": check_functions,
    "licences": check_licences,
    "forks": check_forks,
    "paths": check_paths,
    "links": check_links,
}


def main():
    parser = argparse.ArgumentParser(description="checks of the tree", epilog=f"names: {' '.join(CHECKS)}")
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--list-c", action="store_true")
    parser.add_argument("name", nargs="*", choices=[[], *CHECKS])
    args = parser.parse_args()
    tree = Tree(os.path.abspath(args.root))
    if args.list_c:
        print("\n".join(f"{tree.root}/{n}" for n in formatted(tree)))
        return 0
    n_findings = 0
    for name in args.name or CHECKS:
        try:
            findings = CHECKS[name](tree)
        except Skip as e:
            print(f"SKIP: {e}")
            return 77
        n_findings += len(findings)
        for finding in findings:
            print(finding)
        print(f"{name}: {len(findings)} findings")
    return 1 if n_findings else 0


if __name__ == "__main__":
    sys.exit(main())
