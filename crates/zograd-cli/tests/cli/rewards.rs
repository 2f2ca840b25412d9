//! Training by rules and programs that say what written answers are worth.

use crate::errors::refused;
use crate::support::{json, metrics, run, run_json, scratch, unpack, zograd};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Rows of sums in `data`, with their task in `sums.toml`; `notes.toml` says nothing of right answers that rows have.
fn sums(dir: &Path) {
    fs::create_dir(dir.join("data")).expect("made");
    for (split, rows) in [("train", 24), ("validation", 8)] {
        let row = |k: usize| {
            let (a, b) = (k % 5, k % 3);
            json!({"id": k, "sum": format!("{a} + {b}"), "total": (a + b).to_string()})
        };
        let lines: Vec<String> = (0..rows).map(|k| row(k).to_string()).collect();
        fs::write(dir.join(format!("data/{split}.jsonl")), lines.join("\n")).expect("written");
    }
    for (file, answer) in [("sums.toml", "total"), ("notes.toml", "note")] {
        let task = format!("template = \"{{sum}} =\"\nanswer = \"{answer}\"\n");
        fs::write(dir.join(file), task).expect("written");
    }
}

/// A run of a second or so by these settings.
fn small<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "train",
        "--model",
        "embedded",
        "--task",
        "sums.toml",
        "--data",
        "data",
        "--max-new-tokens",
        "5",
        "--objective",
        "reward",
        "--method",
        "pool-regression",
        "--shaping",
        "z-score",
        "--eps",
        "1e-2",
        "--lr",
        "1e-3",
        "--batch-size",
        "4",
        "--train-examples",
        "16",
        "--dev-examples",
        "4",
        "--test-examples",
        "4",
        "--eval-every",
        "2",
        "--steps",
        "4",
    ];
    [&small[..], more].concat()
}

/// Every rule, and a program: the score is named after rewards everywhere, the settings are kept, and the log alone gives
/// the weights again.
#[test]
fn runs_by_rewards_are_replayed_from_their_log() {
    let dir = scratch();
    sums(dir.path());
    let program = "while read -r line; do echo ${#line}; done";
    for (name, more) in [
        ("exact", &["--reward", "exact-match"][..]),
        ("f1", &["--reward", "f1"]),
        ("numeric", &["--reward", "numeric"]),
        (
            "regex",
            &["--reward", "regex", "--reward-pattern", "[aeiou]{2}"],
        ),
        (
            "json",
            &["--reward", "json", "--reward-keys", "total:whole"],
        ),
        (
            "length",
            &[
                "--reward",
                "length",
                "--reward-length",
                "9",
                "--temperature",
                "1.5",
            ],
        ),
        ("program", &["--reward-command", program, "--top-k", "9"]),
    ] {
        let report = run_json(
            dir.path(),
            &small(&[more, &["--json", "--out", name]].concat()),
        );
        assert_eq!(
            (&report["objective"], &report["metric"]),
            (&json!("reward"), &json!("reward"))
        );
        let before = report["reward_before"].as_f64().expect("a number");
        assert!(
            (0.0..=1.0).contains(&before) || name == "program",
            "{report}"
        );
        let dev = metrics(&dir.path().join(name));
        let evals = dev
            .iter()
            .filter_map(|line| line.get("dev_reward")?.as_f64());
        assert_eq!(evals.count(), 3, "{name}");
        // a run by its own settings is the same run
        let config = format!("{name}/config.toml");
        let out = format!("{name}-again");
        run(dir.path(), &["train", "--config", &config, "--out", &out]);
        assert_eq!(dev, metrics(&dir.path().join(&out)), "{name}");
        let log = format!("{name}/trajectory.zog");
        let replayed = format!("{name}-replayed");
        let replay = ["replay", "--log", &log, "--out", &replayed, "--json"];
        let again = run_json(dir.path(), &replay);
        assert_eq!(again["as_exported"], true, "{name}: {again}");
        let verified = run_json(dir.path(), &["log", "verify", &log, "--json"]);
        assert_eq!(verified["whole"], true);
    }
}

/// Drawn answers are those of the step, whether it was made before or after a pause.
#[test]
fn a_run_with_drawn_answers_goes_on_as_if_it_had_never_stopped() {
    let dir = scratch();
    sums(dir.path());
    let length = [
        "--reward",
        "length",
        "--reward-length",
        "9",
        "--temperature",
        "1.5",
    ];
    run(
        dir.path(),
        &small(&[&length[..], &["--out", "whole"]].concat()),
    );
    let mut half = small(&[&length[..], &["--out", "half"]].concat());
    let steps = half
        .iter()
        .position(|arg| *arg == "--steps")
        .expect("steps");
    half[steps + 1] = "2";
    run(dir.path(), &half);
    run(dir.path(), &["train", "--resume", "half", "--steps", "4"]);
    let steps = |name: &str| -> Vec<Value> {
        let all = metrics(&dir.path().join(name));
        all.into_iter()
            .filter(|line| line.get("losses").is_some())
            .collect()
    };
    assert_eq!(steps("whole").len(), 4);
    assert_eq!(steps("whole"), steps("half"));
    let summary = |name: &str| json(&dir.path().join(name).join("summary.json"));
    assert_eq!(summary("whole")["weights"], summary("half")["weights"]);
}

/// Rows need not say what is right where the rule does not ask for it; a program is given all that they say.
#[test]
fn rows_without_answers_are_learnt_from() {
    let dir = scratch();
    sums(dir.path());
    let task = |more: &[&'static str]| {
        let mut args = small(more);
        args[4] = "notes.toml";
        args
    };
    let right = "\"row\":{\"id\":0,\"sum\":\"0 + 0\",\"total\":\"0\"}";
    let program = "while read -r line; do printf '%s\\n' \"$line\" >> seen; echo 1; done";
    run(
        dir.path(),
        &task(&["--reward-command", program, "--out", "a"]),
    );
    let seen = fs::read_to_string(dir.path().join("seen")).expect("what it was given");
    assert!(seen.contains(right), "{seen}");
    run(
        dir.path(),
        &task(&["--reward", "length", "--reward-length", "5", "--out", "b"]),
    );
    refused(
        dir.path(),
        &task(&["--reward", "numeric"]),
        &["notes.toml", "\"note\"", "data/train.jsonl:1"],
    );
}

/// A model is measured by what its answers are worth: by the rule that is named, or by that of its run.
#[test]
fn models_are_measured_by_rewards() {
    let dir = scratch();
    sums(dir.path());
    let length = ["--reward", "length", "--reward-length", "5"];
    let mut train = small(&[&length[..], &["--tune", "lora", "--out", "run"]].concat());
    train[4] = "notes.toml";
    run(dir.path(), &train);
    // the rows of the run say nothing of what is right, and its rule does not ask
    let of_run = run_json(dir.path(), &["eval", "--json", "--model", "run"]);
    assert_eq!(
        (&of_run["metric"], &of_run["labelled"]),
        (&json!("reward"), &json!(0))
    );
    let rewards = &of_run["rewards"];
    assert_eq!(rewards["answers"], 8);
    assert_eq!(
        (&rewards["mean"], of_run.get("exact_match")),
        (&of_run["reward"], None)
    );
    assert!(
        rewards["sd"].as_f64().is_some_and(|sd| sd >= 0.0),
        "{of_run}"
    );
    let named = [
        "eval",
        "--json",
        "--model",
        "run/best",
        "--task",
        "notes.toml",
        "--data",
        "data",
    ];
    let named = [&named[..], &length, &["--max-new-tokens", "5"]].concat();
    assert_eq!(run_json(dir.path(), &named)["rewards"], *rewards);
    // a program, of a model that knows nothing of rewards
    let program = "n=0; while read -r line; do n=$((n+1)); echo $((n % 2)); done";
    let model = [
        "eval",
        "--model",
        "embedded",
        "--data",
        "data",
        "--max-new-tokens",
        "3",
    ];
    let by_program = [
        &model[..],
        &[
            "--task",
            "sums.toml",
            "--reward-command",
            program,
            "--predictions",
            "p.jsonl",
        ],
    ]
    .concat();
    let words = run(dir.path(), &by_program);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    // one answer to try it, so that the first of the eight is worth 0
    let told = "reward 0.5000 with a standard deviation of 0.5345 (8 answers), exact match";
    assert!(words.contains(told), "{words}");
    let predictions = fs::read_to_string(dir.path().join("p.jsonl")).expect("a file");
    let worth: Vec<Value> = predictions
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["reward"].clone())
        .collect();
    assert_eq!(worth, [0.0, 1.0].repeat(4));
    for (more, parts) in [
        (
            &["--task", "notes.toml"][..],
            &["no field \"note\"", "(--reward, --reward-command)"][..],
        ),
        (
            &["--task", "notes.toml", "--reward", "numeric"],
            &["data/validation.jsonl:1"],
        ),
        (
            &["--task", "sums.toml", "--reward", "length"],
            &["--reward-length"],
        ),
        (
            &["--task", "sums.toml", "--reward-timeout", "3"],
            &["not said", "--reward-command"],
        ),
        (
            &["--task", "sums.toml", "--temperature", "1"],
            &["--temperature"],
        ),
    ] {
        refused(dir.path(), &[&model[..], more].concat(), parts);
    }
    let chosen = [
        "eval", "--model", "embedded", "--task", "toy", "--reward", "f1",
    ];
    refused(dir.path(), &chosen, &["--reward", "chosen, not written"]);
}

/// What the folder of a run says is read, and not run.
#[test]
fn a_program_of_a_run_is_not_started_unasked() {
    let dir = scratch();
    sums(dir.path());
    let program = "echo x >> started; while read -r line; do echo 1; done";
    run(
        dir.path(),
        &small(&["--reward-command", program, "--out", "run"]),
    );
    fs::remove_file(dir.path().join("started")).expect("it was started");
    let eval = ["eval", "--json", "--model", "run"];
    let output = run(dir.path(), &eval);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("not started") && said.contains("--reward-command"),
        "{said}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["metric"], "f1");
    assert!(!dir.path().join("started").exists());
    let again = run_json(
        dir.path(),
        &[&eval[..], &["--reward-command", program]].concat(),
    );
    assert_eq!(again["rewards"]["mean"], 1.0);
}

#[test]
fn wrong_rewards_are_refused_before_anything_is_written() {
    let dir = scratch();
    sums(dir.path());
    let row = json!({"id": 9, "sum": "1 + 1", "total": "two"});
    fs::create_dir(dir.path().join("words")).expect("made");
    for split in ["train", "validation"] {
        let file = dir.path().join(format!("words/{split}.jsonl"));
        fs::write(file, format!("{row}\n{row}\n")).expect("written");
    }
    let cases: [(&[&str], &[&str]); 19] = [
        (&[], &["not said", "--reward", "--reward-command"]),
        (
            &["--reward", "f1", "--reward-command", "cat"],
            &["--reward, --reward-command: give one"],
        ),
        (
            &["--reward", "regex"],
            &["--reward regex", "--reward-pattern"],
        ),
        (
            &["--reward", "regex", "--reward-pattern", "("],
            &["--reward-pattern (", "unclosed group"],
        ),
        (
            &["--reward", "f1", "--reward-pattern", "a"],
            &["--reward-pattern: only with --reward regex"],
        ),
        (
            &["--reward", "length"],
            &["--reward length", "--reward-length"],
        ),
        (
            &["--reward", "length", "--reward-length", "0"],
            &["--reward-length 0", "at least 1"],
        ),
        (
            &["--reward", "json", "--reward-keys", "a:b"],
            &["--reward-keys a:b", "KEY:TYPE"],
        ),
        (
            &["--reward", "f1", "--reward-timeout", "3"],
            &["--reward-timeout: --reward f1 has none"],
        ),
        (
            &["--reward-command", "cat", "--reward-timeout", "0"],
            &["--reward-timeout 0"],
        ),
        (&["--reward-command", " "], &["--reward-command", "empty"]),
        (
            &["--reward", "f1", "--temperature", "0"],
            &["--temperature 0", "above 0"],
        ),
        (&["--reward", "f1", "--top-p", "2"], &["--top-p 2"]),
        (&["--reward", "nice"], &["nice", "exact-match"]),
        (
            &["--reward", "numeric", "--data", "words"],
            &["words/", ":", "\"two\" has no number"],
        ),
        (
            &["--reward-command", "exit 3"],
            &["--reward-command: the program ended", "exit status: 3"],
        ),
        (
            &["--reward-command", "while read -r line; do echo good; done"],
            &["--reward-command: the program said \"good\"", "no number"],
        ),
        (
            &["--reward-command", "while read -r line; do echo nan; done"],
            &["--reward-command", "NaN", "no finite number"],
        ),
        (
            &[
                "--reward-command",
                "cat > /dev/null",
                "--reward-timeout",
                "0.1",
            ],
            &["--reward-command: the program said nothing for 0.1 s (--reward-timeout)"],
        ),
    ];
    for (more, parts) in cases {
        let mut args = small(more);
        if let Some(data) = more.iter().position(|arg| *arg == "--data") {
            args = small(&more[..data]);
            args[6] = more[data + 1];
        }
        refused(dir.path(), &args, parts);
    }
    // what is not there the shell says too
    let output = zograd(dir.path(), &small(&["--reward-command", "no-such-program"])).output();
    let output = output.expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("which a shell says of what it does not find"),
        "{said}"
    );
    // other objectives, tasks and methods
    for (args, parts) in [
        (
            &["train", "--reward", "f1"][..],
            &["--reward: --objective auto has none; --objective reward has"][..],
        ),
        (
            &["train", "--objective", "reward", "--reward", "f1"],
            &["--objective reward", "chosen, not written"],
        ),
        (
            &[
                "train",
                "--objective",
                "reward",
                "--reward",
                "f1",
                "--method",
                "adam",
            ],
            &["--objective reward", "no gradient"],
        ),
    ] {
        refused(dir.path(), args, parts);
    }
}

/// A program that fails now and then costs the step that asked it, by name; one that may not is the end of the run.
#[test]
fn a_program_that_fails_is_an_event() {
    let dir = scratch();
    sums(dir.path());
    // 1 answer to try it, 4 test rows, 4 dev rows: the next is of the first step
    let program = |then: &str, state: &str| {
        format!(
            "if [ -e {state} ]; then while read -r line; do echo ${{#line}}; done; exit; fi; n=0; \
             while read -r line; do n=$((n+1)); if [ $n -gt 11 ]; then touch {state}; {then}; else echo $n; fi; done"
        )
    };
    for (then, event) in [
        ("exit 4", "reward-ended"),
        ("echo many", "reward-unreadable"),
        ("echo nan", "reward-not-finite"),
        ("cat > /dev/null", "reward-late"),
    ] {
        let command = program(then, &format!("{event}.state"));
        let timeout = if event == "reward-late" { "3" } else { "60" };
        let more = [
            "--reward-command",
            &command,
            "--reward-timeout",
            timeout,
            "--json",
            "--out",
            event,
        ];
        let output = zograd(dir.path(), &small(&more))
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        let report: Value = serde_json::from_slice(&output.stdout).expect(&said);
        // a NaN does not end the program, which says it again
        let skips = &report["events"][event];
        assert!(skips.as_u64() >= Some(1), "{said}");
        assert_eq!(report["skipped"], *skips);
        assert!(
            said.contains(&format!("note: {event} in step 1, skipped; ")),
            "{said}"
        );
        assert!(said.contains("--reward-"), "{said}");

        let command = program(then, &format!("{event}-stop.state"));
        let (guard, out) = (format!("{event}=stop"), format!("{event}-stop"));
        let more = [
            "--reward-command",
            &command,
            "--reward-timeout",
            timeout,
            "--out",
            &out,
        ];
        let stops = small(&[&more[..], &["--guard", &guard]].concat());
        let output = zograd(dir.path(), &stops)
            .output()
            .expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("stopped by a guard after step 1: {event}; ")),
            "{said}"
        );
    }
}

/// A run of whose evaluations none is a number looks to the program, and not to the model.
#[test]
fn rewards_without_a_number_are_the_programs() {
    let dir = scratch();
    sums(dir.path());
    let program =
        "n=0; while read -r line; do n=$((n+1)); [ $((n%3)) = 0 ] && echo nan || echo 1; done";
    let args = small(&["--reward-command", program, "--out", "run"]);
    let output = zograd(dir.path(), &args).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("see what --reward-command answers"), "{text}");
}

/// Losses below zero and scores beyond one: a sweep and a comparison have a best point, and call rewards no shares.
#[test]
fn rewards_are_swept_and_compared() {
    let dir = scratch();
    sums(dir.path());
    let program = "while read -r line; do echo ${#line}; done";
    let more = [
        "--reward-command",
        program,
        "--lr",
        "1e-5,1e-4",
        "--out",
        "s",
    ];
    let mut args = small(&more);
    args[0] = "sweep";
    let (text, _) = crate::support::run_text(dir.path(), &args);
    assert!(
        text.contains("dev reward") && text.contains("(development reward "),
        "{text}"
    );
    assert!(!text.contains('%') && !text.contains("diverged"), "{text}");
    let swept = json(&dir.path().join("s/sweep.json"));
    assert!(swept["best"]["dev_score"].as_f64() > Some(1.0), "{swept}");
    let more = [
        "--reward-command",
        program,
        "--forwards",
        "32",
        "--tune-forwards",
        "16",
        "--seed",
        "1",
        "--target-score",
        "90",
        "--out",
        "c",
    ];
    let mut args = small(&more);
    args[0] = "compare";
    let steps = args
        .iter()
        .position(|arg| *arg == "--steps")
        .expect("steps");
    args.drain(steps..steps + 2);
    let (text, _) = crate::support::run_text(dir.path(), &args);
    assert!(text.contains("development reward 90.0000"), "{text}");
    assert!(!text.contains("diverged"), "{text}");
}

/// Ctrl-C comes to all processes of a terminal: the program is spared, so that the step is finished with it, and sees the
/// end of its input.
#[test]
fn ctrl_c_ends_the_program_behind_the_step() {
    use std::os::unix::process::CommandExt;
    let dir = scratch();
    sums(dir.path());
    let program = "while read -r line; do echo ${#line}; done; echo end > end";
    let mut args = small(&["--reward-command", program, "--out", "run"]);
    let steps = args
        .iter()
        .position(|arg| *arg == "--steps")
        .expect("steps");
    args[steps + 1] = "100000";
    let mut command = zograd(dir.path(), &args);
    let null = std::process::Stdio::null;
    let child = command
        .stdout(null())
        .stderr(null())
        .process_group(0)
        .spawn();
    let mut child = child.expect("the binary starts");
    crate::support::until(&mut child, &dir.path().join("run/metrics.jsonl"), 1000);
    // to the whole group, as a terminal does
    let group = format!("-{}", child.id());
    let kill = std::process::Command::new("kill")
        .args(["-s", "INT", "--", &group])
        .status();
    assert!(kill.expect("kill").success());
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let end = fs::read_to_string(dir.path().join("end"));
    assert_eq!(end.expect("it ended by itself"), "end\n");
    let log = ["log", "verify", "run/trajectory.zog", "--json"];
    assert_eq!(run_json(dir.path(), &log)["whole"], true);
}

/// The second Ctrl-C waits for nothing, and leaves nothing behind: a program that hangs would hold on to the terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_second_ctrl_c_ends_a_program_that_hangs() {
    let dir = scratch();
    sums(dir.path());
    let program = "echo $$ > pid; exec sleep 1000";
    let args = small(&["--reward-command", program, "--out", "run"]);
    let mut child = crate::support::start(dir.path(), &args);
    let pid = dir.path().join("pid");
    crate::support::until(&mut child, &pid, 2);
    let pid = fs::read_to_string(pid).expect("its number");
    let process = format!("/proc/{}", pid.trim());
    assert!(fs::exists(&process).expect("a look"));
    // the first may come while there is nothing to save, and is then the last
    while child.try_wait().expect("a child").is_none() {
        let kill = std::process::Command::new("kill")
            .args(["-s", "INT", &child.id().to_string()])
            .stderr(std::process::Stdio::null())
            .status();
        kill.expect("kill");
    }
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    // nobody's child waits to be looked at by init
    let is_there =
        || fs::read_to_string(format!("{process}/cmdline")).is_ok_and(|line| !line.is_empty());
    while is_there() {
        std::thread::yield_now();
    }
}

/// The worked example of the book, but for its length: what a film was is learnt from being told whether the word was right.
#[test]
fn the_example_of_the_book_learns() {
    let dir = scratch();
    unpack(dir.path());
    let task = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/examples/verdict.toml");
    let task = task.display().to_string();
    let judge = "while read -r line; do case $line in *'\"label\":1'*'\"text\":\"great'*) echo 1;; \
                 *'\"label\":0'*'\"text\":\"terrible'*) echo 1;; *) echo 0;; esac; done";
    let args = [
        "train",
        "--model",
        "embedded",
        "--task",
        &task,
        "--data",
        "data",
        "--objective",
        "reward",
        "--reward-command",
        judge,
        "--method",
        "pool-regression",
        "--pool",
        "8",
        "--shaping",
        "z-score",
        "--eps",
        "1e-2",
        "--lr",
        "5e-3",
        "--batch-size",
        "32",
        "--max-new-tokens",
        "2",
        "--dev-examples",
        "100",
        "--test-examples",
        "200",
        "--eval-every",
        "10",
        "--steps",
        "40",
        "--json",
        "--out",
        "run",
    ];
    let report = run_json(dir.path(), &args);
    let reward = |key: &str| report[key].as_f64().expect("a number");
    // it says great of everything, half of which is
    let (before, after) = (reward("reward_before"), reward("reward_after"));
    assert!(
        (0.4..0.6).contains(&before) && after > 0.9,
        "{before} -> {after}"
    );
}
