#!/usr/bin/env python3
"""Compares the scores of `zograd eval --predictions` with those of Python transformers on the same folder.

    zograd eval --model MODEL --task sst2 --data DATA --predictions pred.jsonl
    zograd prompts --task sst2 --data DATA --tokenizer MODEL --limit 872 --json > prompts.jsonl
    python check_transformers.py MODEL pred.jsonl prompts.jsonl

Needs torch and transformers from PyPI, in an environment of their own.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM

folder, predictions, prompts = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


worst, count = 0.0, 0
with torch.inference_mode():
    for prediction, prompt in zip(lines(predictions), lines(prompts), strict=True):
        assert prediction["index"] == prompt["row"] and prediction["label"] == prompt["correct"]
        for score, candidate in zip(prediction["scores"], prompt["candidates"], strict=True):
            ids = torch.tensor([candidate["ids"]])
            log_probs = model(ids).logits[0].log_softmax(-1)
            scored = range(ids.shape[1] - candidate["option_len"], ids.shape[1])
            expected = torch.stack([log_probs[i - 1, ids[0, i]] for i in scored]).mean().item()
            worst = max(worst, abs(score - expected) / abs(expected))
            count += 1
print(f"{count} scores, worst relative difference {worst:.2e}")
