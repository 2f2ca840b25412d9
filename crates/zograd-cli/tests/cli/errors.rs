//! Wrong input: one line that names the culprit and the fix, exit code 2, nothing written.

use crate::support::{run, scratch, unpack, zograd};
use std::fs;
use std::path::Path;

/// Expects exit code 2, a single line on the standard error with all of `parts`, and no new files.
pub fn refused(dir: &Path, args: &[&str], parts: &[&str]) {
    let files = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir)
            .expect("a folder")
            .map(|e| e.expect("an entry").file_name())
            .collect();
        names.sort();
        names
    };
    let before = files(dir);
    let output = zograd(dir, args).output().expect("the binary starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    let errors: Vec<&str> = stderr.lines().filter(|l| l.starts_with("error")).collect();
    assert_eq!(
        (errors.len(), stderr.lines().count()),
        (1, 1),
        "{args:?}: {stderr}"
    );
    for part in parts {
        assert!(
            errors[0].contains(part),
            "{args:?}: no {part:?} in: {stderr}"
        );
    }
    assert!(output.stdout.is_empty());
    assert_eq!(files(dir), before, "{args:?} left something behind");
}

#[test]
fn flags_out_of_range() {
    let dir = scratch();
    for (args, parts) in [
        (&["train", "--eps", "0"][..], &["--eps 0", "1e-3"][..]),
        (&["train", "--eps", "nan"], &["--eps"]),
        (&["train", "--eps", "1e38"], &["--eps", "at most 1"]),
        (&["train", "--eps", "1e-320"], &["--eps"]),
        (&["train", "--lr", "-1"], &["--lr -1:"]),
        (&["train", "--lr", "-1e-4"], &["--lr -0.0001:"]),
        (
            &[
                "train",
                "--method",
                "adamu",
                "--lr",
                "auto",
                "--forwards",
                "120",
            ],
            &["--lr auto: in a rehearsal", "give a number"],
        ),
        (
            &["train", "--patience", "2", "--dev-examples", "0"],
            &["--patience 2", "--dev-examples"],
        ),
        (
            &["train", "--batch-size", "18446744073709551615"],
            &["--batch-size"],
        ),
        (&["train", "--pool", "18446744073709551615"], &["--pool"]),
        (
            &[
                "train",
                "--method",
                "n-spsa",
                "--queries",
                "9223372036854775808",
            ],
            &["--queries"],
        ),
        (&["train", "--seed", "18446744073709551615"], &["--seed"]),
        (&["train", "--threads", "20000"], &["--threads 20000"]),
        (
            &["train", "--method", "mezo", "--faithful-cost"],
            &["--faithful-cost"],
        ),
        (
            &["eval", "--predictions", "no/p.jsonl"],
            &["--predictions", "folder no"],
        ),
        (&["train", "--pool", "0"], &["--pool"]),
        (&["train", "--method", "greedy", "--pool", "0"], &["--pool"]),
        (&["train", "--method", "gv", "--pool", "1"], &["--pool"]),
        (&["train", "--alpha", "0.1"], &["--alpha"]),
        (&["train", "--alpha", "1"], &["--alpha"]),
        (
            &["train", "--method", "n-spsa", "--queries", "0"],
            &["--queries"],
        ),
        (
            &["train", "--method", "mezo", "--pool", "4"],
            &["--pool", "mezo"],
        ),
        (&["train", "--method", "mezzo"], &["mezzo", "mezo"]),
        (
            &["train", "--lr", "1", "--weight-decay", "2"],
            &["--weight-decay"],
        ),
        (&["train", "--batch-size", "0"], &["--batch-size 0"]),
        (&["train", "--steps", "0"], &["--steps 0"]),
        (
            &["train", "--forwards", "1"],
            &["--forwards 1", "6 forwards"],
        ),
        (
            &["train", "--steps", "1", "--forwards", "1"],
            &["--steps", "--forwards"],
        ),
        (&["train", "--train-examples", "0"], &["--train-examples"]),
        (&["train", "--test-examples", "0"], &["--test-examples"]),
        (&["train", "--threads", "0"], &["--threads 0"]),
        (&["train", "--dtype", "f16"], &["--dtype", "--backend flex"]),
        (
            &["train", "--device", "local-rank"],
            &[
                "--device local-rank: the backend ndarray has no devices",
                "--backend cuda",
            ],
        ),
        (
            &["predict", "--device", "cuda"],
            &[
                "--device cuda",
                "a number from 0, or local-rank",
                "--backend",
            ],
        ),
        (
            &["train", "--max-length", "100000"],
            &["--max-length 100000", "positions"],
        ),
        (&["train", "--schedule", "zigzag"], &["zigzag", "cosine"]),
        (&["train", "--bos-id", "1000000"], &["1000000", "--bos-id"]),
        (
            &["train", "--learning_rate", "1"],
            &["'--learning_rate'", "use --lr;"],
        ),
        (
            &["sweep", "--only_train_option", "1"],
            &["leave it out", "options"],
        ),
        (&["train", "--zo_eps=1e-3"], &["'--zo_eps'", "use --eps;"]),
        (
            &["train", "--batch_size", "1"],
            &["'--batch_size'", "use --batch-size;"],
        ),
        (&["train", "--seed", "-1"], &["--seed", "from 0 to"]),
        (&["train", "--steps", "-5"], &["--steps", "from 0 to"]),
        (
            &["generate", "--prompt", "a", "--max-new-tokens", "-5"],
            &["--max-new-tokens", "'-5'"],
        ),
        (&["train", "--eps", "1e-50"], &["--eps 1e-50:", "rounding"]),
        (
            &["train", "--lr", "1", "--weight-decay", "1e300"],
            &["--weight-decay 1e300:"],
        ),
        (
            &["train", "--method", "adam", "--max-grad-norm", "-1e300"],
            &["--max-grad-norm -1e300:"],
        ),
        (&["train", "--alpha", "nan"], &["--alpha nan:", "finite"]),
        (
            &["train", "--batch-size", "9223372036854775807"],
            &["--batch-size 9223372036854775807: use at most"],
        ),
        (
            &["train", "--guard", "flat-loss=stop,flat-loss=skip"],
            &["--guard flat-loss=skip", "answered already"],
        ),
        (
            &["train", "--guard", "reward-late=stop"],
            &["reward-late does not happen", "--objective reward"],
        ),
        (
            &[
                "train",
                "--method",
                "adam",
                "--guard",
                "update-too-far=stop",
            ],
            &["update-too-far does not happen"],
        ),
        (
            &["train", "--model", "`lr`", "--task", "toy"],
            &["--model: `lr` is neither"],
        ),
        // not that something else is missing
        (
            &["eval", "--model", "my-rnu"],
            &["--model: my-rnu is neither a folder"],
        ),
        (
            &[
                "train", "--task", "chta", "--data", ".", "--model", "embedded",
            ],
            &["did you mean \"chat\"?"],
        ),
        (
            &["train", "--task", "`lr`"],
            &["--task `lr`", "needs --model and --data"],
        ),
        (
            &[
                "train", "--task", "lr", "--data", ".", "--model", "embedded",
            ],
            &["--task: there is no task \"lr\""],
        ),
        (
            &["eval", "--eval-batch-size", "0"],
            &["--eval-batch-size 0"],
        ),
        (&["eval", "--test-examples", "0"], &["--test-examples 0"]),
        (
            &["eval", "--shots", "1000000"],
            &["--shots 1000000", "rows"],
        ),
    ] {
        refused(dir.path(), args, parts);
    }
    #[cfg(not(feature = "cuda"))]
    refused(
        dir.path(),
        &["train", "--backend", "cuda"],
        &["--backend cuda", "--features cuda"],
    );
}

#[test]
fn task_and_data_that_are_not_there() {
    let dir = scratch();
    unpack(dir.path());
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    fs::create_dir(dir.path().join("blank")).expect("a folder");
    fs::write(dir.path().join("blank/train.jsonl"), "").expect("a file");
    fs::write(dir.path().join("blank/validation.jsonl"), "\n").expect("a file");
    fs::create_dir(dir.path().join("odd")).expect("a folder");
    for split in ["train", "validation"] {
        let rows =
            "{\"sentence\": \"fine\", \"label\": 1}\n{\"sentence\": \"fine\", \"label\": 7}\n";
        fs::write(dir.path().join(format!("odd/{split}.jsonl")), rows).expect("a file");
    }
    fs::create_dir(dir.path().join("torn")).expect("a folder");
    for split in ["train", "validation"] {
        fs::write(
            dir.path().join(format!("torn/{split}.jsonl")),
            "{\"sentence\": \"fi",
        )
        .expect("a file");
    }
    for (args, parts) in [
        (
            &[
                "train", "--model", "embedded", "--task", "sst3", "--data", "data",
            ][..],
            &["sst3", "sst2"][..],
        ),
        (&["train", "--task", "sst2"], &["--data"]),
        (&["train", "--data", "data"], &["--task", "--model"]),
        (&["train", "--model", "model"], &["--task", "--data"]),
        (
            &["eval", "--task", "sst2", "--data", "data"],
            &["--model embedded"],
        ),
        (
            &[
                "eval", "--model", "embedded", "--task", "sst2", "--data", "nowhere",
            ],
            &["--data", "nowhere"],
        ),
        (
            &[
                "eval", "--model", "embedded", "--task", "sst2", "--data", "empty",
            ],
            &["empty", "validation.jsonl"],
        ),
        (
            &[
                "eval", "--model", "embedded", "--task", "sst2", "--data", "blank",
            ],
            &["blank", "validation"],
        ),
        (
            &[
                "eval", "--model", "embedded", "--task", "sst2", "--data", "odd",
            ],
            &["validation.jsonl:2", "label", "7"],
        ),
        (
            &[
                "eval", "--model", "embedded", "--task", "sst2", "--data", "torn",
            ],
            &["validation.jsonl:1"],
        ),
        (&["prompts", "--data", "data"], &["--task"]),
        (
            &[
                "eval", "--model", "embedded", "--task", "squad", "--data", "data",
            ],
            &["validation.jsonl:1", "title"],
        ),
        (
            &[
                "prompts",
                "--task",
                "sst2",
                "--data",
                "data",
                "--tokenizer",
                "model",
                "--offset",
                "99999",
            ],
            &["--offset 99999", "rows"],
        ),
        (
            &[
                "prompts",
                "--task",
                "sst2",
                "--data",
                "data",
                "--tokenizer",
                "data",
            ],
            &["tokenizer"],
        ),
    ] {
        refused(dir.path(), args, parts);
    }
}

/// Of a value that is no text the flag is told.
#[cfg(unix)]
#[test]
fn a_value_that_is_no_utf8_is_named_by_its_flag() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = scratch();
    let mut command = zograd(dir.path(), &["train", "--lr", "1", "--task"]);
    let output = command.arg(OsStr::from_bytes(b"a\xff")).output();
    let output = output.expect("the binary starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.starts_with("error: --task a\u{fffd}: "), "{error}");
}

#[test]
fn config_files_with_mistakes() {
    let dir = scratch();
    for (text, parts) in [
        (
            "method = \"gv\"\nbatchsize = 4\n",
            &["typo.toml", "batchsize", "batch-size"][..],
        ),
        ("lr = \"fast\"\n", &["typo.toml"]),
        ("lr = \n", &["typo.toml", "line 1"]),
        ("pool = 0\n", &["--pool"]),
        (
            "learning_rate = 1e-4\n",
            &["\"learning_rate\"", "use \"lr\""],
        ),
        (
            "num_train_epochs = 3\n",
            &["use \"steps\"", "\"train-examples\""],
        ),
        ("qqq = 3\n", &["\"qqq\"", "flags of the command"]),
    ] {
        fs::write(dir.path().join("typo.toml"), text).expect("a file");
        refused(dir.path(), &["train", "--config", "typo.toml"], parts);
    }
    refused(
        dir.path(),
        &["train", "--config", "missing.toml"],
        &["missing.toml"],
    );
}

/// A copy of the built-in model folder with one file changed.
fn broken(dir: &Path, change: impl FnOnce(&Path)) {
    let model = dir.join("model");
    if model.exists() {
        fs::remove_dir_all(&model).expect("removed");
        fs::remove_dir_all(dir.join("data")).expect("removed");
    }
    unpack(dir);
    change(&model);
}

#[test]
fn model_folders_with_defects() {
    let dir = scratch();
    let eval = &["eval", "--model", "model", "--task", "toy"][..];
    refused(
        dir.path(),
        &["eval", "--model", "no/such/folder", "--task", "toy"],
        &["no/such/folder"],
    );

    broken(dir.path(), |m| {
        fs::remove_file(m.join("config.json")).expect("removed")
    });
    refused(dir.path(), eval, &["config.json"]);

    broken(dir.path(), |m| {
        fs::remove_file(m.join("model.safetensors")).expect("removed")
    });
    refused(dir.path(), eval, &["model.safetensors"]);

    broken(dir.path(), |m| {
        fs::remove_file(m.join("tokenizer.json")).expect("removed")
    });
    refused(dir.path(), eval, &["--tokenizer"]);

    broken(dir.path(), |m| {
        let path = m.join("model.safetensors");
        let bytes = fs::read(&path).expect("bytes");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    });
    refused(dir.path(), eval, &["model.safetensors"]);

    broken(dir.path(), |m| {
        fs::remove_file(m.join("model.safetensors")).expect("removed");
        let index = r#"{"weight_map": {"model.decoder.embed_tokens.weight": "model-00001-of-00002.safetensors"}}"#;
        fs::write(m.join("model.safetensors.index.json"), index).expect("written");
    });
    refused(dir.path(), eval, &["model-00001-of-00002.safetensors"]);

    let edit = |m: &Path, key: &str, value: serde_json::Value| {
        let path = m.join("config.json");
        let text = fs::read_to_string(&path).expect("text");
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config[key] = value;
        fs::write(&path, config.to_string()).expect("written");
    };
    broken(dir.path(), |m| edit(m, "ffn_dim", 12.into()));
    refused(dir.path(), eval, &["fc1", "12"]);
    broken(dir.path(), |m| edit(m, "num_attention_heads", 7.into()));
    refused(dir.path(), eval, &["num_attention_heads"]);
    broken(dir.path(), |m| edit(m, "model_type", "llama".into()));
    refused(dir.path(), eval, &["llama", "opt"]);
    broken(dir.path(), |m| edit(m, "vocab_size", 100.into()));
    refused(dir.path(), eval, &["vocabulary", "100"]);
}

#[test]
fn nothing_is_written_over() {
    let dir = scratch();
    fs::create_dir(dir.path().join("out")).expect("a folder");
    fs::write(dir.path().join("out/precious"), "x").expect("a file");
    refused(
        dir.path(),
        &["train", "--out", "out"],
        &["--out", "not empty"],
    );
    // as of a variable that is not set: not the folder one stands in
    refused(dir.path(), &["train", "--out", ""], &["--out", "empty"]);
    refused(dir.path(), &["sweep", "--out", ""], &["--out", "empty"]);
    fs::write(dir.path().join("scores.jsonl"), "x").expect("a file");
    refused(
        dir.path(),
        &["eval", "--predictions", "scores.jsonl"],
        &["--predictions", "scores.jsonl"],
    );
    assert_eq!(
        fs::read(dir.path().join("scores.jsonl")).expect("kept"),
        b"x"
    );
}

/// Errors name what was given, and not what was made of it.
#[test]
fn budgets_and_rates_are_told_as_they_were_given() {
    let dir = scratch();
    let compare = ["compare", "--method", "gv"];
    let third = [&compare[..], &["--forwards", "9"]].concat();
    let parts = [
        "--forwards 9: a third of it",
        "--tune-forwards",
        "one step of this method takes",
    ];
    refused(dir.path(), &third, &parts);
    let said = [&compare[..], &["--tune-forwards", "3"]].concat();
    refused(
        dir.path(),
        &said,
        &["--tune-forwards 3: one step of this method takes"],
    );
    for command in ["sweep", "compare", "align"] {
        let output = zograd(dir.path(), &[command, "--lr", "auto"]).output();
        let output = output.expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("tried here, not measured"), "{said}");
    }
    let train = [
        "train",
        "--backend",
        "flex",
        "--dtype",
        "bf16",
        "--steps",
        "1",
        "--train-examples",
        "4",
        "--dev-examples",
        "0",
        "--test-examples",
        "1",
        "--out",
        "half",
    ];
    run(dir.path(), &train);
    let replay = ["replay", "--log", "half/trajectory.zog", "--out", "again"];
    let parts = [
        "--log half/trajectory.zog",
        "weights of bf16",
        "--backend flex",
    ];
    refused(dir.path(), &replay, &parts);
}
