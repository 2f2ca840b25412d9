//! The real binary as several processes that `mpirun` starts: `cargo test --features zograd-cli/mpi --test mpi`.

mod mpirun;
mod shared_runs;

use mpirun::{Mpirun, alone, assert_same, ended, error_of, rank, scratch, summary, until};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A run of a second or less, evaluated before its first step and after every two.
const SHORT: &[&str] = &[
    "train",
    "--steps",
    "4",
    "--eval-every",
    "2",
    "--dev-examples",
    "10",
    "--test-examples",
    "7",
    "--train-examples",
    "32",
    "--batch-size",
    "5",
    "--eval-batch-size",
    "3",
    "--threads",
    "1",
];

/// One that is long enough to be killed, with a checkpoint every 20 steps.
const LONG: &[&str] = &[
    "train",
    "--method",
    "gv",
    "--steps",
    "60",
    "--eval-every",
    "20",
    "--dev-examples",
    "8",
    "--test-examples",
    "4",
    "--train-examples",
    "32",
    "--batch-size",
    "16",
    "--threads",
    "1",
];

/// Every strategy, and every way that losses are found; more ranks than candidates, too, which share the examples. Log,
/// metrics and weights are those of one process, to the bit.
#[test]
fn ranks_end_in_the_bits_of_one_process() {
    for (ranks, more) in [
        (2, &["--method", "mezo", "--weight-decay", "0.1"][..]),
        (4, &["--method", "mezo"]),
        (3, &["--method", "gv"]),
        (4, &["--method", "gv-history", "--arithmetic", "plain"]),
        (2, &["--method", "greedy", "--noise", "rademacher"]),
        (3, &["--method", "pool-regression", "--tune", "lora"]),
        (3, &["--method", "n-spsa", "--tune", "head"]),
        (
            2,
            &[
                "--method",
                "gv",
                "--objective",
                "teacher-forcing",
                "--tune",
                "prefix",
            ],
        ),
        (
            2,
            &[
                "--method",
                "gv",
                "--backend",
                "flex",
                "--dtype",
                "bf16",
                "--arithmetic",
                "anchored",
                "--anchor-every",
                "3",
            ],
        ),
    ] {
        let dir = scratch();
        let args = |out| [SHORT, &["--out", out], more].concat();
        alone(dir.path(), &args("alone"));
        let output = Mpirun::of(ranks).run(dir.path(), &args("together"));
        assert_same(&dir.path().join("alone"), &dir.path().join("together"));
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.matches("run            together").count(), 1, "{text}");
        let waited = summary(&dir.path().join("together"))["waited"].clone();
        assert_eq!(waited.as_array().map(Vec::len), Some(ranks), "{waited}");
    }
}

/// A rank that is killed, the first or another: the rest ends, one line says which it was, and the run is resumed by any
/// number of ranks, and by one process.
#[test]
fn a_run_whose_rank_was_killed_goes_on_to_the_same_bits() {
    let dir = scratch();
    let dir = dir.path();
    alone(dir, &[LONG, &["--out", "whole"]].concat());
    for (killed, again) in [(2, 2), (0, 4), (1, 1)] {
        let out = format!("killed-{killed}");
        let mut child = Mpirun::of(3).start(dir, &[LONG, &["--out", &out]].concat());
        // some steps behind a checkpoint
        until(&mut child, &dir.join(&out).join("metrics.jsonl"), 30);
        let pid = rank(dir, &out, killed);
        Command::new("kill")
            .args(["-9", &pid])
            .status()
            .expect("kill");
        let error = ended(child);
        let named = format!("mpirun noticed that process rank {killed} ");
        assert!(error.contains(&named), "{error}");
        assert!(!dir.join(&out).join("summary.json").exists());
        let resume = ["train", "--resume", &out, "--threads", "1"];
        match again {
            1 => alone(dir, &resume),
            ranks => Mpirun::of(ranks).run(dir, &resume),
        };
        assert_same(&dir.join("whole"), &dir.join(&out));
    }
}

/// The signal comes to one rank, or to all of them by way of mpirun: they save once, and a run that was resumed, with an
/// adapter that only the first has, is one that never stopped.
#[test]
fn a_signal_to_any_of_them_saves_once() {
    let dir = scratch();
    let dir = dir.path();
    // steps of a prefix are short: so many that the signal finds the run at work
    let longer = LONG.iter().map(|word| match *word {
        "60" => "300",
        word => word,
    });
    let longer: Vec<&str> = longer.collect();
    let prefix = ["--tune", "prefix", "--lr", "1e-2"];
    alone(dir, &[&longer[..], &prefix, &["--out", "whole"]].concat());
    for all in [false, true] {
        let out = format!("all-{all}");
        // a second is what mpirun gives on its own; it waits for so long whether all have ended or not
        let mpirun = Mpirun::of(3).with(&["--mca", "odls_base_sigkill_timeout", "4"]);
        let mut child = mpirun.start(dir, &[&longer[..], &prefix, &["--out", &out]].concat());
        until(&mut child, &dir.join(&out).join("metrics.jsonl"), 10);
        let pid = match all {
            true => child.id().to_string(),
            false => rank(dir, &out, 1),
        };
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill");
        let error = ended(child);
        let saved = error.matches("resume it with").count();
        assert_eq!(saved, 1, "{error}");
        let stop = summary(&dir.join(&out))["stop"].clone();
        assert_eq!(stop, "interrupted", "{error}");
        Mpirun::of(2).run(dir, &["train", "--resume", &out, "--threads", "1"]);
        assert_same(&dir.join("whole"), &dir.join(&out));
    }
}

/// The folder is where the first rank is.
#[test]
fn the_others_need_not_see_the_folder_of_the_run() {
    let dir = scratch();
    for place in ["alone", "first", "other"] {
        fs::create_dir(dir.path().join(place)).expect("made");
    }
    let args = [SHORT, &["--out", "run"]].concat();
    alone(&dir.path().join("alone"), &args);
    let longer = ["train", "--resume", "run", "--steps", "6", "--threads", "1"];
    for args in [&args[..], &longer] {
        Mpirun::in_folders(&["first", "other"]).run(dir.path(), args);
    }
    alone(&dir.path().join("alone"), &longer);
    assert_same(&dir.path().join("alone/run"), &dir.path().join("first/run"));
    let left = fs::read_dir(dir.path().join("other")).expect("a folder");
    assert_eq!(left.count(), 0);
}

/// Ranks that are not alike are told by what differs, and where; nothing is written.
#[test]
fn ranks_that_differ_are_named() {
    let dir = scratch();
    zograd_embedded::unpack(dir.path()).expect("unpacked");
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to).expect("made");
        for entry in fs::read_dir(from).expect("a folder").flatten() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    };
    // other weights of the same shape
    copy(&dir.path().join("model"), &dir.path().join("other"));
    let weights = dir.path().join("other/model.safetensors");
    let mut bytes = fs::read(&weights).expect("weights");
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    fs::write(&weights, bytes).expect("written");
    let data = ["--task", "sst2", "--data", "data", "--out", "run"];
    let with = |more: &[&'static str]| [SHORT, &data, more].concat();
    for (other, named) in [
        (with(&["--model", "other"]), "in the base weights: "),
        (
            with(&["--model", "model", "--lr", "0.5"]),
            "in `lr`: 0.5 there, ",
        ),
        (with(&["--model", "nowhere"]), "rank 1: `model"),
        (
            with(&["--model", "model", "--config", "nowhere.toml"]),
            "rank 1: `config",
        ),
    ] {
        let first = with(&["--model", "model"]);
        let output = Mpirun::of(1).output_with(dir.path(), &first, &other);
        let error = error_of(&output);
        let lines: Vec<&str> = error.lines().filter(|l| l.starts_with("error: ")).collect();
        let [line] = lines[..] else {
            panic!("{error}");
        };
        // the command shows settings as flags
        let named = named
            .replace("`lr`", "--lr")
            .replace("`model", "--model")
            .replace("`config", "--config");
        assert!(line.contains(&named), "{line}");
        assert!(matches!(output.status.code(), Some(1 | 2)), "{error}");
        assert!(!dir.path().join("run").exists());
    }
}

/// A mistake that all make is told once, and commands for one process say so.
#[test]
fn a_mistake_is_told_once() {
    let dir = scratch();
    for (args, said) in [
        (&["train", "--steps", "0"][..], "--steps 0: use at least 1"),
        (&["train", "--nosuch"], "--nosuch"),
        (&["train", "--method", "adam"], "--method adam: only"),
        (&["train", "--method", "tail"], "--method tail: only"),
        (&["train", "--informed", "tail"], "--informed: what informs"),
        (
            &["train", "--method", "per-example"],
            "--method per-example: examples with directions",
        ),
        (&["presets"], "only train, eval, predict, sweep and compare"),
        (&["sweep", "--lr", "0"], "a sweep takes numbers above 0"),
        (&["compare", "--steps", "3"], "--steps"),
        (&["sweep", "--resume", "nowhere"], "nowhere"),
        (&["train", "--resume", "nowhere"], "nowhere"),
    ] {
        let output = Mpirun::of(3).output(dir.path(), args);
        let error = error_of(&output);
        let lines: Vec<&str> = error.lines().filter(|l| l.starts_with("error: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(said), "{error}");
        assert_eq!(output.status.code(), Some(2), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

/// Predictions too are those of one process.
#[test]
fn an_evaluation_is_shared() {
    let dir = scratch();
    let args = |out| {
        [
            "eval",
            "--test-examples",
            "21",
            "--eval-batch-size",
            "4",
            "--predictions",
            out,
        ]
    };
    alone(dir.path(), &args("alone.jsonl"));
    Mpirun::of(3).run(dir.path(), &args("together.jsonl"));
    let read = |file| fs::read(dir.path().join(file)).expect("predictions");
    assert_eq!(read("alone.jsonl"), read("together.jsonl"));
}

/// Answers to rows too.
#[test]
fn rows_are_answered_together() {
    let dir = scratch();
    let dir = dir.path();
    // one of them is blank
    let line = |k: usize| match k {
        5 => "5,\n".to_owned(),
        k => format!("{k},\"film {k}, all of it\"\n"),
    };
    let rows: String = (0..150).map(line).collect();
    fs::write(dir.join("new.csv"), format!("id,review\n{rows}")).expect("written");
    let args = |data, out| {
        [
            "predict",
            "--model",
            "embedded",
            "--text",
            "review",
            "--verbalizer",
            "bad=terrible,good=great",
            "--eval-batch-size",
            "4",
            "--data",
            data,
            "--out",
            out,
        ]
    };
    let answers = |out: &str| fs::read(dir.join(out)).expect("answers");
    alone(dir, &args("new.csv", "alone.jsonl"));
    Mpirun::of(3).run(dir, &args("new.csv", "together.jsonl"));
    assert_eq!(answers("alone.jsonl"), answers("together.jsonl"));
    let printed = Mpirun::of(2).run(dir, &args("new.csv", "-"));
    assert_eq!(printed.stdout, answers("alone.jsonl"));
    let input = error_of(&Mpirun::of(2).output(dir, &args("-", "x.jsonl")));
    assert_eq!(
        input.matches("--data -: the standard input").count(),
        1,
        "{input}"
    );
}
