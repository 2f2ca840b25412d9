#!/usr/bin/env python3
"""Methods at equal forward passes, each at the rate with the lowest development loss among three (seed 0), then run with seeds 1, 2 and 3.

    python evidence.py --zograd target/release/zograd --model MODEL --data DATA --out FOLDER [--sets sst2 copa cb] [--workers 2]

DATA holds a folder for each task. Runs that are there already are kept. Prints a table for each set: test accuracy and loss of the best
weights, the lowest development loss, and after how many forward passes a run was at MeZO's median of it; medians, lowest and highest.
The set `smollm2` is SST-2 with fewer forward passes, at rates for SmolLM2-135M, tuned by shorter runs; MODEL is its folder.
"""
import argparse, json, pathlib, statistics, subprocess, threading

ap = argparse.ArgumentParser()
ap.add_argument("--zograd", default="zograd")
ap.add_argument("--model", required=True)
ap.add_argument("--data", required=True)
ap.add_argument("--out", required=True)
ap.add_argument("--sets", nargs="+", default=["sst2", "copa", "cb"])
ap.add_argument("--workers", type=int, default=2)
a = ap.parse_args()

LOW, HIGH = ["3e-5", "1e-4", "3e-4"], ["3e-4", "1e-3", "3e-3"]
SCALE = ["--scale-1d", "5", "--scale-positions", "0"]
HELD = ["--calibrate", "--balanced"]
GUARD = ["--guard", "loss-explosion=shrink,exploding-gradient=shrink"]
POOL8 = ["pool-regression", "--pool", "8"]
METHODS = {
    "mezo": (["mezo"], LOW),
    "gv4": (["gv", "--pool", "4"], LOW),
    "greedy4": (["greedy", "--pool", "4"], LOW),
    "pool8": (POOL8, HIGH),
    "mezo+scale": (["mezo", *SCALE], ["1e-5", "3e-5", "1e-4"]),
    "pool8+scale": ([*POOL8, *SCALE], HIGH),
    "tail": (["tail", "--schedule", "linear"], LOW),
    "adam": (["adam", "--schedule", "linear"], ["1e-4", "3e-4", "1e-3"]),
}
# of tasks whose rows all have the same options
CLASSES = {
    "mezo+cal+bal": (["mezo", *HELD], ["1e-4", "3e-4", "1e-3"]),
    "gv4+cal+bal+scale": (["gv", "--pool", "4", *HELD, *SCALE], LOW),
    "recipe, no head fit": ([*POOL8, *HELD, *SCALE, *GUARD], ["3e-4", "1e-3", "2e-3"]),
    "recipe": ([*POOL8, *HELD, *SCALE, *GUARD, "--head-fit", "HEAD"], ["1e-4", "3e-4", "1e-3"]),
}
ZO135M = ["1e-5", "3e-5", "1e-4"]
SMOLLM2 = {
    "mezo": (["mezo"], ["3e-6", "1e-5", "3e-5"]),
    "recipe": ([*POOL8, *HELD, "--scale-1d", "5", *GUARD, "--head-fit", "HEAD"], ZO135M),
    "tail": (["tail", "--schedule", "linear"], ["3e-6", "1e-5", "3e-5"]),
    "gv4": (["gv", "--pool", "4"], ZO135M),
    "pool8": (POOL8, ZO135M),
    "greedy4": (["greedy", "--pool", "4"], ZO135M),
    "adam, LoRA": (["adam", "--tune", "lora", "--schedule", "linear"], ["3e-4", "1e-3"]),
}
# task, methods, training, development and test rows, forward passes of runs and of tuning, rows of the head fit
SETS = {
    "sst2": ("sst2", {**METHODS, **CLASSES}, (1000, 400, 872), (1000, 1000), 1000),
    "copa": ("copa", METHODS, (300, 100, 100), (600, 600), 0),
    "cb": ("cb", {**METHODS, **CLASSES}, (200, 50, 56), (400, 400), 200),
    "smollm2": ("sst2", SMOLLM2, (1000, 200, 872), (400, 200), 500),
}
# these learn in fewer forward passes, and cost more time for each
FEWER = {("smollm2", "tail"): (200, 100), ("smollm2", "adam, LoRA"): (200, 100)}


def run(part, name, lr, seed):
    task, methods, (train, dev, test), forwards, head = SETS[part]
    forwards = FEWER.get((part, name), forwards)[seed == 0]
    test = 32 if seed == 0 and part == "smollm2" else test
    folder = pathlib.Path(a.out) / f"{part}-{name}-{lr}-{seed}".replace(" ", "-").replace(",", "")
    if not (folder / "summary.json").exists():
        words = [str(head) if word == "HEAD" else word for word in methods[name][0]]
        eps = [] if words[0] in ("adam", "tail") else ["--eps", "1e-3"]
        command = [a.zograd, "train", "--model", a.model, "--task", task, "--data", f"{a.data}/{task}", "--method", *words, "--lr", lr, *eps]
        command += ["--forwards", forwards, "--eval-every-forwards", forwards // 10, "--seed", seed, "--train-examples", train]
        command += ["--dev-examples", dev, "--test-examples", test, "--threads", 1, "--out", folder, "--json"]
        subprocess.run([str(word) for word in command], check=False, capture_output=True)
    try:
        summary = json.load(open(folder / "summary.json"))
    except OSError:
        return None
    evals = [json.loads(line) for line in open(folder / "metrics.jsonl") if '"kind":"eval"' in line]
    curve = [(e["forwards"], e["dev_loss"]) for e in evals if e["dev_loss"] is not None]
    return {"accuracy": summary["accuracy_after"], "loss": summary["loss_after"], "curve": curve}


def lowest(found):
    return min((loss for _, loss in found["curve"]), default=float("inf")) if found else float("inf")


def best_rate(found, part, name):
    rates = SETS[part][1][name][1]
    return min(rates, key=lambda lr: lowest(found.get((part, name, lr, 0))))


def every(jobs):
    found, lock = {}, threading.Lock()

    def work():
        while True:
            with lock:
                if not jobs:
                    return
                job = jobs.pop(0)
            found[job] = run(*job)

    threads = [threading.Thread(target=work) for _ in range(a.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def spread(values):
    return f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


tuned = every([(t, m, lr, 0) for t in a.sets for m in SETS[t][1] for lr in SETS[t][1][m][1]])
final = every([(t, m, best_rate(tuned, t, m), s) for t in a.sets for s in (1, 2, 3) for m in SETS[t][1]])
for part in a.sets:
    runs = {m: [final[k] for k in final if k[:2] == (part, m) and final[k]] for m in SETS[part][1]}
    target = statistics.median(lowest(r) for r in runs["mezo"])
    print(f"\n{part}: target {target:.4f}\n\n| method | lr | test accuracy | test loss | development loss | forwards to the target |\n|---|---|---|---|---|---|")
    for name, found in runs.items():
        reached = [next((f for f, loss in r["curve"] if loss <= target), None) for r in found]
        if found:
            rate = best_rate(tuned, part, name)
            print(f"| {name} | {rate} | {spread([r['accuracy'] for r in found])} | {spread([r['loss'] for r in found])} | "
                  f"{statistics.median(map(lowest, found)):.4f} | {', '.join('never' if f is None else str(f) for f in reached)} |")
