#!/usr/bin/env python3
"""The noise of zograd-perturb (src/noise/mod.rs says what it is) written a second time, in plain Python.

Prints the hash of the normal table and the first elements of one tensor's noise: the numbers that the
`value_stability` tests pin. Needs nothing but Python 3.8.
"""
import math
import struct
from statistics import NormalDist

MAGNITUDES = 1 << 15


def chacha8(key, counter, stream):
    start = list(struct.unpack("<4I", b"expand 32-byte k")) + list(struct.unpack("<8I", key))
    start += [counter & 0xFFFFFFFF, counter >> 32, stream & 0xFFFFFFFF, stream >> 32]
    w = start[:]

    def rotated(x, n):
        return ((x << n) | (x >> (32 - n))) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for (p, q, r, n) in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[p] = (w[p] + w[q]) & 0xFFFFFFFF
            w[r] = rotated(w[r] ^ w[p], n)

    for _ in range(4):
        for a in range(4):
            quarter(a, 4 + a, 8 + a, 12 + a)
        for a in range(4):
            quarter(a, 4 + (a + 1) % 4, 8 + (a + 2) % 4, 12 + (a + 3) % 4)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(w, start)))


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


quantiles = [NormalDist().inv_cdf(0.5 + (k + 0.5) / (2 * MAGNITUDES)) for k in range(MAGNITUDES)]
scale = 1 / math.sqrt(math.fsum(q * q for q in quantiles) / MAGNITUDES)
table = [struct.unpack("<I", struct.pack("<f", q * scale))[0] for q in quantiles]
print("table", hex(fnv1a(b"".join(struct.pack("<I", bits) for bits in table))))

key = struct.pack("<QQ", 42, fnv1a(b"decoder.layers.0.fc1.weight")) + b"zograd noise v1\0"
halves = struct.unpack("<32H", chacha8(key, 0, 0))
print("gaussian", [hex(table[h & 0x7FFF] | (h & 0x8000) << 16) for h in halves[:4]])
signs = chacha8(key, 0, 1)
print("rademacher", "".join("-" if signs[i // 8] >> (i % 8) & 1 else "+" for i in range(40)))
