#!/usr/bin/env python3
"""Times greedy generation by transformers in f32, with random weights of the shape of OPT-125m. Prints one JSON object.
Needs torch and transformers.

    python generate.py --threads 2 --repeats 3 --prompts 16 --prompt-tokens 400 --new-tokens 50
"""
import argparse
import json
import statistics
import time

import torch
import transformers

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeats", type=int, default=3, help="timed repetitions, after one that is not")
parser.add_argument("--prompts", type=int, default=16)
parser.add_argument("--prompt-tokens", type=int, default=400)
parser.add_argument("--new-tokens", type=int, default=50)
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)

# the shape is the default of the configuration
config = transformers.OPTConfig(eos_token_id=None, bos_token_id=None, pad_token_id=1)
torch.manual_seed(0)
model = transformers.OPTForCausalLM(config).eval()
count = sum(p.numel() for p in model.parameters())
assert count == 125_239_296, count
prompts = torch.tensor(
    [
        [(prompt * 401 + place * 7919) % config.vocab_size for place in range(arguments.prompt_tokens)]
        for prompt in range(arguments.prompts)
    ]
)
mask = torch.ones_like(prompts)


def seconds(new_tokens):
    start = time.perf_counter()
    with torch.inference_mode():
        ids = model.generate(prompts, attention_mask=mask, do_sample=False, max_new_tokens=new_tokens)
    assert ids.shape[1] == arguments.prompt_tokens + new_tokens, ids.shape
    return time.perf_counter() - start


seconds(2)
everything = [seconds(arguments.new_tokens) for _ in range(arguments.repeats)]
first = [seconds(1) for _ in range(arguments.repeats)]
print(
    json.dumps(
        {
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "threads": arguments.threads,
            "generate_s": everything,
            "generate_s_median": statistics.median(everything),
            "first_token_s_median": statistics.median(first),
        }
    )
)
