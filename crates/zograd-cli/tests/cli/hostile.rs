//! A file system that turns against the program: full disks, pipes and links in place of files.

use crate::support::{metrics, run, scratch, short, unpack, zograd};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use zograd_hostile::places::NO_FILES;

fn start(out: &str) -> Vec<&str> {
    let input = ["--model", "model", "--task", "sst2", "--data", "data"];
    let settings = ["--lr", "2e-5", "--json", "--out", out];
    short(&[&input[..], &settings].concat())
}

/// The same with another number for a flag.
fn with<'a>(args: &[&'a str], flag: &[&'a str]) -> Vec<&'a str> {
    let mut args = args.to_vec();
    if let [flag, value] = flag {
        let at = args.iter().position(|arg| arg == flag).expect("a flag");
        args[at + 1] = value;
    }
    args
}

/// Everything that a run leaves behind and that is a function of its settings.
fn results(run: &Path) -> (Vec<Value>, [Vec<u8>; 2]) {
    let files = ["trajectory.zog", "best/model.safetensors"];
    let files = files.map(|name| fs::read(run.join(name)).expect(name));
    (metrics(run), files)
}

/// `zograd`, which cannot write a file beyond `blocks` of 512 bytes.
fn limited(dir: &Path, args: &[&str], blocks: u64) -> Output {
    // without the signal's being ignored the process would be killed, as by kill -9
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command
        .current_dir(dir)
        .args(["-c", &script, env!("CARGO_BIN_EXE_zograd")]);
    command
        .args(args)
        .env("NO_COLOR", "1")
        .output()
        .expect("sh")
}

/// Expects exit code 1 and a last line, the only one of its kind, that names `file`.
fn failed(output: &Output, file: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{file}: {stderr}");
    let errors = stderr.lines().filter(|line| line.starts_with("error"));
    assert_eq!(errors.count(), 1, "{file}: {stderr}");
    let last = stderr.lines().last().expect("a line");
    assert!(
        last.starts_with("error: ") && last.contains(file),
        "{file}: {stderr}"
    );
}

/// The checkpoints of a run with what is in them.
fn checkpoints(run: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(run)
        .expect("a folder")
        .map(|e| e.expect("an entry").path());
    let folders = entries.filter(|path| path.to_string_lossy().contains("checkpoint-"));
    folders
        .map(|path| {
            (
                path.clone(),
                fs::read(path.join("model.safetensors")).expect("weights"),
            )
        })
        .collect()
}

/// A run that was killed when it had its first checkpoint.
fn killed_after_a_checkpoint(dir: &Path, out: &str, more: &[&str]) {
    let folder = dir.join(out);
    for _ in 0..20 {
        let mut child = zograd(dir, &[&start(out)[..], more].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        while !folder.join("checkpoint-6").exists() && child.try_wait().expect("a child").is_none()
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        let ended = child.wait().expect("an end").success();
        if !ended && !checkpoints(&folder).is_empty() {
            return;
        }
        fs::remove_dir_all(&folder).expect("removed");
    }
    panic!("no run was killed between a checkpoint and its end");
}

/// Files that may not grow further, at sizes that hit each of the files a run writes.
#[test]
fn a_limit_on_file_sizes_is_an_error_and_the_run_goes_on_without_it() {
    let dir = scratch();
    unpack(dir.path());
    // evaluated, a run begins with the largest file
    let blind = ["--dev-examples", "0"];
    for (blocks, file, evaluated) in [
        (0, "config.toml", true),
        (1, "trajectory.zog", false),
        (4, "metrics.jsonl", false),
        (40, "best/model.safetensors", false),
        (41, "best/model.safetensors", true),
    ] {
        let begin = |out| with(&start(out), if evaluated { &[] } else { &blind });
        let (out, whole) = (format!("limited-{blocks}"), format!("whole-{blocks}"));
        run(dir.path(), &begin(&whole));
        let whole = results(&dir.path().join(&whole));
        failed(&limited(dir.path(), &begin(&out), blocks), file);
        let folder = dir.path().join(&out);
        assert!(
            !folder.join("best/model.safetensors").exists(),
            "half a file was kept"
        );
        if blocks >= 4 {
            // a second failure loses nothing more
            failed(
                &limited(dir.path(), &["train", "--json", "--resume", &out], blocks),
                file,
            );
            run(dir.path(), &["train", "--resume", &out]);
            assert!(results(&folder) == whole, "{file}: other results");
        }
    }
}

#[test]
fn the_last_good_checkpoint_survives_a_limit() {
    let dir = scratch();
    unpack(dir.path());
    run(dir.path(), &start("whole"));
    killed_after_a_checkpoint(dir.path(), "run", &[]);
    let folder = dir.path().join("run");
    let before = checkpoints(&folder);
    let best = fs::read(folder.join("best/model.safetensors")).expect("weights");
    for blocks in [8, 400] {
        let output = limited(dir.path(), &["train", "--json", "--resume", "run"], blocks);
        failed(&output, "run/");
        assert!(checkpoints(&folder) == before, "the checkpoint changed");
        assert_eq!(
            fs::read(folder.join("best/model.safetensors")).expect("weights"),
            best
        );
    }
    run(dir.path(), &["train", "--resume", "run"]);
    assert!(results(&folder) == results(&dir.path().join("whole")));
}

/// The same on a file system that is really full, where the system lets a test mount one.
#[test]
fn a_full_disk_is_an_error_and_the_run_goes_on_elsewhere() {
    let dir = scratch();
    unpack(dir.path());
    run(dir.path(), &start("whole"));
    let whole = results(&dir.path().join("whole"));
    // from too small for anything to enough for weights, which a checkpoint shares, but not for their replacement
    for kib in [8, 64, 2000, 3500, 5000] {
        let copy = format!("copy-{kib}");
        let script = format!(
            "mkdir -p disk && mount -t tmpfs -o size={kib}k tmpfs disk || exit 77
             \"$0\" \"$@\"; code=$?
             cp -r disk/run {copy}; umount disk; exit $code"
        );
        let output = Command::new("unshare")
            .current_dir(dir.path())
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .arg(env!("CARGO_BIN_EXE_zograd"))
            .args(start("disk/run"))
            .env("NO_COLOR", "1")
            .output();
        let output = match output {
            Ok(output) if output.status.code() != Some(77) => output,
            _ => {
                eprintln!("skipped: no file system can be mounted here");
                return;
            }
        };
        failed(&output, "disk/run/");
        let folder = dir.path().join(&copy);
        if kib >= 64 {
            run(dir.path(), &["train", "--resume", &copy]);
            assert!(results(&folder) == whole, "{kib} KiB: other results");
        }
    }
}

/// A checkpoint whose numbers changed on the disk: the run is walked again from its log.
#[test]
fn a_checkpoint_with_other_numbers_is_not_gone_on_from() {
    let dir = scratch();
    unpack(dir.path());
    run(dir.path(), &start("whole"));
    killed_after_a_checkpoint(dir.path(), "run", &[]);
    let folder = dir.path().join("run");
    let (path, mut bytes) = checkpoints(&folder).pop().expect("a checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path.join("model.safetensors"), bytes).expect("written");
    let output = run(dir.path(), &["train", "--json", "--resume", "run"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("checkpoint-") && stderr.contains("start weights"),
        "{stderr}"
    );
    assert!(results(&folder) == results(&dir.path().join("whole")));
}

/// The same for the f32 originals of 16-bit weights, which the weights do not show.
#[test]
fn a_checkpoint_with_other_originals_is_not_gone_on_from() {
    let anchored = [
        "--backend",
        "flex",
        "--dtype",
        "bf16",
        "--arithmetic",
        "anchored",
        "--anchor-every",
        "4",
    ];
    let dir = scratch();
    unpack(dir.path());
    run(dir.path(), &[&start("whole")[..], &anchored].concat());
    assert!(!dir.path().join("whole/anchor.f32").exists(), "left behind");
    killed_after_a_checkpoint(dir.path(), "run", &anchored);
    let folder = dir.path().join("run");
    let (path, _) = checkpoints(&folder).pop().expect("a checkpoint");
    let originals = path.join("anchor.f32");
    let mut bytes = fs::read(&originals).expect("originals");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // a new file: the run's own may be the same one under another name
    fs::remove_file(&originals).expect("removed");
    fs::write(&originals, bytes).expect("written");
    let output = run(dir.path(), &["train", "--json", "--resume", "run"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("start weights"), "{stderr}");
    assert!(results(&folder) == results(&dir.path().join("whole")));
}

/// Every file that a flag leads to: exit code 2, one line that names it, and no waiting.
#[test]
fn what_is_no_file_is_named() {
    for (place, _) in NO_FILES {
        let dir = scratch();
        unpack(dir.path());
        let here = |name: &str| dir.path().join(name);
        fs::create_dir(here("run")).expect("a folder");
        fs::create_dir(here("tokenizer")).expect("a folder");
        fs::create_dir(here("finished")).expect("a folder");
        fs::write(here("finished/config.toml"), "").expect("written");
        fs::create_dir(here("rows")).expect("a folder");
        fs::copy(here("data/validation.jsonl"), here("rows/validation.jsonl")).expect("copied");
        for name in [
            "settings.toml",
            "log",
            "run/config.toml",
            "tokenizer/tokenizer.json",
            "finished/trajectory.zog",
            "rows/train.jsonl",
        ] {
            place(&here(name));
        }
        for (args, part) in [
            (&["train", "--config", "settings.toml"][..], "settings.toml"),
            (&["log", "show", "log"], "log"),
            (&["log", "verify", "log"], "log"),
            (&["replay", "--log", "log", "--out", "new"], "log"),
            (&["train", "--resume", "run"], "run"),
            (&["train", "--resume", "finished"], "trajectory.zog"),
            (
                &[
                    "eval",
                    "--model",
                    "model",
                    "--task",
                    "toy",
                    "--tokenizer",
                    "tokenizer",
                ],
                "tokenizer.json",
            ),
            (
                &[
                    "train", "--model", "embedded", "--task", "sst2", "--data", "rows",
                ],
                "train.jsonl",
            ),
        ] {
            let begin = Instant::now();
            let mut child = zograd(dir.path(), args)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("the binary starts");
            while child.try_wait().expect("a child").is_none() {
                if begin.elapsed() > Duration::from_secs(60) {
                    child.kill().expect("killed");
                    panic!("{args:?} hangs");
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let output = child.wait_with_output().expect("an end");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
            assert!(stderr.contains(part), "{args:?}: {stderr}");
        }
    }
}
