//! What settings are called elsewhere: by Hugging Face's `Trainer`, and by the scripts of MeZO and MeZO-GV.

/// Names in kebab case, with what to use here; settings stand in backquotes.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["learning-rate", "learningrate"], "use `lr`"),
    (&["max-steps", "num-steps", "iterations"], "use `steps`"),
    (
        &["num-train-epochs", "num-epochs", "epochs", "epoch"],
        "use `steps` (or `forwards`); an epoch is `train-examples` / `batch-size` steps",
    ),
    (
        &[
            "per-device-train-batch-size",
            "train-batch-size",
            "batchsize",
            "bs",
        ],
        "use `batch-size`",
    ),
    (&["per-device-eval-batch-size"], "use `eval-batch-size`"),
    (
        &["gradient-accumulation-steps"],
        "use `batch-size` for all examples of a step; of adam and adamw, `micro-batch` are those in memory at a time",
    ),
    (&["num-train", "max-train-samples"], "use `train-examples`"),
    (&["num-dev"], "use `dev-examples`"),
    (
        &["num-eval", "max-eval-samples", "num-test"],
        "use `test-examples`",
    ),
    (&["zo-eps", "epsilon"], "use `eps`"),
    (
        &["lr-scheduler-type", "lr-scheduler", "scheduler"],
        "use `schedule`: constant, linear or cosine",
    ),
    (
        &["warmup-steps", "warmup-ratio", "warmup"],
        "there is no warm-up; `schedule` has constant, linear and cosine",
    ),
    (&["model-name", "model-name-or-path"], "use `model`"),
    (&["tokenizer-name"], "use `tokenizer`"),
    (&["task-name"], "use `task`"),
    (
        &[
            "dataset",
            "dataset-name",
            "data-dir",
            "train-file",
            "validation-file",
        ],
        "use `data`, the folder with the train and validation rows",
    ),
    (
        &["train-set-seed", "data-seed", "random-seed"],
        "use `seed`: it draws the examples, their order and the noise",
    ),
    (
        &["num-train-sets"],
        "use `seed`: every seed draws other examples; a sweep takes several",
    ),
    (
        &["output-dir", "out-dir", "output", "run-name", "tag"],
        "use `out`",
    ),
    (
        &["overwrite-output-dir"],
        "nothing is written over: name another folder with `out`",
    ),
    (
        &["load-float16", "float16", "fp16", "half"],
        "use `dtype = f16` with `backend = flex` or cuda",
    ),
    (
        &["load-bfloat16", "bfloat16", "bf16"],
        "use `dtype = bf16` with `backend = flex` or cuda",
    ),
    (
        &["load-int8", "load-in-8bit", "load-in-4bit"],
        "weights are f32, f16 or bf16 (`dtype`)",
    ),
    (
        &["no-cuda", "use-cpu", "gpu"],
        "use `backend`: where to compute",
    ),
    (
        &[
            "num-workers",
            "dataloader-num-workers",
            "num-threads",
            "jobs",
        ],
        "use `threads`",
    ),
    (
        &["eval-steps", "evaluation-strategy", "eval-strategy"],
        "use `eval-every`, in steps, or `eval-every-forwards`",
    ),
    (
        &["early-stopping", "early-stopping-patience", "early-stop"],
        "use `patience`, in evaluations",
    ),
    (
        &[
            "save-steps",
            "save-strategy",
            "save-total-limit",
            "save-model",
            "load-best-model-at-end",
        ],
        "leave it out: a run keeps its best weights, and can be resumed from its last steps",
    ),
    (
        &[
            "logging-steps",
            "logging-dir",
            "logging-strategy",
            "report-to",
        ],
        "leave it out: every step is written to metrics.jsonl in the run's folder",
    ),
    (
        &["do-train", "do-eval", "do-predict", "no-eval", "verbose"],
        "leave it out: a run trains, evaluates, and says what it does",
    ),
    (
        &["metric-for-best-model", "greater-is-better"],
        "use `best-by`: score or loss",
    ),
    (&["lora", "use-lora"], "use `tune = lora`"),
    (&["lora-rank", "rank"], "use `lora-r`"),
    (
        &["target-modules", "lora-target-modules"],
        "use `lora-targets`",
    ),
    (&["prefix-tuning"], "use `tune = prefix`"),
    (&["num-prefix"], "use `prefix-tokens`"),
    (
        &["prefix-init-by-real-act"],
        "use `prefix-init = real`, which is the default",
    ),
    (
        &["no-reparam"],
        "leave it out: prefixes have no other parameters behind them",
    ),
    (&["head-tuning"], "use `tune = head`"),
    (&["linear-probing"], "use `method = linear-probing`"),
    (
        &["only-train-option"],
        "leave it out: the loss is always that of the options alone",
    ),
    (
        &["train-as-classification"],
        "use `objective = classification`, or leave it out: auto is what MeZO's code does for the task",
    ),
    (
        &["non-diff"],
        "use `objective = f1` for written answers, or `objective = accuracy`",
    ),
    (
        &[
            "reward-funcs",
            "reward-function",
            "reward-fn",
            "reward-model",
        ],
        "use `reward` (a rule) or `reward-command` (a program), with `objective = reward`",
    ),
    (
        &["trainer", "optim", "optimizer"],
        "use `method`: mezo for MeZO's trainer \"zo\", gv, greedy, or adam with gradients",
    ),
    (
        &["gradient-checkpointing"],
        "use `recompute`, with adam or adamw",
    ),
    (&["num-beams"], "use `beams`"),
    (
        &["eos-token"],
        "leave it out: the tokenizer and the model say where a text ends",
    ),
];

/// What to use here for a setting that is called so elsewhere.
///
/// ```
/// use zograd_runs::elsewhere;
///
/// assert_eq!(elsewhere("zo_eps"), Some("use `eps`"));
/// assert_eq!(elsewhere("eps"), None);
/// ```
pub fn elsewhere(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('_', "-");
    let known = |(names, _): &&(&[&str], &str)| names.contains(&name.as_str());
    ELSEWHERE.iter().find(known).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Runs;
    use std::collections::BTreeSet;

    #[test]
    fn every_advice_names_settings_that_there_are_and_no_name_is_one_of_ours() {
        let (train, eval) = (Runs::new().keys(), Runs::measurement_keys());
        let ours: BTreeSet<&str> = train
            .iter()
            .chain(eval.iter())
            .map(|k| k.setting.key)
            .collect();
        let mut seen = BTreeSet::new();
        for (names, advice) in ELSEWHERE {
            for name in *names {
                assert!(!ours.contains(name) && seen.insert(*name), "{name}");
            }
            for quoted in advice.split('`').skip(1).step_by(2) {
                let key = quoted.split(" = ").next().expect("a word");
                assert!(ours.contains(key), "{quoted} in {advice}");
            }
        }
    }
}
