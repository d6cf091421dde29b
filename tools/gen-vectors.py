#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Test vectors of src/model/include/model/maglev.h, made from its words alone: this is a second implementation, bit by bit and slow, that
shares nothing with the C code. What it writes is committed and frozen: a tier that disagrees with a vector is wrong.

usage: tools/gen-vectors.py DIR     writes DIR/tuple_hash.txt and DIR/maglev.txt
       tools/gen-vectors.py --check DIR   exit code 1 if the files there differ
"""
import ipaddress
import random
import sys

POLYNOMIAL = 0x82F63B78
MASK64 = (1 << 64) - 1
PROTOS = {6: "tcp", 17: "udp", 132: "sctp"}


def crc32c(data, crc=0):
    """Reflected, no final xor: one bit at a time."""
    for byte in data:
        for bit in range(8):
            mix = (crc ^ (byte >> bit)) & 1
            crc = (crc >> 1) ^ (POLYNOMIAL if mix else 0)
    return crc


def tuple_bytes(src, dst, sport, dport, proto):
    return src.packed + dst.packed + sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes([proto, 0, 0, 0])


def backend_hash(addr, port):
    value = 0xCBF29CE484222325
    for byte in addr.packed + port.to_bytes(2, "big"):
        value = ((value ^ byte) * 0x100000001B3) & MASK64
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & MASK64
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & MASK64
    value ^= value >> 33
    return value & 0xFFFFFFFF, value >> 32


def maglev_table(backends, m):
    """The paper's algorithm with whole permutations written out."""
    permutations = []
    for addr, port in backends:
        h1, h2 = backend_hash(addr, port)
        offset, skip = h1 % m, (h2 | 1) % m
        permutations.append([(offset + i * skip) % m for i in range(m)])
        assert sorted(permutations[-1]) == list(range(m))
    table, places, filled = [None] * m, [0] * len(backends), 0
    while True:
        for i, permutation in enumerate(permutations):
            while table[permutation[places[i]]] is not None:
                places[i] += 1
            table[permutation[places[i]]] = i
            filled += 1
            if filled == m:
                return table


def random_addr(rng, version):
    if version == 4:
        return ipaddress.IPv4Address(rng.getrandbits(32))
    return ipaddress.IPv6Address(rng.getrandbits(128))


def tuple_vectors(rng):
    lines = ["# src dst sport dport proto hash"]
    edges = {4: ("0.0.0.0", "255.255.255.255", "10.96.0.1"), 6: ("::", "ffff:" * 7 + "ffff", "fd00:10:96::1")}
    for version in (4, 6):
        rows = []
        for text in edges[version]:
            addr = ipaddress.ip_address(text)
            for sport, dport in ((0, 0), (0, 80), (65535, 65535), (0x0102, 0x0304)):
                rows += [(addr, ipaddress.ip_address(edges[version][2]), sport, dport, proto) for proto in PROTOS]
        while len(rows) < 500:
            rows.append((random_addr(rng, version), random_addr(rng, version), rng.randrange(65536), rng.randrange(65536),
                         rng.choice(sorted(PROTOS))))
        for row in rows:
            src, dst, sport, dport, proto = row
            lines.append(f"{src} {dst} {sport} {dport} {PROTOS[proto]} 0x{crc32c(tuple_bytes(*row)):08x}")
    return "\n".join(lines) + "\n"


def maglev_case(backends, m):
    table = maglev_table(backends, m)
    digest = crc32c(b"".join(i.to_bytes(2, "big") for i in table))
    return [f"table {m} {len(backends)} 0x{digest:08x}"] + [f"backend {addr} {port}" for addr, port in backends] \
        + ["slots " + " ".join(str(i) for i in table[:256])]


def maglev_vectors(rng):
    lines = ["# table M N DIGEST: N lines backend ADDR PORT, then the first 256 slots.",
             "# DIGEST is the CRC-32C (init 0, no final xor) of all slots as 16-bit numbers in network order."]
    for n, m in ((1, 128), (2, 256), (3, 512), (10, 1024), (10, 4096), (37, 4096), (100, 16384), (127, 128)):
        for version in (4, 6):
            base = ipaddress.ip_address("10.1.0.1" if version == 4 else "fd00:10:1::1")
            lines += maglev_case([(base + i, 8080) for i in range(n)], m)
        chosen = {(random_addr(rng, 4), rng.randrange(1, 65536)) for _ in range(n)}
        lines += maglev_case(sorted(chosen), m)
    # One address, several ports: told apart, and in the order of the ports.
    lines += maglev_case([(ipaddress.ip_address("192.0.2.1"), port) for port in (1, 255, 256, 65535)], 512)
    return "\n".join(lines) + "\n"


def main():
    args = sys.argv[1:]
    check = args[:1] == ["--check"]
    if len(args) != 1 + check or args[-1].startswith("-"):
        sys.exit(__doc__)
    assert crc32c(b"123456789", 0xFFFFFFFF) ^ 0xFFFFFFFF == 0xE3069283, "not CRC-32C"
    files = {"tuple_hash.txt": tuple_vectors(random.Random(3)), "maglev.txt": maglev_vectors(random.Random(4))}
    for name, text in files.items():
        path = f"{args[-1]}/{name}"
        if check:
            with open(path, encoding="ascii") as f:
                if f.read() != text:
                    sys.exit(f"{path}: differs from what the generator makes")
        else:
            with open(path, "w", encoding="ascii") as f:
                f.write(text)


if __name__ == "__main__":
    main()
