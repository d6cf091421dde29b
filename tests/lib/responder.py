#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The client side of src/lab/include/lab/responder.h, as a program: many lasting TCP connections that never stop asking.

usage: responder.py ADDRESS PORT CONNECTIONS [ADDRESS PORT CONNECTIONS]...

udp:ADDRESS: connected datagram sockets instead; send:ADDRESS: such that are not connected, and of which each answer must come from ADDRESS and PORT.
Opens all connections one after the other, then asks on every one of them again and again. A line on standard input is answered by a line of JSON
on standard output; the end of standard input ends the program, exit code 0 if nothing ever went wrong. Wrong are: an error of the socket, an end or a
reset, an answer that is not to the question asked, the name of another backend than before, no answer for STALL_S.
"""
import json
import selectors
import socket
import struct
import sys
import time

STALL_S = 30
THINK_S = 0.03  # between an answer and the next question
HEADER = struct.Struct("!4sQH2x16sHH")


def request(ident, size=64, close=False):
    return struct.pack("!4sQHH", b"OKRQ", ident, int(close), size)


def parse(data):
    """(question, name of the backend, bytes used), or None when more must come."""
    if len(data) < HEADER.size:
        return None
    magic, ident, size, _, _, name_len = HEADER.unpack_from(data)
    if magic != b"OKRP" or size < HEADER.size + name_len:
        raise ValueError("this is no answer")
    if len(data) < size:
        return None
    return ident, data[HEADER.size:HEADER.size + name_len].decode(), size


def ask_once(address, port, timeout=2 * STALL_S):
    """One question on a connection of its own; the name of the backend."""
    with socket.create_connection((address, port), timeout) as s:
        s.sendall(request(1, close=True))
        data = b""
        while parse(data) is None:
            more = s.recv(4096)
            if not more:
                raise ConnectionError("ended before the answer")
            data += more
        return parse(data)[1]


class Connection:
    def __init__(self, address, port):
        self.socket = socket.create_connection((address, port), STALL_S)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port, self.name, self.ident, self.answered = port, None, 0, 0
        self.buffer, self.asked, self.next = b"", None, 0.0

    def ask(self, now):
        self.ident += 1
        self.asked = now
        self.socket.send(request(self.ident))

    def read(self, now):
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("ended by the other side")
        self.buffer += data
        found = parse(self.buffer)
        if not found:
            return
        ident, name, used = found
        self.buffer = self.buffer[used:]
        if ident != self.ident or self.buffer:
            raise ValueError(f"answer {ident} to question {self.ident}")
        if self.name not in (None, name):
            raise ValueError(f"answered by {name}, before by {self.name}")
        self.name, self.asked, self.next = name, None, now + THINK_S
        self.answered += 1


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


class Datagrams:
    """A datagram socket; nothing is lost on the way, so nothing is sent twice."""

    def __init__(self, address, port, connect):
        self.socket = socket.socket(family(address), socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        if connect:
            self.socket.connect((address, port))
        self.peer, self.is_connected = (address, port), connect
        self.port, self.name, self.ident, self.answered = port, None, 0, 0
        self.asked, self.next = None, 0.0

    def ask(self, now):
        self.ident += 1
        self.asked = now
        if self.is_connected:
            self.socket.send(request(self.ident))
        else:
            self.socket.sendto(request(self.ident), self.peer)

    def read(self, now):
        data, sender = self.socket.recvfrom(65536)
        ident, name, _ = parse(data)
        if not self.is_connected and sender[:2] != self.peer:
            raise ValueError(f"answered by {sender}, asked was {self.peer}")
        if ident != self.ident:
            raise ValueError(f"answer {ident} to question {self.ident}")
        if self.name not in (None, name):
            raise ValueError(f"answered by {name}, before by {self.name}")
        self.name, self.asked, self.next = name, None, now + THINK_S
        self.answered += 1


def open_one(address, port):
    kind, _, rest = address.partition(":")
    if kind in ("udp", "send"):
        return Datagrams(rest, port, kind == "udp")
    return Connection(address, port)


class Crowd:
    def __init__(self, places):
        self.selector = selectors.DefaultSelector()
        self.connections, self.errors, self.slowest = [], [], 0.0
        for address, port, n in places:
            for _ in range(n):
                c = open_one(address, port)
                self.connections.append(c)
                self.selector.register(c.socket, selectors.EVENT_READ, c)
        self.selector.register(sys.stdin, selectors.EVENT_READ, None)
        self.live = set(self.connections)

    def lose(self, c, why):
        self.errors.append(f"{c.name} after {c.answered} answers: {type(why).__name__}: {why}")
        self.selector.unregister(c.socket)
        self.live.discard(c)

    def step(self):
        """False when standard input has ended."""
        for key, _ in self.selector.select(THINK_S / 3):
            if key.data is None:
                if not sys.stdin.readline():
                    return False
                self.report()
                continue
            now, asked = time.monotonic(), key.data.asked
            try:
                key.data.read(now)
                if asked:
                    self.slowest = max(self.slowest, now - asked)
            except (OSError, ValueError) as why:
                self.lose(key.data, why)
        now = time.monotonic()
        for c in list(self.live):
            try:
                if c.asked is None and now >= c.next:
                    c.ask(now)
                elif c.asked is not None and now - c.asked > STALL_S:
                    raise TimeoutError(f"no answer in {STALL_S} s")
            except OSError as why:
                self.lose(c, why)
        return True

    def report(self):
        names = {}
        for c in self.live:
            names.setdefault(c.port, {}).setdefault(c.name, 0)
            names[c.port][c.name] += 1
        print(json.dumps({"live": len(self.live), "errors": self.errors[:20], "n_errors": len(self.errors),
                          "answers": sum(c.answered for c in self.connections), "fewest": min(c.answered for c in self.connections),
                          "slowest_s": self.slowest, "names": names}), flush=True)


def main():
    words = sys.argv[1:]
    crowd = Crowd([(words[i], int(words[i + 1]), int(words[i + 2])) for i in range(0, len(words), 3)])
    while crowd.step():
        pass
    sys.exit(1 if crowd.errors else 0)


if __name__ == "__main__":
    main()
