"""Times forward passes of transformers on the CPU, as the Python originals make them: left-padded batches, logits of all
positions, log-softmax of the scored tokens. Random weights. Dense batches of --batch x --seq, or real ones from --batches
(ids are taken modulo the vocabulary). Prints one JSON object.

    python forward.py --model-config FOLDER_OR_CONFIG_JSON --batch 16 --seq 64 --threads 2
"""
import argparse, json, pathlib, statistics, time
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

parser = argparse.ArgumentParser()
parser.add_argument("--model-config", required=True)
parser.add_argument("--batch", type=int, default=16)
parser.add_argument("--seq", type=int, default=64)
parser.add_argument("--batches")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--repeats", type=int, default=3)
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
torch.manual_seed(1)

path = pathlib.Path(arguments.model_config)
config = AutoConfig.from_pretrained(path if path.is_dir() else path.parent)
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
vocabulary = config.vocab_size

if arguments.batches:
    batches = []
    for batch in json.loads(pathlib.Path(arguments.batches).read_text()):
        rows = [ids for example in batch for ids in example["options"]]
        width = -(-max(map(len, rows)) // 8) * 8
        ids = torch.tensor([[0] * (width - len(row)) + [i % vocabulary for i in row] for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        batches.append((ids, mask))
else:
    ids = torch.randint(4, vocabulary, (arguments.batch, arguments.seq))
    batches = [(ids, torch.ones_like(ids))]

times = []
with torch.inference_mode():
    for repeat in range(arguments.repeats + 1):
        start = time.perf_counter()
        for ids, mask in batches:
            logits = model(input_ids=ids, attention_mask=mask).logits
            torch.log_softmax(logits[:, -4:-1].float(), -1).sum().item()
        if repeat:
            times.append(time.perf_counter() - start)
print(
    json.dumps(
        {
            "forward_s": statistics.median(times),
            "all": times,
            "batches": len(batches),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
    )
)
