#!/usr/bin/env python3
"""The families of perturbations (src/family) written a second time, in plain Python.

Prints some elements of a perturbation of low rank, hashes of masks and an order of blocks, which the test
`families::value_stability` pins. Needs nothing but Python 3.8.
"""
import hashlib
import math
import struct

from noise_reference import HIGH, LOW, chacha8, entry, fnv1a

WORD = (1 << 64) - 1


def mix(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def child(seed, index):
    return mix((mix(seed ^ 0x7A6F677261640001) + (index + 1) * 0x9E3779B97F4A7C15) & WORD)


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def normals(seed, tensor, start, n):
    key = struct.pack("<QQ", seed, tensor) + b"zograd noise v2\0"
    found = []
    for i in range(start, start + n):
        group, element = divmod(i, 1024)
        place, block = divmod(element, 16)
        byte = chacha8(key, 16 * group + block, 0)[place]
        found.append((entry(LOW, byte & 15) + entry(HIGH, byte >> 4)) / 32)
    return found


def dot(a, b):
    sums = [0.0] * 8
    for i, (x, y) in enumerate(zip(a, b)):
        sums[i % 8] += x * y
    total = 0.0
    for s in sums:
        total += s
    return total


def orthonormal(seed, tensor, rows, rank):
    columns, attempt = [], 0
    while len(columns) < rank:
        column = normals(seed, tensor, attempt * rows, rows)
        length = math.sqrt(dot(column, column))
        for _ in range(2):
            for other in columns:
                along = dot(column, other)
                column = [x - along * y for x, y in zip(column, other)]
        left = math.sqrt(dot(column, column))
        if left > 1e-3 * length:
            columns.append([x / left for x in column])
        attempt += 1
    return [[column[row] for column in columns] for row in range(rows)]


def product(left, right, i, j):
    """A fused multiply-add: products of f32 numbers are exact in f64."""
    total = 0.0
    for a, b in zip(left[i], right[j]):
        total = f32(a * b + total)
    return total


def bits(left, right, columns):
    places = [divmod(at, columns) for at in (0, 1, 19, 20, 117, 239)]
    numbers = [product(left, right, i, j) for i, j in places]
    return [hex(struct.unpack("<I", struct.pack("<f", x))[0]) for x in numbers]


def subzero(tensor, rows, columns, rank, refresh, step, family, seed):
    drawn = child(family, step // refresh)
    scale = math.sqrt(rows * columns) / rank
    u = [[f32(scale * x) for x in row] for row in orthonormal(child(drawn, 0), tensor, rows, rank)]
    v = [[f32(x) for x in row] for row in orthonormal(child(drawn, 1), tensor, columns, rank)]
    s = normals(seed, tensor, 0, rank * rank)
    left = []
    for row in u:
        sums = []
        for k in range(rank):
            total = 0.0
            for m in range(rank):
                total += row[m] * s[m * rank + k]
            sums.append(f32(total))
        left.append(sums)
    return bits(left, v, columns)


def lozo(tensor, rows, columns, rank, refresh, step, family, seed):
    v = normals(child(family, step // refresh), tensor, 0, columns * rank)
    u = normals(seed, tensor, 0, rows * rank)
    scale = f32(1 / f32(math.sqrt(rank)))
    left = [[f32(scale * x) for x in u[i * rank : (i + 1) * rank]] for i in range(rows)]
    right = [v[j * rank : (j + 1) * rank] for j in range(columns)]
    return bits(left, right, columns)


def words(flags):
    for start in range(0, len(flags), 64):
        yield sum(flag << i for i, flag in enumerate(flags[start : start + 64]))


def masks(seed):
    """Of the module of the test: name, shape, salt of its values."""
    matrices = [("embed_positions", [20, 37], 2), ("table", [150, 37], 1)]
    matrices += [(f"layers.{k}.weight", [37, 90], 3 + k) for k in range(3)]
    for rule in ("random", "small", "large"):
        digest = hashlib.sha256()
        for name, (rows, columns), salt in sorted(matrices):
            n = rows * columns
            if rule == "random":
                of = child(seed, fnv1a(name.encode()))
                flags = [child(of, i) >> 11 < int(0.25 * 2**53) for i in range(n)]
            else:
                sizes = [abs(f32((i * 31 + salt * 17) % 1013 / 2048 - f32(0.2))) for i in range(n)]
                sign = 1 if rule == "small" else -1
                order = sorted(range(n), key=lambda i: (sign * sizes[i], i))
                # half away from zero, as Rust rounds
                chosen = set(order[: math.floor(0.25 * n + 0.5)])
                flags = [i in chosen for i in range(n)]
            digest.update(name.encode() + b"\0")
            for word in words(flags):
                digest.update(struct.pack("<Q", word))
        print(rule, "sha256:" + digest.hexdigest())


TENSOR = fnv1a(b"layers.0.weight")
for step in (0, 25):
    print("subzero", step, subzero(TENSOR, 12, 20, 3, 10, step, 42, 7))
for step in (0, 25):
    print("lozo", step, lozo(TENSOR, 12, 20, 2, 10, step, 42, 7))
masks(42)
print("blocks", [child(42, step) % 4 for step in range(16)])
