//! Run folders that others work on, or that were changed by hand: the same bits, or a refusal that names the file.

use crate::support::{metrics, run, run_json, scratch, short, start, unpack, until, zograd};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Expects exit code 2 and a last line with this in it.
fn refused(output: &Output, part: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{part}: {stderr}");
    assert!(stderr.contains(part), "no {part} in {stderr}");
}

/// A second process on a run is refused, whatever it wants to do there; the first one is not disturbed.
#[test]
fn a_run_belongs_to_one_process() {
    let dir = scratch();
    let mut args = short(&["--out", "run"]);
    args[2] = "100000";
    let mut first = start(dir.path(), &args);
    until(&mut first, &dir.path().join("run/metrics.jsonl"), 1000);
    for second in [&["train", "--resume", "run"][..], &args] {
        let begin = Instant::now();
        let output = zograd(dir.path(), second).output().expect("it starts");
        refused(&output, "run: ");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    let output = zograd(dir.path(), &["train", "--resume", "run"])
        .output()
        .expect("it starts");
    refused(&output, "another process");
    assert!(first.try_wait().expect("a child").is_none(), "it ended");
    // the lock dies with its process
    first.kill().expect("killed");
    first.wait().expect("an end");
    let mut next = start(dir.path(), &["train", "--resume", "run"]);
    let size = fs::metadata(dir.path().join("run/metrics.jsonl")).expect("metrics");
    until(
        &mut next,
        &dir.path().join("run/metrics.jsonl"),
        size.len() + 1000,
    );
    next.kill().expect("killed");
    next.wait().expect("an end");
}

/// Runs that are to choose a folder for themselves, at the same time.
#[test]
fn runs_that_start_together_get_folders_of_their_own() {
    let dir = scratch();
    let children: Vec<Child> = (0..4).map(|_| start(dir.path(), &short(&[]))).collect();
    for mut child in children {
        assert!(child.wait().expect("an end").success());
    }
    let runs = fs::read_dir(dir.path().join("runs")).expect("runs");
    let mut runs: Vec<PathBuf> = runs.map(|entry| entry.expect("an entry").path()).collect();
    runs.sort();
    assert_eq!(runs.len(), 4, "{runs:?}");
    for run in &runs {
        assert!(run.join("summary.json").exists(), "{run:?}");
        assert_eq!(metrics(run), metrics(&runs[0]));
    }
}

/// The flags of a run of 120 steps on files, with the model in `model` and the rows in `data`.
fn own<'a>(dir: &Path, more: &[&'a str]) -> Vec<&'a str> {
    unpack(dir);
    let task = "name = \"own\"\nlabel = \"label\"\ntemplate = \"{sentence} It was\"\ncandidates = [\" terrible\", \" great\"]\n";
    fs::write(dir.join("own.toml"), task).expect("written");
    let input = ["--model", "model", "--task", "own.toml", "--data", "data"];
    let mut args = short(&[&input[..], more].concat());
    args[2] = "120";
    args
}

/// The same in `run`, killed after some of its steps.
fn killed(dir: &Path, more: &[&str]) {
    let args = [&own(dir, more)[..], &["--out", "run"]].concat();
    let mut child = start(dir, &args);
    until(&mut child, &dir.join("run/metrics.jsonl"), 6000);
    child.kill().expect("killed");
    child.wait().expect("an end");
}

/// Everything that a run leaves behind and that is a function of its settings.
fn results(run: &Path) -> (Vec<Value>, [Vec<u8>; 3]) {
    let files = [
        "trajectory.zog",
        "best/model.safetensors",
        "best/config.json",
    ];
    let files = files.map(|name| fs::read(run.join(name)).expect(name));
    (metrics(run), files)
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(copied.expect("cp").success());
}

fn edit(file: &Path, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(file).expect("a text");
    let changed = change(text.clone());
    assert_ne!(text, changed, "{file:?}: nothing changed");
    fs::write(file, changed).expect("written");
}

/// Rows, task and tokenizer that are not those the run began with; and the same ones in another place.
#[test]
fn a_run_is_resumed_with_what_it_began_with() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    killed(dir.path(), &[]);
    let resume = |more: &[&str]| {
        let args = [&["train", "--resume", "run"], more].concat();
        zograd(dir.path(), &args).output().expect("it starts")
    };
    type Change = fn(String) -> String;
    let changes: [(&str, &str, Change); 4] = [
        ("data/train.jsonl", "--data", |rows| {
            // the same rows, one of them twice
            format!("{}\n{rows}", rows.lines().next().expect("a row"))
        }),
        ("data/validation.jsonl", "--data", |rows| {
            rows.replace("\"label\":0", "\"label\":7")
                .replace("\"label\":1", "\"label\":0")
                .replace("\"label\":7", "\"label\":1")
                .replace("\"label\": 0", "\"label\": 7")
                .replace("\"label\": 1", "\"label\": 0")
                .replace("\"label\": 7", "\"label\": 1")
        }),
        ("own.toml", "--task", |task| task.replace("It was", "It is")),
        ("model/config.json", "--model", |config| {
            config.replacen('{', "{\"activation_dropout\": 0.25,", 1)
        }),
    ];
    for (file, flag, change) in changes {
        let file = here(file);
        let before = fs::read(&file).expect("a file");
        edit(&file, change);
        refused(&resume(&[]), flag);
        fs::write(&file, before).expect("written");
    }
    // it may say what ends a text
    let generation = here("model/generation_config.json");
    fs::write(&generation, "{\"eos_token_id\": [5, 6]}").expect("written");
    refused(&resume(&[]), "generation_config.json");
    fs::remove_file(&generation).expect("removed");
    let tokenizer = here("model/tokenizer.json");
    match tokenizer.exists() {
        true => edit(&tokenizer, |text| text + "\n"),
        false => edit(&here("model/merges.txt"), |text| text + "\n"),
    }
    refused(&resume(&[]), "--tokenizer");
    unpack(dir.path());
    refused(&resume(&["--lr", "1"]), "settings it had");
    for file in ["config.toml", "examples.json", "inputs.json"] {
        let path = here("run").join(file);
        let before = fs::read(&path).expect("a file");
        edit(&path, |text| text.replacen('1', "2", 1));
        refused(&resume(&[]), file);
        fs::write(&path, before).expect("written");
    }
    // moved, it is said where to
    fs::rename(here("model"), here("moved")).expect("moved");
    fs::rename(here("data"), here("rows")).expect("moved");
    refused(&resume(&[]), "model");
    refused(&resume(&["--model", "moved"]), "data");
    let more = ["--model", "moved", "--data", "rows"];
    run(
        dir.path(),
        &[&["train", "--resume", "run"], &more[..]].concat(),
    );
}

/// What a resumed run trusts: files that were damaged or edited are made again from the log.
#[test]
fn damage_to_a_run_changes_no_bit() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    // the first evaluated weights stay the best
    let more = ["--lr", "0", "--guard", "loss-explosion=skip"];
    killed(dir.path(), &more);
    let full = [&own(dir.path(), &more)[..], &["--out", "full"]].concat();
    run(dir.path(), &full);
    let full = results(&here("full"));
    let checkpoint = |run: &Path| {
        let entries = fs::read_dir(run).expect("a run");
        let mut paths = entries.map(|entry| entry.expect("an entry").path());
        let checkpoint = paths.find(|path| path.to_string_lossy().contains("checkpoint-"));
        checkpoint.expect("a checkpoint")
    };
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let gelu = |text: String| text.replace("\"relu\"", "\"gelu\"");
    let damages: [Damage<'_>; 8] = [
        ("made again", &|run| {
            edit(&run.join("metrics.jsonl"), |text| {
                text.replace("\"loss\":0.", "\"loss\":0.00")
            });
        }),
        ("made again", &|run| {
            edit(&run.join("metrics.jsonl"), |text| {
                text.replace("\"best\":false", "\"best\":true")
            });
        }),
        ("made again", &|run| {
            edit(&run.join("metrics.seals"), |text| {
                text.replacen('a', "b", 1)
            });
        }),
        ("start weights", &|run| {
            edit(&checkpoint(run).join("config.json"), gelu);
        }),
        // the weights of one step under the name of another
        ("start weights", &|run| {
            fs::rename(checkpoint(run), run.join("checkpoint-1")).expect("renamed");
        }),
        ("again from the log", &|run| {
            fs::remove_dir_all(run.join("best")).expect("removed");
        }),
        ("again from the log", &|run| {
            edit(&run.join("best/config.json"), gelu);
        }),
        ("again from the log", &|run| {
            let path = run.join("best/model.safetensors");
            let mut bytes = fs::read(&path).expect("weights");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 64;
            fs::write(&path, bytes).expect("written");
        }),
    ];
    copy(&here("run"), &here("k"));
    fs::remove_file(here("k/metrics.seals")).expect("removed");
    let resume = zograd(dir.path(), &["train", "--resume", "k"]).output();
    refused(&resume.expect("it starts"), "metrics.seals");
    fs::remove_dir_all(here("k")).expect("removed");
    for (number, (said, damage)) in damages.into_iter().enumerate() {
        copy(&here("run"), &here("k"));
        damage(&here("k"));
        // as a process leaves them that is killed while it writes
        fs::create_dir_all(here("k/checkpoint.partial")).expect("a folder");
        fs::create_dir_all(here("k/best")).expect("a folder");
        fs::write(here("k/best/model.safetensors.partial"), "half").expect("written");
        let output = run(dir.path(), &["train", "--resume", "k"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(said), "{number}: {stderr}");
        assert!(results(&here("k")) == full, "{number}: other results");
        for half in ["k/checkpoint.partial", "k/best/model.safetensors.partial"] {
            assert!(!here(half).exists(), "{number}: {half} was left behind");
        }
        fs::remove_dir_all(here("k")).expect("removed");
    }
}

/// A log that was cut where a record ends, and one with more than it should have.
#[test]
fn a_log_of_another_length_is_not_replayed_as_if_it_were_whole() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    // a rate at which the best step is in between
    let args = ["--lr", "1e-3", "--out", "run", "--json"];
    let summary = run_json(dir.path(), &short(&args));
    let best_step = summary["best_step"].as_u64().expect("a step");
    assert!((1..24).contains(&best_step), "{summary}");
    let export = ["export", "run", "--log-only", "--out", "packed"];
    run(dir.path(), &export);
    let shown = |log: &str| run_json(dir.path(), &["log", "show", log, "--json"]);
    let replay = |log: &str, more: &[&str]| {
        let args = [&["replay", "--log", log, "--out", "new"], more].concat();
        zograd(dir.path(), &args).output().expect("it starts")
    };
    let whole = fs::read(here("run/trajectory.zog")).expect("a log");
    for (log, file, steps) in [
        ("packed/trajectory.zog", "export.json", best_step),
        ("run/trajectory.zog", "summary.json", 24),
    ] {
        assert_eq!(shown(log)["steps"], steps);
        let before = fs::read(here(log)).expect("a log");
        fs::write(here(log), &before[..before.len() - 1]).expect("written");
        let bytes = shown(log)["bytes"].as_u64().expect("a number") as usize;
        fs::write(here(log), &before[..bytes]).expect("written");
        assert_eq!(shown(log)["steps"], steps - 1);
        let verified = zograd(dir.path(), &["log", "verify", log])
            .output()
            .expect("it starts");
        assert_eq!(verified.status.code(), Some(1));
        let said = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(said.contains("NOT whole") && said.contains(file), "{said}");
        refused(&replay(log, &[]), file);
        let part = replay(log, &["--to-step", "3"]);
        assert_eq!(part.status.code(), Some(0));
        fs::remove_dir_all(here("new")).expect("removed");
        fs::write(here(log), before).expect("written");
    }
    // lengthened
    fs::write(here("packed/trajectory.zog"), whole).expect("written");
    refused(&replay("packed/trajectory.zog", &[]), "export.json");
    // the best, and a word where they are not the last
    let output = replay("run/trajectory.zog", &["--best"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let steps = format!("{best_step} steps");
    assert!(said.contains(&steps) && said.contains("says"), "{said}");
    let best = |folder: &str| fs::read(here(folder).join("model.safetensors")).expect("weights");
    assert!(best("new") == best("run/best"), "other weights");
    fs::remove_dir_all(here("new")).expect("removed");
    let output = replay("run/trajectory.zog", &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let best = format!("step {best_step} (--best)");
    assert!(said.contains(&best), "{said}");
}

/// A folder whose name no summary could hold is refused before anything is written.
#[cfg(target_os = "linux")]
#[test]
fn folders_whose_names_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    let name = std::ffi::OsStr::from_bytes(b"\xffx");
    for args in [
        &["replay", "--log", "run/trajectory.zog", "--json"][..],
        &["export", "run", "--log-only", "--json"],
        &["train"],
    ] {
        let mut command = zograd(dir.path(), args);
        let output = command.arg("--out").arg(name).output();
        refused(&output.expect("it starts"), "UTF-8");
        assert!(!dir.path().join(name).exists());
    }
}

/// A damaged `best/` is not exported as what the run found.
#[test]
fn an_export_looks_at_what_it_exports() {
    let dir = scratch();
    run(dir.path(), &short(&["--lr", "0", "--out", "run"]));
    let path = dir.path().join("run/best/model.safetensors");
    let mut bytes = fs::read(&path).expect("weights");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 64;
    fs::write(&path, bytes).expect("written");
    let export = ["export", "run", "--log-only", "--out", "packed"];
    let output = zograd(dir.path(), &export).output().expect("it starts");
    refused(&output, "best/");
    assert!(!dir.path().join("packed").exists());
    // and at what is no run at all
    let export = ["export", "run/best", "--log-only", "--out", "packed"];
    let output = zograd(dir.path(), &export).output().expect("it starts");
    refused(&output, "no folder of a run");
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &pid]).status();
    assert!(sent.expect("kill").success());
}

/// Ctrl-C in a long evaluation: it is given up, and what was done before it is kept.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_an_evaluation() {
    let dir = scratch();
    let rows = |file: &str| dir.path().join("data").join(file);
    let mut args = own(dir.path(), &["--out", "run"]);
    edit(&rows("train.jsonl"), |rows| rows.repeat(200));
    for (flag, value) in [("--eval-every", "1"), ("--dev-examples", "100000")] {
        let at = args.iter().position(|arg| *arg == flag).expect("a flag");
        args[at + 1] = value;
    }
    let mut child = start(dir.path(), &args);
    until(&mut child, &rows("../run/metrics.jsonl"), 100);
    let begin = Instant::now();
    signal(&child, "INT");
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    assert!(begin.elapsed() < Duration::from_secs(5), "it took too long");
    let summary = fs::read_to_string(rows("../run/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["stop"], "interrupted");
    assert_eq!(summary["loss_after"], Value::Null);
}

/// What was ignored when the process began stays ignored, as under nohup.
#[cfg(unix)]
#[test]
fn ignored_signals_stay_ignored() {
    let dir = scratch();
    let mut command = Command::new("sh");
    command
        .current_dir(dir.path())
        .args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_zograd"))
        .args(short(&["--out", "run"]))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().expect("sh starts");
    until(&mut child, &dir.path().join("run/metrics.jsonl"), 500);
    signal(&child, "HUP");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
}

/// A result that cannot be written is a failure, whatever the result is.
#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_a_failure() {
    let dir = scratch();
    for args in [
        &["presets"][..],
        &["--help"],
        &["eval", "--test-examples", "4"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full");
        let output = zograd(dir.path(), args)
            .stdout(full.expect("a device"))
            .output()
            .expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(stderr.contains("the standard output"), "{args:?}: {stderr}");
    }
}

/// Where nobody can read a result there is one line and no silence; where somebody reads no more, that is no failure.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_output_is_a_failure_and_a_closed_pipe_is_none() {
    let dir = scratch();
    for args in [
        &["eval", "--test-examples", "2"][..],
        &["presets"],
        &["--help"],
    ] {
        let closed = zograd(dir.path(), args);
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "exec \"$0\" \"$@\" >&-"])
            .arg(closed.get_program());
        let output = shell.args(args).output().expect("a shell");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
        assert!(
            stderr.contains("the standard output: it is closed"),
            "{stderr}"
        );
    }
    run(dir.path(), &short(&["--out", "run"]));
    let mut command = zograd(dir.path(), &["log", "export", "run/trajectory.zog"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

/// An output that cannot be made is found before anything is computed, and is the caller's fault, whatever the command.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_made_has_one_exit_code() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    for args in [
        &short(&["--out", "/proc/none/out"])[..],
        &["report", "run", "--out", "/proc/none/out.html"],
        &["report", "run", "--out", "/proc/none.html"],
        &["report", "run", "--svg", "/proc"],
        &[
            "replay",
            "--log",
            "run/trajectory.zog",
            "--out",
            "/proc/none/out",
        ],
        &["export", "run", "--out", "/proc/none/out"],
        &[
            "eval",
            "--test-examples",
            "2",
            "--predictions",
            "/proc/none/out",
        ],
    ] {
        let output = zograd(dir.path(), args).output().expect("it starts");
        refused(&output, "/proc");
    }
}

/// A replay is killed, and another one is made in its place.
#[test]
fn a_killed_replay_leaves_nothing_that_looks_whole() {
    let dir = scratch();
    let here = |name: &str| dir.path().join(name);
    run(dir.path(), &short(&["--out", "run"]));
    let replay = ["replay", "--log", "run/trajectory.zog", "--out", "tuned"];
    let mut child = start(dir.path(), &replay);
    while !here("tuned.partial").exists() && child.try_wait().expect("a child").is_none() {
        std::thread::yield_now();
    }
    child.kill().expect("killed");
    child.wait().expect("an end");
    if here("tuned").exists() {
        // it was faster, and is whole
        fs::remove_dir_all(here("tuned")).expect("removed");
    }
    fs::create_dir_all(here("tuned.partial")).expect("made");
    run(dir.path(), &replay);
    assert!(!here("tuned.partial").exists());
    let names = |folder: &str| {
        let entries = fs::read_dir(here(folder)).expect("a folder").flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        // what the weights are for, and what they are worth, is the run's to say
        names.retain(|name| name != "zograd.toml" && name != "README.md");
        names.sort();
        names
    };
    assert_eq!(names("tuned"), names("run/best"));
    fs::create_dir(here("made")).expect("made");
    run(dir.path(), &["export", "run", "--out", "made"]);
    let files = ["config.toml", "export.json", "trajectory.zog"];
    assert_eq!(names("made"), files);
}

#[test]
fn an_export_is_called_one() {
    let dir = scratch();
    run(dir.path(), &short(&["--out", "run"]));
    run(dir.path(), &["export", "run", "--out", "packed"]);
    for args in [&["report", "packed"], &["train", "--resume=packed"]] {
        let output = zograd(dir.path(), args).output().expect("it starts");
        refused(&output, "packed: it is an export");
    }
}

/// A folder whose name is no text can be worked in.
#[cfg(target_os = "linux")]
#[test]
fn a_model_is_found_from_a_folder_that_is_no_text() {
    use std::os::unix::ffi::OsStrExt;
    let dir = scratch();
    let odd = dir.path().join(std::ffi::OsStr::from_bytes(b"f\xff"));
    fs::create_dir(&odd).expect("made");
    unpack(&odd);
    let input = ["--model", "model", "--task", "sst2", "--data", "data"];
    run(
        &odd,
        &[&["eval", "--test-examples", "4"], &input[..]].concat(),
    );
}

/// Names from files do nothing to a terminal.
#[test]
fn escape_codes_in_names_are_shown_not_obeyed() {
    let dir = scratch();
    own(dir.path(), &[]);
    edit(&dir.path().join("own.toml"), |text| {
        text.replace("\"own\"", "\"o\\u001b[31m\\u009bn\"")
    });
    let input = ["--model", "model", "--task", "own.toml", "--data", "data"];
    for more in [&[][..], &["--json"]] {
        let args = [&["eval", "--test-examples", "4"], &input[..], more].concat();
        let output = run(dir.path(), &args);
        for text in [output.stdout, output.stderr] {
            let text = String::from_utf8(text).expect("UTF-8");
            let control = |c: char| c.is_control() && c != '\n';
            assert!(!text.contains(control), "{text:?}");
        }
    }
    run(dir.path(), &short(&input));
    let runs = fs::read_dir(dir.path().join("runs")).expect("a folder");
    let names = runs.flatten().map(|entry| entry.file_name().into_string());
    let names: Vec<String> = names.collect::<Result<_, _>>().expect("UTF-8");
    assert!(
        names.len() == 1 && names[0].starts_with("o_[31m_n-"),
        "{names:?}"
    );
}

/// Files have the permissions of new files, and a table can be asked for twice.
#[cfg(unix)]
#[test]
fn results_are_for_others_too() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch();
    let eval = ["eval", "--test-examples", "4", "--predictions", "new"];
    run(dir.path(), &eval);
    fs::write(dir.path().join("other"), "").expect("written");
    let mode = |name: &str| {
        let metadata = fs::metadata(dir.path().join(name)).expect("a file");
        metadata.permissions().mode()
    };
    assert_eq!(mode("new"), mode("other"));
    run(dir.path(), &short(&["--out", "run"]));
    for _ in 0..2 {
        run(dir.path(), &["report", "run", "--json"]);
    }
    assert!(!dir.path().join("report.html").exists());
}
