#!/usr/bin/env python3
"""The noise of zograd-perturb (src/noise/mod.rs says what it is) written a second time, in plain Python.

Prints the hash of the lines of the normal quantile function and the first elements of one tensor's noise: the numbers that the
`value_stability` tests pin. Needs nothing but Python 3.8.
"""
import math
import struct
from collections import defaultdict
from statistics import NormalDist

SLICES = 1 << 15


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


def piece(x):
    octave = x.bit_length() - 1
    return 4 * octave + ((x << 2 >> octave) & 3)


def rounded(mx, my, slope):
    """Intercept and slope: 8 significant bits for the slope, its last bit as the unit of the intercept."""
    if slope == 0:
        return struct.unpack("<f", struct.pack("<f", my))[0], 0.0
    unit = 2.0 ** (math.frexp(slope)[1] - 8)
    slope = round(slope / unit) * unit
    return round((my - slope * mx) / unit) * unit, slope


quantile = {x: NormalDist().inv_cdf(1 - x / (4 * SLICES)) for x in range(1, 2 * SLICES, 2)}
pieces = defaultdict(list)
for x in quantile:
    pieces[piece(x)].append(x)
fits = [(0.0, 0.0, 0.0)] * 64
for k, xs in pieces.items():
    mx = math.fsum(xs) / len(xs)
    my = math.fsum(quantile[x] for x in xs) / len(xs)
    variance = math.fsum((x - mx) ** 2 for x in xs)
    covariance = math.fsum((x - mx) * (quantile[x] - my) for x in xs)
    fits[k] = (mx, my, covariance / variance if variance else 0.0)
square_sum = math.fsum((my + s * (x - mx)) ** 2 for x in quantile for mx, my, s in [fits[piece(x)]])
scale = 1 / math.sqrt(square_sum / SLICES)
lines = [rounded(mx, my * scale, s * scale) for mx, my, s in fits]
intercept, slope = zip(*lines)
print("lines", hex(fnv1a(b"".join(struct.pack("<f", c) for c in intercept + slope))))


def normal(bits):
    x = 2 * (bits & 0x7FFF) + 1
    z = slope[piece(x)] * x + intercept[piece(x)]  # exact
    return -z if bits & 0x8000 else z


key = struct.pack("<QQ", 42, fnv1a(b"decoder.layers.0.fc1.weight")) + b"zograd noise v1\0"
halves = struct.unpack("<32H", chacha8(key, 0, 0))
print("gaussian", [hex(struct.unpack("<I", struct.pack("<f", normal(h)))[0]) for h in halves[:4]])
signs = chacha8(key, 0, 1)
print("rademacher", "".join("-" if signs[i // 8] >> (i % 8) & 1 else "+" for i in range(40)))
