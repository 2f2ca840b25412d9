//! Running the real binary in scratch folders.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// `zograd` with these arguments, in `dir`.
pub fn zograd(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zograd"));
    command.current_dir(dir).args(args).env("NO_COLOR", "1");
    command
}

/// Starts it with nobody listening.
pub fn start(dir: &Path, args: &[&str]) -> Child {
    let mut command = zograd(dir, args);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the binary starts")
}

/// Waits until a file of this run has so many bytes.
pub fn until(child: &mut Child, file: &Path, bytes: u64) {
    while std::fs::metadata(file).map_or(0, |m| m.len()) < bytes {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::yield_now();
    }
}

/// Runs it and expects success.
pub fn run(dir: &Path, args: &[&str]) -> Output {
    let output = zograd(dir, args).output().expect("the binary starts");
    assert!(
        output.status.success(),
        "{args:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs it and expects success: what it prints, and what it says beside that.
pub fn run_text(dir: &Path, args: &[&str]) -> (String, String) {
    let Output { stdout, stderr, .. } = run(dir, args);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(stdout), text(stderr))
}

/// Runs it and reads the JSON object it prints.
pub fn run_json(dir: &Path, args: &[&str]) -> serde_json::Value {
    let output = run(dir, args);
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// `metrics.jsonl` without what the clock and the allocator say.
pub fn metrics(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    text.lines()
        .map(|line| {
            let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let fields = value.as_object_mut().expect("an object");
            fields.remove("seconds");
            fields.remove("eval_seconds");
            fields.remove("peak_memory_bytes");
            value
        })
        .collect()
}

/// A run of some hundred milliseconds, evaluated before its first step and four times more.
pub fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let short = [
        "train",
        "--steps",
        "24",
        "--eval-every",
        "6",
        "--dev-examples",
        "16",
        "--test-examples",
        "8",
        "--train-examples",
        "64",
        "--batch-size",
        "4",
    ];
    [&short[..], more].concat()
}

/// A run on as many rows, whose length and method are still to be said.
pub fn small<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "train",
        "--dev-examples",
        "16",
        "--test-examples",
        "8",
        "--train-examples",
        "64",
        "--batch-size",
        "4",
        "--lr",
        "1e-4",
        "--json",
        "--out",
        out,
    ];
    [&small[..], more].concat()
}

/// A scratch folder.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

/// The built-in model as an ordinary model folder, in `dir/model`, and its rows in `dir/data`.
pub fn unpack(dir: &Path) {
    zograd_embedded::unpack(dir).expect("unpacked");
}

/// A JSON file.
pub fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

/// Material that is not part of the repository: `../shared` beside it. Where it is missing (a user's clone) the
/// test says so and passes, except under CI.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if folder.exists() {
        return Some(folder);
    }
    assert_ne!(
        std::env::var("CI").as_deref(),
        Ok("true"),
        "{} is missing",
        folder.display()
    );
    eprintln!("skipped: ../shared is not here");
    None
}
