//! What a run says of itself when it is over, how it goes on, and folders that are given for one another.

use crate::errors::refused;
use crate::support::{json, metrics, run, run_json, scratch, short, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.trim_end()
        .lines()
        .last()
        .unwrap_or_default()
        .to_owned()
}

/// `short` with other numbers for some of its flags.
fn changed<'a>(changes: &[(&str, &'a str)], more: &[&'a str]) -> Vec<&'a str> {
    let mut args = short(more);
    for (flag, value) in changes {
        let at = args.iter().position(|arg| arg == flag).expect("a flag");
        args[at + 1] = value;
    }
    args
}

/// These flags but one and its value.
fn without<'a>(args: &[&'a str], flag: &str) -> Vec<&'a str> {
    let at = args.iter().position(|arg| *arg == flag).expect("a flag");
    [&args[..at], &args[at + 2..]].concat()
}

/// Everything that a run leaves behind, but for what the clock and the allocator say.
fn left(run: &Path) -> (Vec<Value>, Value, Vec<Vec<u8>>) {
    let mut summary = json(&run.join("summary.json"));
    for key in ["seconds", "peak_memory_bytes", "run"] {
        summary[key] = Value::Null;
    }
    let weights = ["best/model.safetensors", "best/adapter_model.safetensors"];
    let files = ["trajectory.zog", "config.toml", "examples.json"].iter();
    let files = files.chain(weights.iter().filter(|name| run.join(name).exists()));
    let files = files.map(|name| fs::read(run.join(name)).expect("a file"));
    (metrics(run), summary, files.collect())
}

/// Where nothing becomes better a run ends by its patience, and is then over.
#[test]
fn patience_ends_a_run_for_good() {
    let dir = scratch();
    let still = [("--steps", "40")];
    let more = [
        "--json",
        "--lr",
        "0",
        "--patience",
        "2",
        "--eval-every-forwards",
        "24",
        "--out",
        "run",
    ];
    let args = changed(&still, &more);
    let args: Vec<_> = without(&args, "--eval-every");
    let report = run_json(dir.path(), &args);
    // four steps of GV with a pool of four
    assert_eq!(
        (&report["steps"], &report["stop"]),
        (&8.into(), &"patience".into())
    );
    let config = fs::read_to_string(dir.path().join("run/config.toml")).expect("settings");
    assert!(
        config.contains("patience = 2") && config.contains("eval-every = 4"),
        "{config}"
    );
    for more in [&[][..], &["--steps", "100"]] {
        let args: Vec<_> = ["train", "--resume", "run"]
            .iter()
            .chain(more)
            .copied()
            .collect();
        refused(dir.path(), &args, &["--patience"]);
    }
    for (args, about) in [
        (vec!["--patience", "0"], "patience"),
        (vec!["--patience", "2", "--eval-every", "0"], "patience"),
        (
            vec!["--eval-every", "2", "--eval-every-forwards", "12"],
            "give one of them",
        ),
        (vec!["--eval-every-forwards", "0"], "eval-every-forwards"),
    ] {
        let args: Vec<_> = ["train", "--out", "none"].into_iter().chain(args).collect();
        refused(dir.path(), &args, &[about]);
    }
}

/// The untuned model may stay the best of a run that goes on: what was kept of it is known.
#[test]
fn the_untuned_model_is_known_after_a_resume() {
    let dir = scratch();
    run(dir.path(), &short(&["--lr", "0", "--out", "run"]));
    let longer = run(dir.path(), &["train", "--resume", "run", "--steps", "30"]);
    let told = String::from_utf8_lossy(&longer.stderr);
    assert!(!told.contains("as it was saved"), "{told}");
    assert_eq!(json(&dir.path().join("run/summary.json"))["best_step"], 0);
}

/// Steps that add nothing to a fit are not said to have learnt nothing at all.
#[test]
fn a_head_fit_is_what_was_learnt() {
    let dir = scratch();
    let fitted = [
        "--head-fit",
        "64",
        "--method",
        "mezo",
        "--lr",
        "0",
        "--out",
        "run",
    ];
    let output = run(dir.path(), &short(&fitted));
    // the fit was paid for before the first step, and the steps follow it
    let longer = run(dir.path(), &["train", "--resume", "run", "--steps", "30"]);
    let told = String::from_utf8_lossy(&longer.stderr);
    assert!(!told.contains("made again"), "{told}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("added nothing to the head fit"), "{text}");
    assert!(
        text.contains("best/ holds the model after its head fit"),
        "{text}"
    );
    // a rate of 0 is told from steps that had nothing to add
    assert!(text.contains("--lr 1e-6,1e-5,1e-4"), "{text}");
    let steps = fitted.map(|word| match word {
        "0" => "1e-12",
        "run" => "moved",
        word => word,
    });
    let output = run(dir.path(), &short(&steps));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("try more rows (--train-examples), or a longer run"),
        "{text}"
    );
    // nor steps that were too long to be made
    let steps = steps.map(|word| match word {
        "1e-12" => "1e3",
        "moved" => "long",
        word => word,
    });
    let output = run(dir.path(), &short(&steps));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("zograd sweep --lr 1e1,3e1,1e2"), "{text}");
}

/// Where no method is named, rows with classes have the recipe, and all else what stands for all.
#[test]
fn classes_have_the_recipe_unless_a_method_is_named() {
    let dir = scratch();
    unpack(dir.path());
    let rows = |more: &[&'static str]| {
        let given = [
            "train", "--model", "model", "--task", "sst2", "--data", "data",
        ];
        let sizes = [
            "--train-examples",
            "160",
            "--dev-examples",
            "20",
            "--test-examples",
            "20",
        ];
        [&given[..], &sizes, more].concat()
    };
    let output = run(dir.path(), &rows(&["--steps", "10", "--out", "recipe"]));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("no method was named"), "{told}");
    // it is measured at the fit, which is made once
    assert_eq!(
        told.matches("head fit on 160 training").count(),
        1,
        "{told}"
    );
    let summary = json(&dir.path().join("recipe/summary.json"));
    let settings = &summary["settings"];
    assert_eq!(settings["preset"], "start/any/recipe");
    assert_eq!(settings["method"], "pool-regression");
    assert_eq!(settings["lr"], "auto");
    // 10 of the fit, 8 each step, and those of the rate, a tenth at most
    let measured = summary["measured_rate"]["forwards"]
        .as_u64()
        .expect("a number");
    assert_eq!(summary["forwards"], 10 + 10 * 8 + measured);
    let lr = summary["measured_rate"]["lr"].as_f64().expect("a number");
    assert!(told.contains(&format!(", lr {lr:.1e}, ")), "{told}");
    let config = ["train", "--config", "recipe/config.toml", "--out", "again"];
    run(dir.path(), &config);
    let again = json(&dir.path().join("again/summary.json"));
    assert_eq!(again["weights"], summary["weights"]);
    run(
        dir.path(),
        &[
            "replay",
            "--log",
            "recipe/trajectory.zog",
            "--out",
            "replayed",
        ],
    );
    for (out, said) in [
        ("named", &["--method", "gv", "--steps", "10"][..]),
        ("pool", &["--pool", "4", "--steps", "10"]),
        ("objective", &["--objective", "accuracy", "--steps", "10"]),
        ("short", &["--steps", "1"]),
    ] {
        let output = run(dir.path(), &rows(&[said, &["--out", out]].concat()));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("no method was named"), "{said:?}: {told}");
        let summary = json(&dir.path().join(out).join("summary.json"));
        assert_eq!(summary["method"], "gv", "{said:?}");
    }
    // no classes: the answer is written, or there are too few rows to fit anything to
    let answered = (0..200).map(|row| format!("film {row},great\n"));
    fs::write(
        dir.path().join("asked.csv"),
        "ask,answer\n".to_owned() + &answered.collect::<String>(),
    )
    .expect("written");
    let written = [
        "train",
        "--model",
        "model",
        "--data",
        "asked.csv",
        "--prompt",
        "ask",
    ];
    let more = [
        "--answer",
        "answer",
        "--train-examples",
        "160",
        "--steps",
        "10",
        "--out",
        "written",
    ];
    let advised = "neither a method nor a learning rate was named";
    let output = run(dir.path(), &[&written[..], &more].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains(advised) && told.contains("--lr auto measures one"),
        "{told}"
    );
    let more = [
        "--answer", "answer", "--steps", "10", "--lr", "1e-5", "--out", "rate",
    ];
    let output = run(dir.path(), &[&written[..], &more].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains(advised), "{told}");
    let few: Vec<&str> = rows(&["--steps", "10", "--out", "few"])
        .into_iter()
        .map(|word| if word == "160" { "100" } else { word })
        .collect();
    run(dir.path(), &few);
    for out in ["written", "few"] {
        let summary = json(&dir.path().join(out).join("summary.json"));
        assert_eq!(summary["method"], "gv", "{out}");
    }
}

/// Rows of one class have nothing to tell apart: no fit, no recipe, and a word of it; nor have rows that are all alike a gain.
#[test]
fn rows_that_do_not_differ_are_not_fitted_to() {
    let dir = scratch();
    unpack(dir.path());
    let rows = |label: fn(usize) -> usize| {
        let row = |at: usize| format!("{{\"sentence\":\"a film\",\"label\":{}}}\n", label(at));
        (0..160).map(row).collect::<String>()
    };
    let given = |out: &'static str, more: &[&'static str]| {
        let given = ["train", "--model", "model", "--task", "sst2", "--data", out];
        let sizes = [
            "--train-examples",
            "140",
            "--dev-examples",
            "20",
            "--test-examples",
            "160",
            "--forwards",
            "200",
        ];
        [&given[..], &sizes, more].concat()
    };
    for (data, label) in [
        ("one", (|_| 1) as fn(usize) -> usize),
        ("alike", |at| at % 2),
    ] {
        let folder = dir.path().join(data);
        fs::create_dir(&folder).expect("made");
        fs::write(folder.join("train.jsonl"), rows(label)).expect("written");
        fs::write(folder.join("validation.jsonl"), rows(|at| at % 2)).expect("written");
    }
    let output = run(dir.path(), &given("one", &["--out", "run"]));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("all training rows are of one class"),
        "{told}"
    );
    assert_eq!(json(&dir.path().join("run/summary.json"))["method"], "gv");
    let fit = given(
        "one",
        &["--method", "mezo", "--lr", "1e-4", "--head-fit", "140"],
    );
    refused(dir.path(), &fit, &["--head-fit 140", "one class"]);
    let output = run(
        dir.path(),
        &given("alike", &["--lr", "1e-4", "--out", "alike-run"]),
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("biases of the options alone"), "{told}");
    let summary = json(&dir.path().join("alike-run/summary.json"));
    let after = summary["loss_after"].as_f64().expect("a loss");
    // even odds, which is all that such rows say
    assert!((after - 2f64.ln()).abs() < 0.05, "{after}");
}

/// Biases that weights have no place for, as of options of several tokens, go where the best weights go, and are told of
/// where they cannot.
#[test]
fn biases_beside_weights_go_with_them() {
    let dir = scratch();
    unpack(dir.path());
    let row = |at: usize| match at % 3 {
        0 => format!("a dull film {at},a very bad one\n"),
        _ => format!("a fine film {at},a really good one\n"),
    };
    let rows = "text,label\n".to_owned() + &(0..60).map(row).collect::<String>();
    fs::write(dir.path().join("rows.csv"), rows).expect("written");
    let given = [
        "train", "--model", "model", "--data", "rows.csv", "--text", "text", "--label", "label",
    ];
    let how = [
        "--method",
        "mezo",
        "--lr",
        "1e-3",
        "--calibrate",
        "--steps",
        "4",
        "--out",
        "run",
    ];
    run(dir.path(), &[&given[..], &how].concat());
    let biases = |folder: &str| json(&dir.path().join(folder).join("option-biases.json"));
    let card = fs::read_to_string(dir.path().join("run/best/README.md")).expect("a card");
    assert!(card.contains("option-biases.json"), "{card}");
    run(dir.path(), &["export", "run", "--out", "small"]);
    let log = [
        "replay",
        "--model",
        "model",
        "--log",
        "small/trajectory.zog",
        "--out",
        "again",
    ];
    run(dir.path(), &log);
    for folder in ["small", "again"] {
        assert_eq!(biases(folder), biases("run/best"), "{folder}");
    }
    let convert = ["convert", "--model", "run/best", "--out", "best.gguf"];
    // told before OPT is refused, which has no such form
    let told = zograd(dir.path(), &convert).output().expect("it starts");
    let told = String::from_utf8_lossy(&told.stderr);
    assert!(told.contains("have no place in a GGUF file"), "{told}");
}

/// The card beside the weights says what they are, and may be rewritten.
#[test]
fn the_best_weights_have_a_card() {
    let dir = scratch();
    let report = run_json(dir.path(), &short(&["--json", "--out", "run"]));
    let path = dir.path().join("run/best/README.md");
    let card = fs::read_to_string(&path).expect("a card");
    let after = format!(
        "{:.4}",
        report["accuracy_after"].as_f64().expect("a number")
    );
    assert!(
        card.starts_with("---\nlibrary_name: transformers\n"),
        "{card}"
    );
    assert!(
        card.contains(&after) && card.contains("method = \"gv\""),
        "{card}"
    );
    assert!(!card.contains(&dir.path().display().to_string()), "{card}");
    fs::write(&path, "# Mine").expect("a card of one's own");
    let log = [
        "replay",
        "--log",
        "run/trajectory.zog",
        "--best",
        "--out",
        "again",
    ];
    run(dir.path(), &log);
}

/// Ten steps and ten more are twenty, to the bit.
#[test]
fn a_finished_run_can_be_made_longer() {
    let bf16 = [
        "--backend",
        "flex",
        "--dtype",
        "bf16",
        "--arithmetic",
        "anchored",
    ];
    for (every, more) in [
        ("4", &["--method", "gv"][..]),
        (
            "0",
            &[
                "--method",
                "gv-history",
                "--arithmetic",
                "plain",
                "--best-by",
                "loss",
            ],
        ),
        (
            "5",
            &[
                "--method",
                "greedy",
                "--weight-decay",
                "0.1",
                "--lr",
                "1e-4",
            ],
        ),
        ("0", &[&bf16[..], &["--anchor-every", "3"]].concat()),
        ("3", &["--tune", "lora", "--lora-r", "4"]),
    ] {
        let dir = scratch();
        let train = |steps, out| {
            let more = [more, &["--out", out]].concat();
            let args = changed(&[("--steps", steps), ("--eval-every", every)], &more);
            run(dir.path(), &args);
        };
        train("20", "whole");
        train("10", "run");
        let longer = ["train", "--resume", "run", "--steps", "20"];
        run(dir.path(), &longer);
        let [whole, found] = ["whole", "run"].map(|name| left(&dir.path().join(name)));
        assert!(found.0 == whole.0, "{more:?}: other metrics");
        assert_eq!(found.1, whole.1, "{more:?}");
        assert!(found.2 == whole.2, "{more:?}: other files");
        let verified = run_json(
            dir.path(),
            &["log", "verify", "run/trajectory.zog", "--json"],
        );
        assert_eq!(verified["whole"], true);
        // the promises beside the log are those of the longer run
        let replay = [
            "replay",
            "--log",
            "run/trajectory.zog",
            "--out",
            "again",
            "--json",
        ];
        let backend = if more.contains(&"flex") {
            "flex"
        } else {
            "ndarray"
        };
        let replay = [&replay[..], &["--backend", backend]].concat();
        assert_eq!(
            run_json(dir.path(), &replay)["as_exported"],
            true,
            "{more:?}"
        );
    }
}

/// What a longer run could not be is refused by name, and changes nothing.
#[test]
fn a_run_is_made_longer_as_it_can_be() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    run(
        dir.path(),
        &short(&["--schedule", "linear", "--out", "falling"]),
    );
    run(dir.path(), &short(&["--method", "adam", "--out", "adam"]));
    let before = left(&dir.path().join("run"));
    for (args, parts) in [
        (
            &["run", "--steps", "24"][..],
            &["--steps 24", "24 steps already"][..],
        ),
        (
            &["run", "--forwards", "900"],
            &["settings it had", "forwards"],
        ),
        (
            &["run", "--steps", "30", "--lr", "1"],
            &["settings it had", "lr"],
        ),
        (&["falling", "--steps", "30"], &["--schedule linear"]),
        (&["adam", "--steps", "30"], &["--resume adam", "finished"]),
    ] {
        refused(dir.path(), &[&["train", "--resume"], args].concat(), parts);
    }
    assert!(left(&dir.path().join("run")) == before);
    // nothing is left of the first end
    run(dir.path(), &["train", "--resume", "run", "--steps", "25"]);
    let config = fs::read_to_string(dir.path().join("run/config.toml")).expect("settings");
    assert!(config.contains("steps = 25"), "{config}");
    assert_eq!(json(&dir.path().join("run/summary.json"))["steps"], 25);
    refused(
        dir.path(),
        &["train", "--resume", "run"],
        &["finished", "--steps"],
    );
}

/// A run that learnt nothing, and one that blew up: the last line says so and what to try, `best/` is no worse than the
/// untuned model.
#[test]
fn a_run_that_gained_nothing_says_so() {
    let dir = scratch();
    let eval = run_json(dir.path(), &["eval", "--test-examples", "8", "--json"]);
    for (args, gain, said, code) in [
        (
            &["--lr", "1e-12"][..],
            "nothing",
            &["learnt nothing", "zograd sweep --lr 1e-6,1e-5,1e-4"][..],
            0,
        ),
        // so long that no step was made
        (
            &["--lr", "1e3"],
            "nothing",
            &["learnt nothing", "zograd sweep --lr 1e1,3e1,1e2"],
            0,
        ),
        (
            &["--lr", "1e-1", "--arithmetic", "plain", "--method", "mezo"],
            "blew-up",
            &[
                "blew up",
                "zograd sweep --lr 1e-3,3e-3,1e-2",
                "the untuned model",
            ],
            1,
        ),
        (
            &["--method", "linear-probing", "--train-examples", "4"],
            "",
            &["try more examples: --train-examples"],
            0,
        ),
    ] {
        let more = [args, &["--out", "run"]].concat();
        let more = match args.contains(&"linear-probing") {
            true => [
                &["train", "--dev-examples", "16", "--test-examples", "8"],
                &more[..],
            ]
            .concat(),
            false => short(&more),
        };
        let output = zograd(dir.path(), &more).output().expect("it starts");
        let line = last_line(&output.stdout);
        let summary = json(&dir.path().join("run/summary.json"));
        if !gain.is_empty() {
            assert_eq!(summary["gain"], gain, "{line}");
            assert_eq!(summary["best_step"], 0, "{summary}");
            assert_eq!(summary["accuracy_after"], eval["accuracy"]);
            let best = [
                "eval", "--model", "run/best", "--task", "sst2", "--data", "data",
            ];
            unpack(dir.path());
            let best = [&best[..], &["--test-examples", "8", "--json"]].concat();
            let loss = run_json(dir.path(), &best)["loss"]
                .as_f64()
                .expect("a loss");
            // the start weights are on the grids of exact steps
            assert!((loss - eval["loss"].as_f64().expect("a loss")).abs() < 1e-5);
        }
        if summary["gain"] != "better" {
            assert!(said.iter().all(|part| line.contains(part)), "{line}");
            assert_eq!(output.status.code(), Some(code), "{line}");
        }
        // an export and a replay of the best know what the best is
        if code == 1 {
            let export = ["export", "run", "--log-only", "--out", "packed", "--json"];
            assert_eq!(run_json(dir.path(), &export)["manifest"]["step"], 0);
            for log in ["packed/trajectory.zog", "run/trajectory.zog"] {
                let replay = ["replay", "--log", log, "--best", "--out", "again", "--json"];
                assert_eq!(run_json(dir.path(), &replay)["as_exported"], true);
                fs::remove_dir_all(dir.path().join("again")).expect("removed");
            }
        }
        fs::remove_dir_all(dir.path().join("run")).expect("removed");
    }
}

/// A guard that stops between evaluations leaves the best weights, not those at which it stopped.
#[test]
fn a_guard_leaves_the_best_weights() {
    let dir = scratch();
    let wild = ["--method", "mezo", "--lr", "3e-3", "--arithmetic", "plain"];
    let stop = ["--guard", "loss-explosion=stop", "--out", "run"];
    let args = changed(
        &[("--steps", "60"), ("--eval-every", "0")],
        &[&wild[..], &stop].concat(),
    );
    let output = zograd(dir.path(), &args).output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let summary = json(&dir.path().join("run/summary.json"));
    assert_eq!(
        (&summary["stop"], &summary["best_step"]),
        (&"guard".into(), &0.into())
    );
    assert_eq!(summary["accuracy_after"], summary["accuracy_before"]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("step 0, the untuned model"), "{stdout}");
    let line = last_line(&output.stdout);
    for part in ["guard stopped", "the untuned model", "--lr 3e-5,9e-5,3e-4"] {
        assert!(line.contains(part), "{line}");
    }
    refused(
        dir.path(),
        &["train", "--resume", "run", "--steps", "90"],
        &["guard"],
    );
    // where there is nothing to choose by, that is said
    let args = changed(
        &[("--steps", "60"), ("--dev-examples", "0")],
        &[
            &wild[..],
            &["--guard", "loss-explosion=stop", "--out", "blind"],
        ]
        .concat(),
    );
    let output = zograd(dir.path(), &args).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("no development examples to choose by"),
        "{stderr}"
    );
}

/// One line of JSON has everything that a table of runs needs.
#[test]
fn a_summary_says_with_what_settings() {
    let dir = scratch();
    let report = run_json(
        dir.path(),
        &short(&["--seed", "3", "--json", "--out", "run"]),
    );
    let settings: [(&str, Value); 8] = [
        ("pool", 4.into()),
        ("lr", 2e-5.into()),
        ("eps", 1e-3.into()),
        ("seed", 3.into()),
        ("batch-size", 4.into()),
        ("noise", "gaussian".into()),
        ("steps", 24.into()),
        ("best-by", "score".into()),
    ];
    for (key, value) in settings {
        assert_eq!(report["settings"][key], value, "{report}");
    }
    for key in ["model", "task", "method", "dtype", "forwards", "steps"] {
        assert!(!report[key].is_null(), "{key}");
    }
    let mut written = json(&dir.path().join("run/summary.json"));
    assert_eq!(written["settings"], report["settings"]);
    // seconds mean one thing
    let lines = fs::read_to_string(dir.path().join("run/metrics.jsonl")).expect("metrics");
    let mut seconds = Value::from(0.0);
    for line in lines.lines() {
        written = serde_json::from_str(line).expect("JSON");
        match written["kind"] == "eval" {
            true => assert_eq!(written["seconds"], seconds, "{line}"),
            false => seconds = written["seconds"].clone(),
        }
    }
}

/// Numbers and nouns agree.
#[test]
fn one_step_is_no_steps() {
    let dir = scratch();
    let args = changed(&[("--steps", "1")], &["--lr", "1e30", "--out", "run"]);
    let mut said = zograd(dir.path(), &args)
        .output()
        .expect("it starts")
        .stdout;
    for args in [
        &["replay", "--log", "run/trajectory.zog", "--out", "again"][..],
        &["log", "verify", "run/trajectory.zog"],
        &["train", "--resume", "run", "--steps", "1"],
    ] {
        let output = zograd(dir.path(), args).output().expect("it starts");
        said.extend([output.stdout, output.stderr].concat());
    }
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("gv, 1 step, "), "{said}");
    assert!(
        !["1 steps", "1 updates"]
            .iter()
            .any(|s| said.contains(&format!(" {s}"))),
        "{said}"
    );
}

/// A run, its best weights, its log, an adapter, a model: what is given for another is named.
#[test]
fn folders_that_are_mixed_up_are_told_apart() {
    let dir = scratch();
    unpack(dir.path());
    run(dir.path(), &short(&["--out", "full"]));
    run(dir.path(), &short(&["--tune", "lora", "--out", "rl"]));
    let eval = ["eval", "--task", "sst2", "--data", "data"];
    let with = |more: &[&'static str]| [&eval[..], more].concat();
    // `eval` takes the best weights of a run by the run's name
    let train = |more: &[&'static str]| [&["train"], &eval[1..], more].concat();
    for (args, part) in [
        (train(&["--model", "full"]), "full/best"),
        (train(&["--model", "rl"]), "rl/best as its --adapter"),
        (
            with(&["--model", "model", "--adapter", "rl"]),
            "its adapter is in rl/best",
        ),
        (
            with(&["--model", "model", "--adapter", "full"]),
            "give full/best as the --model",
        ),
        (
            vec![
                "merge",
                "--model",
                "model",
                "--adapter",
                "full/best",
                "--out",
                "new",
            ],
            "holds a whole model",
        ),
        (
            vec!["replay", "--log", "full", "--out", "new"],
            "full/trajectory.zog",
        ),
        (vec!["log", "show", "full"], "full/trajectory.zog"),
        (vec!["log", "verify", "full"], "full/trajectory.zog"),
    ] {
        refused(dir.path(), &args, &[part]);
        assert!(!dir.path().join("new").exists());
    }
}

/// Best weights that were cut are made again, not downloaded.
#[test]
fn a_damaged_best_is_made_again() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    let path = dir.path().join("run/best/model.safetensors");
    let bytes = fs::read(&path).expect("weights");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let export = ["export", "run", "--log-only", "--out", "packed"];
    let output = zograd(dir.path(), &export).output().expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("model.safetensors is damaged"), "{stderr}");
    assert!(
        stderr.contains("--best") && !stderr.contains("download"),
        "{stderr}"
    );
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.expect("kill").success());
}

/// Starts it with nobody listening.
fn start(dir: &Path, args: &[&str]) -> Child {
    let mut command = zograd(dir, args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the binary starts")
}

/// A run that was interrupted does not say what its best weights are; a replay of them says that.
#[cfg(unix)]
#[test]
fn a_replay_of_an_interrupted_run_says_what_it_cannot_know() {
    let dir = scratch();
    let mut child = start(
        dir.path(),
        // the untuned model stays the best
        &changed(&[("--steps", "100000")], &["--out", "run", "--lr", "0"]),
    );
    while fs::metadata(dir.path().join("run/metrics.jsonl")).map_or(0, |m| m.len()) < 2000 {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::yield_now();
    }
    signal(&child, "INT");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let replay = [
        "replay",
        "--log",
        "run/trajectory.zog",
        "--best",
        "--out",
        "again",
    ];
    let stderr = run(dir.path(), &replay).stderr;
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(
        stderr.contains("not compared with those of the run"),
        "{stderr}"
    );
}

/// While a run is loading there is nothing to save: one Ctrl-C ends it, and nothing is left.
#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_ends_loading() {
    const SIGINT: u64 = 1 << 1;
    let dir = scratch();
    unpack(dir.path());
    // rows that take a while to read
    let rows = dir.path().join("data/train.jsonl");
    let text = fs::read_to_string(&rows).expect("rows");
    fs::write(&rows, text.repeat(2000)).expect("written");
    let input = [
        "--model", "model", "--task", "sst2", "--data", "data", "--out", "run",
    ];
    let mut child = start(
        dir.path(),
        &changed(&[("--train-examples", "1000000")], &input),
    );
    // until signals are waited for
    let status = format!("/proc/{}/status", child.id());
    loop {
        let status = fs::read_to_string(&status).expect("a process");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("a mask").trim(), 16);
        if caught.expect("a mask") & SIGINT != 0 {
            break;
        }
        std::thread::yield_now();
    }
    signal(&child, "INT");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    assert!(!dir.path().join("run").exists());
}

/// A second Ctrl-C does not wait for the step; what was written down before is whole.
#[cfg(unix)]
#[test]
fn a_second_ctrl_c_waits_for_nothing() {
    let dir = scratch();
    // steps of many seconds
    let long = [
        ("--steps", "6"),
        ("--batch-size", "4096"),
        ("--eval-every", "0"),
    ];
    let mut child = start(dir.path(), &changed(&long, &["--out", "run"]));
    while fs::metadata(dir.path().join("run/metrics.jsonl")).map_or(0, |m| m.len()) < 100 {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::yield_now();
    }
    // both at once: with a moment between them the first may have ended the run already
    signal(&child, "STOP");
    signal(&child, "INT");
    signal(&child, "TERM");
    signal(&child, "CONT");
    let code = child.wait().expect("an end").code();
    // both may arrive at once, in either order
    assert!([Some(130), Some(143)].contains(&code), "{code:?}");
    assert!(!dir.path().join("run/summary.json").exists());
    let verified = ["log", "show", "run/trajectory.zog", "--json"];
    assert_eq!(run_json(dir.path(), &verified)["torn_bytes"], 0);
}
