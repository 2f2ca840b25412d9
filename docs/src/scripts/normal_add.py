#!/usr/bin/env python3
"""Times what a pass over the weights costs in PyTorch: for every tensor of OPT-125m, draw standard normals and add
them in place. Prints one JSON object. Needs torch.

    python normal_add.py --threads 2 --repeats 3
"""
import argparse
import json
import statistics
import time

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeats", type=int, default=3, help="timed passes, after one that is not")
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)

WIDTH, INNER, LAYERS, TOKENS, POSITIONS = 768, 3072, 12, 50272, 2050
attention = 4 * [(WIDTH, WIDTH), (WIDTH,)]
feed_forward = [(INNER, WIDTH), (INNER,), (WIDTH, INNER), (WIDTH,)]
norm = [(WIDTH,), (WIDTH,)]
shapes = [(TOKENS, WIDTH), (POSITIONS, WIDTH)] + norm + LAYERS * (attention + feed_forward + norm + norm)
weights = [torch.zeros(shape) for shape in shapes]
count = sum(w.numel() for w in weights)
assert count == 125_239_296, count

seconds = []
for repeat in range(arguments.repeats + 1):
    torch.manual_seed(repeat)
    start = time.perf_counter()
    for w in weights:
        w.add_(torch.normal(mean=0, std=1, size=w.size(), dtype=w.dtype), alpha=1e-3)
    seconds.append(time.perf_counter() - start)
print(
    json.dumps(
        {
            "torch": torch.__version__,
            "threads": arguments.threads,
            "weights": count,
            "pass_s": seconds[1:],
            "pass_s_median": statistics.median(seconds[1:]),
        }
    )
)
