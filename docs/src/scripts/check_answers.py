#!/usr/bin/env python3
"""Compares the answers that `zograd eval --predictions` had a model write with those of Python transformers.

    zograd eval --model MODEL --task squad --data DATA --test-examples 50 --predictions pred.jsonl
    zograd prompts --task squad --data DATA --tokenizer MODEL --max-length POSITIONS --limit 1000 --json > prompts.jsonl
    python check_answers.py MODEL pred.jsonl prompts.jsonl

Needs torch and transformers from PyPI, in an environment of their own.
"""

import json
import sys

import torch
from transformers import AutoTokenizer, OPTForCausalLM

NEW_TOKENS = 50

model_folder, predictions, prompts = sys.argv[1:]
model = OPTForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(model_folder)
stop = [tokenizer.encode("\n", add_special_tokens=False)[-1], tokenizer.eos_token_id]

ids = {}
for line in open(prompts):
    row = json.loads(line)
    ids[row["row"]] = row["candidates"][0]["ids"]

same = answers = 0
for line in open(predictions):
    prediction = json.loads(line)
    prompt = ids[prediction["index"]]
    with torch.inference_mode():
        written = model.generate(
            torch.tensor([prompt]),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            eos_token_id=stop,
            pad_token_id=tokenizer.pad_token_id,
        )
    text = tokenizer.decode(written[0][len(prompt) :], skip_special_tokens=True).strip()
    answers += 1
    same += text == prediction["prediction"]
print(f"{same} of {answers} answers are equal")
