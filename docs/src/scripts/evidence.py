#!/usr/bin/env python3
"""Methods at equal forward passes, each at the rate with the lowest development loss among some (seed 0), then run with seeds 1, 2, 3 and on.

    python evidence.py --zograd target/release/zograd --model MODEL --data DATA --out FOLDER [--sets sst2 copa cb wic] [--methods mezo gv4]
        [--seeds 3] [--workers 2] [--more="--backend cuda"]

DATA holds a folder for each task. Runs that are there already are kept; `--table` makes none. Prints a table for each set: test accuracy and loss
of the best weights, the lowest development loss, and after how many forward passes a run was at MeZO's median of it; medians, lowest and highest.
`reviews` and `kind` are made by `own_tasks.py`. The sets `smollm2...` have fewer forward passes, and rates for SmolLM2-135M, tuned by shorter runs; MODEL is its folder
or file. The sets `rate-...` hold `--lr auto` beside five rates: every rate with every seed, and no target.
"""
import argparse, json, pathlib, shlex, statistics, subprocess, threading

ap = argparse.ArgumentParser()
ap.add_argument("--zograd", default="zograd")
ap.add_argument("--model", required=True)
ap.add_argument("--data", required=True)
ap.add_argument("--out", required=True)
ap.add_argument("--sets", nargs="+", default=["sst2", "copa", "cb", "wic"])
ap.add_argument("--methods", nargs="+")
ap.add_argument("--seeds", type=int, default=3)
ap.add_argument("--workers", type=int, default=2)
ap.add_argument("--more", default="", help="settings of every run")
ap.add_argument("--table", action="store_true", help="make no run")
a = ap.parse_args()

LOW, HIGH = ["3e-5", "1e-4", "3e-4"], ["3e-4", "1e-3", "3e-3"]
SCALE = ["--scale-1d", "5", "--scale-positions", "0"]
HELD = ["--calibrate", "--balanced"]
GUARD = ["--guard", "loss-explosion=shrink,exploding-gradient=shrink"]
POOL8 = ["pool-regression", "--pool", "8"]
SUBZERO = ["--perturbation", "subzero"]
METHODS = {
    "adam": (["adam", "--schedule", "linear"], ["1e-4", "3e-4", "1e-3"]),
    "mezo": (["mezo"], LOW),
    "gv2": (["gv", "--pool", "2"], LOW),
    "gv4": (["gv", "--pool", "4"], LOW),
    "gv8": (["gv", "--pool", "8"], LOW),
    "greedy4": (["greedy", "--pool", "4"], LOW),
    "pool8": (POOL8, HIGH),
    "tail": (["tail", "--schedule", "linear"], LOW),
    "hizoo": (["hizoo"], LOW),
    "adamu": (["adamu", "--anneal-from", "25", "--anneal-to", "ANNEAL"], LOW),
    "subzero": (["mezo", *SUBZERO], [*LOW, "1e-3"]),
    "subzero, gv4": (["gv", "--pool", "4", *SUBZERO], [*LOW, "1e-3"]),
    "subzero, greedy4": (["greedy", "--pool", "4", *SUBZERO], [*LOW, "1e-3"]),
    "n-spsa": (["n-spsa", "--queries", "4"], [*LOW, "1e-3"]),
}
# as many examples in other batches: so many times the forward passes of the others
BATCHES = {"mezo, batches of 4": 4, "mezo, batches of 64": 0.25}
# of tasks whose rows all have the same options
CLASSES = {
    "recipe": ([*POOL8, *HELD, *SCALE, *GUARD, "--head-fit", "HEAD"], LOW),
    "mezo+cal+bal": (["mezo", *HELD], ["1e-4", "3e-4", "1e-3"]),
}
FINE = {
    "per-example": (["per-example", "--pool", "2", "--perturbation-rank", "1", "--refresh", "1"], ["1e-4", "3e-4", "1e-3"]),
    **{name: (["mezo", "--batch-size", name.split()[-1]], LOW) for name in BATCHES},
    "mezo+momentum": (["mezo", "--momentum", "0.9"], ["1e-5", "3e-5", "1e-4"]),
    "mezo+scale": (["mezo", *SCALE], ["1e-5", "3e-5", "1e-4"]),
    "pool8+scale": ([*POOL8, *SCALE], HIGH),
    "gv4+cal+bal+scale": (["gv", "--pool", "4", *HELD, *SCALE], LOW),
    "recipe, no head fit": ([*POOL8, *HELD, *SCALE, *GUARD], ["3e-4", "1e-3", "2e-3"]),
}
ZO135M = ["1e-5", "3e-5", "1e-4"]
SMOLLM2 = {
    "mezo": (["mezo"], ZO135M),
    "gv4": (["gv", "--pool", "4"], ZO135M),
    "pool8": (POOL8, ZO135M),
    "greedy4": (["greedy", "--pool", "4"], ZO135M),
    "tail": (["tail", "--schedule", "linear"], ["3e-6", "1e-5", "3e-5"]),
    "adam, LoRA": (["adam", "--tune", "lora", "--schedule", "linear"], ["3e-4", "1e-3", "3e-3"]),
}
RECIPE135M = {"recipe": ([*POOL8, *HELD, "--scale-1d", "5", *GUARD, "--head-fit", "HEAD"], ZO135M)}
RATES = {f"mezo {lr}": (["mezo"], [lr]) for lr in ["auto", "1e-5", "3e-5", "1e-4", "3e-4", "1e-3"]}
# task, methods, training, development and test rows, forward passes of runs and of tuning, rows of the head fit
SETS = {
    "sst2": ("sst2", {**METHODS, **CLASSES, **FINE}, (1000, 400, 872), (1000, 1000), 1000),
    "copa": ("copa", METHODS, (300, 100, 100), (600, 600), 0),
    "cb": ("cb", {**METHODS, **CLASSES}, (200, 50, 56), (400, 400), 200),
    "wic": ("wic", {**METHODS, **CLASSES}, (1000, 200, 400), (600, 600), 1000),
    "rte": ("rte", {**METHODS, **CLASSES}, (1000, 200, 277), (600, 600), 1000),
    "boolq": ("boolq", {**METHODS, **CLASSES}, (1000, 200, 400), (400, 400), 500),
    "reviews": ("reviews", {**METHODS, **CLASSES}, (1000, 400, 800), (600, 600), 1000),
    "kind": ("kind", {**METHODS, **CLASSES}, (1000, 400, 800), (600, 600), 1000),
    "smollm2": ("sst2", {**SMOLLM2, **RECIPE135M, "mezo": (["mezo"], ["3e-6", *ZO135M])}, (1000, 200, 872), (400, 200), 500),
    "smollm2-copa": ("copa", SMOLLM2, (300, 100, 100), (200, 100), 0),
    "smollm2-cb": ("cb", {**SMOLLM2, **RECIPE135M}, (200, 50, 56), (200, 100), 200),
    "smollm2-reviews": ("reviews", {**SMOLLM2, **RECIPE135M}, (1000, 200, 400), (200, 100), 500),
    "smollm2-kind": ("kind", {**SMOLLM2, **RECIPE135M}, (1000, 200, 400), (200, 100), 500),
    "rate-sst2": ("sst2", RATES, (1000, 400, 872), (1000, 0), 0),
    "rate-copa": ("copa", RATES, (300, 100, 100), (600, 0), 0),
    "rate-cb": ("cb", RATES, (200, 50, 56), (400, 0), 0),
    "rate-kind": ("kind", RATES, (1000, 400, 800), (600, 0), 0),
    "rate-reviews": ("reviews", RATES, (1000, 400, 800), (600, 0), 0),
    "rate-wic": ("wic", RATES, (1000, 200, 400), (600, 0), 0),
}
# these learn in fewer forward passes, and cost more time for each: half of the others'
FEWER = {("smollm2", "adam, LoRA"), *((part, "tail") for part in SETS if part.startswith("smollm2"))}


def run(part, name, lr, seed):
    task, methods, (train, dev, test), forwards, head = SETS[part]
    times = BATCHES.get(name, 0.5 if (part, name) in FEWER else 1)
    forwards = int(forwards[seed == 0] * times)
    test = 32 if seed == 0 and part.startswith("smollm2") else test
    folder = pathlib.Path(a.out) / f"{part}-{name}-{lr}-{seed}".replace(" ", "-").replace(",", "")
    if not (folder / "summary.json").exists() and not a.table:
        # two forward passes a step
        known = {"HEAD": str(head), "ANNEAL": str(forwards * 2 // 5)}
        words = [known.get(word, word) for word in methods[name][0]]
        eps = [] if words[0] in ("adam", "tail") else ["--eps", "1e-3"]
        own = pathlib.Path(a.data) / task / "task.toml"
        command = [a.zograd, "train", "--model", a.model, "--task", own if own.exists() else task, "--data", f"{a.data}/{task}", "--method", *words, "--lr", lr, *eps]
        command += ["--forwards", forwards, "--eval-every-forwards", forwards // 10, "--seed", seed, "--train-examples", train]
        command += ["--dev-examples", dev, "--test-examples", test, "--threads", 1, *shlex.split(a.more), "--out", folder, "--json"]
        made = subprocess.run([str(word) for word in command], check=False, capture_output=True, text=True)
        if made.returncode:
            print(folder.name, made.stderr[-300:], flush=True)
    try:
        summary = json.load(open(folder / "summary.json"))
    except OSError:
        return None
    if "accuracy_after" not in summary:
        # interrupted, or ended before its test rows
        print(folder.name, summary.get("stop"), flush=True)
        return None
    evals = [json.loads(line) for line in open(folder / "metrics.jsonl") if '"kind":"eval"' in line]
    # of batches of the others' size
    of_theirs = BATCHES.get(name, 1)
    curve = [(round(e["forwards"] / of_theirs), e["dev_loss"]) for e in evals if e["dev_loss"] is not None]
    return {"accuracy": summary["accuracy_after"], "loss": summary["loss_after"], "curve": curve}


def lowest(found):
    return min((loss for _, loss in found["curve"]), default=float("inf")) if found else float("inf")


tuned, final, chosen, lock = {}, {}, {}, threading.Lock()


def lane(part, name):
    """One method on one task: its rates, and then the best of them with other seeds."""
    rates = SETS[part][1][name][1]
    if len(rates) > 1:
        tuned[part, name] = {lr: lowest(run(part, name, lr, 0)) for lr in rates}
    chosen[part, name] = min(tuned.get((part, name), {rates[0]: 0.0}).items(), key=lambda at: at[1])[0]
    final[part, name] = [run(part, name, chosen[part, name], seed + 1) for seed in range(a.seeds)]


def work():
    while True:
        with lock:
            if not lanes:
                return
            job = lanes.pop(0)
        lane(*job)


def spread(values):
    return f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


lanes = [(t, m) for t in a.sets for m in SETS[t][1] if m in (a.methods or SETS[t][1])]
threads = [threading.Thread(target=work) for _ in range(a.workers)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for part in a.sets:
    runs = {m: [r for r in final.get((part, m), []) if r] for m in SETS[part][1]}
    # without runs of MeZO at its best rate there is nothing to reach
    has_target = bool(runs.get("mezo"))
    target = statistics.median([lowest(r) for r in runs["mezo"]]) if has_target else 0.0
    heads = ["method", "lr", "test accuracy", "test loss", "development loss", *(["forwards to the target"] if has_target else [])]
    print(f"\n{part}" + (f": target {target:.4f}" if has_target else ""))
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for name, found in runs.items():
        reached = [next((f for f, loss in r["curve"] if loss <= target), None) for r in found]
        if found:
            cells = [name, chosen[part, name], spread([r["accuracy"] for r in found]), spread([r["loss"] for r in found])]
            cells.append(f"{statistics.median(map(lowest, found)):.4f}")
            if has_target:
                cells.append(", ".join("never" if f is None else str(f) for f in reached))
            print(f"| {' | '.join(cells)} |")
