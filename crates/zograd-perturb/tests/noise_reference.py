#!/usr/bin/env python3
"""The noise of zograd-perturb (src/noise/mod.rs says what it is) written a second time, in plain Python.

Prints the even moments of the normals, and some elements of one tensor's noise, which the test `value_stability` pins. Needs
nothing but Python 3.8.
"""
import struct


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


LOW = [3, 8, 13, 16, 21, 28, 35, 48]
HIGH = [2, 3, 4, 6, 8, 11, 17, 49]


def entry(half, bits):
    """The entry of a table at four bits: the highest is the sign."""
    return -half[bits & 7] if bits & 8 else half[bits & 7]


KEY = struct.pack("<QQ", 42, fnv1a(b"decoder.layers.0.fc1.weight")) + b"zograd noise v2\0"


def field(i, bits, stream):
    """The random bits of element `i`, which takes so many of them."""
    group, element = divmod(i, 16 * 512 // bits)
    n, block = divmod(element, 16)
    whole = int.from_bytes(chacha8(KEY, 16 * group + block, stream), "little")
    return whole >> (n * bits) & ((1 << bits) - 1)


def normal(i):
    """In units of 1/32."""
    bits = field(i, 8, 0)
    return entry(LOW, bits & 15) + entry(HIGH, bits >> 4)


def sign(i):
    return "-" if field(i, 1, 1) else "+"


if __name__ == "__main__":
    values = [entry(LOW, bits & 15) + entry(HIGH, bits >> 4) for bits in range(256)]
    for power in (2, 4, 6):
        print("moment", power, sum(v**power for v in values) / 256 / 32**power)
    for start in (0, 2040):
        print("gaussian", start, [normal(i) for i in range(start, start + 8)])
    for start in (0, 8170):
        print("rademacher", start, "".join(sign(i) for i in range(start, start + 40)))
