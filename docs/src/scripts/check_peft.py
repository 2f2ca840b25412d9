#!/usr/bin/env python3
"""Compares the scores of `zograd eval --adapter --predictions` with those of Python's peft on the same files.

    zograd eval --model MODEL --adapter RUN/best --task sst2 --data DATA --predictions pred.jsonl
    zograd prompts --task sst2 --data DATA --tokenizer MODEL --limit 872 --json > prompts.jsonl
    python check_peft.py MODEL RUN/best pred.jsonl prompts.jsonl

Needs torch, transformers and peft from PyPI, in an environment of their own.
"""
import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

folder, adapter, predictions, prompts = sys.argv[1:]
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
model = PeftModel.from_pretrained(base, adapter).eval()


def lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def mean_log_prob(candidate):
    ids = torch.tensor([candidate["ids"]])
    log_probs = model(ids).logits[0].log_softmax(-1)
    scored = range(ids.shape[1] - candidate["option_len"], ids.shape[1])
    return torch.stack([log_probs[i - 1, ids[0, i]] for i in scored]).mean().item()


worst, count, moved = 0.0, 0, 0.0
with torch.inference_mode():
    for prediction, prompt in zip(lines(predictions), lines(prompts), strict=True):
        assert prediction["index"] == prompt["row"] and prediction["label"] == prompt["correct"]
        for score, candidate in zip(prediction["scores"], prompt["candidates"], strict=True):
            expected = mean_log_prob(candidate)
            worst = max(worst, abs(score - expected) / abs(expected))
            count += 1
            if count <= 20:
                # that the adapter is at work, and not only the base
                with model.disable_adapter():
                    moved = max(moved, abs(mean_log_prob(candidate) - expected))
print(f"{count} scores, worst relative difference {worst:.2e}; the adapter moves them by up to {moved:.2e}")
