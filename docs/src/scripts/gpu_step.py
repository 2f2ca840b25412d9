#!/usr/bin/env python3
"""Times steps on a GPU in PyTorch, with the operations of the public MeZO and MeZO-GV trainers in their order.

    python gpu_step.py --model-config CONFIG.json --methods mezo gv4 greedy4 --dtype f32|f16|bf16 [--tf32]
                       [--batches BATCHES.json | --batch 16 --seq 256] [--warmup 3] [--steps 5]

CONFIG.json is what `measure --model-config SHAPE config` prints; weights are random. The noise is drawn per tensor after
one seed, every forward has the logits of all positions, losses are read back one by one. One JSON object a method: seconds a step, and the bytes that
PyTorch's allocator held at the peak.
"""
import argparse, json, statistics, time

import torch
import torch.nn.functional as F
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

ap = argparse.ArgumentParser()
ap.add_argument("--model-config", required=True)
ap.add_argument("--methods", nargs="+", choices=["mezo", "gv4", "greedy4"], default=["mezo"])
ap.add_argument("--dtype", choices=["f32", "f16", "bf16"], default="f32")
ap.add_argument("--tf32", action="store_true")
ap.add_argument("--batches")
ap.add_argument("--batch", type=int, default=16)
ap.add_argument("--seq", type=int, default=256)
ap.add_argument("--warmup", type=int, default=3)
ap.add_argument("--steps", type=int, default=5)
a = ap.parse_args()

torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.tf32
torch.set_default_device("cuda")
torch.manual_seed(0)
transformers.logging.set_verbosity_error()
config = json.load(open(a.model_config))
dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[a.dtype]
torch.set_default_dtype(dtype)
model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config), dtype=dtype).eval()
torch.set_default_dtype(torch.float32)
parameters = [p for p in model.parameters() if p.requires_grad]
EPS, RATE = 1e-3, 1e-9


def dense():
    ids = torch.randint(4, config["vocab_size"], (a.batch, a.seq))
    return lambda: F.cross_entropy(model(input_ids=ids).logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten())


def options(batch):
    rows = [option for example in batch for option in example["options"]]
    width = -(-max(map(len, rows)) // 8) * 8
    ids = torch.tensor([[1] * (width - len(r)) + r for r in rows])
    mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
    lengths = [k for example in batch for k in example["option_len"]]
    keep = torch.tensor([[j >= width - 1 - k for j in range(width - 1)] for k in lengths])
    labels = torch.tensor([example["label"] for example in batch])

    def loss():
        logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        picked = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
        score = (picked * keep).sum(-1) / keep.sum(-1)
        return F.cross_entropy(score.view(len(batch), -1), labels)

    return loss


losses = [options(b) for b in json.load(open(a.batches))] if a.batches else [dense()]


def forward(k):
    with torch.inference_mode():
        return losses[k % len(losses)]().item()


def noise(p):
    return torch.normal(mean=0, std=1, size=p.size(), device=p.device, dtype=p.dtype)


def shift(seed, by):
    torch.manual_seed(seed)
    for p in parameters:
        p.data.add_(noise(p), alpha=by)


def guided(p, seeds, signs):
    v = torch.zeros_like(p)
    for seed, sign in zip(seeds, signs):
        torch.manual_seed(seed)
        v.add_(noise(p), alpha=sign)
    return v


def step(method, k):
    if method == "mezo":
        along = [10 * k]
        signs = [1.0]
    else:
        seeds = [10 * k + i for i in range(4)]
        found = []
        for seed in seeds:
            shift(seed, EPS)
            found.append(forward(k))
            shift(seed, -EPS)
        order = sorted(range(4), key=found.__getitem__)
        if method == "greedy4":
            along, signs = [seeds[order[0]]], [1.0]
        else:
            along, signs = [seeds[i] for i in order], [0.5, 0.5, -0.5, -0.5]

    def move(by):
        if len(along) == 1:
            shift(along[0], by)
        else:
            for p in parameters:
                p.data.add_(guided(p, along, signs), alpha=by)

    move(EPS)
    plus = forward(k)
    move(-2 * EPS)
    minus = forward(k)
    move(EPS)
    move(-RATE * (plus - minus) / (2 * EPS))


def timed(method):
    times = []
    for k in range(a.warmup + a.steps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        step(method, k)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times[a.warmup:]


with torch.no_grad():
    for method in a.methods:
        seconds = timed(method)
        print(json.dumps({
            "method": method, "dtype": a.dtype, "tf32": a.tf32, "parameters": sum(p.numel() for p in parameters),
            "seconds_per_step": statistics.median(seconds), "lowest": min(seconds), "highest": max(seconds),
            "peak_bytes": torch.cuda.max_memory_reserved(), "torch": torch.__version__,
        }), flush=True)
