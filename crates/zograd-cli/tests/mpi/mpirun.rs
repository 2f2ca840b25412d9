//! Running the real binary under `mpirun`.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const ZOGRAD: &str = env!("CARGO_BIN_EXE_zograd");

/// A scratch folder.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

/// How `mpirun` is to start processes.
pub struct Mpirun {
    options: Vec<String>,
    /// Of each group of processes how many, and where.
    groups: Vec<(usize, Option<String>)>,
}

impl Mpirun {
    /// So many.
    pub fn of(ranks: usize) -> Self {
        Self {
            options: Vec::new(),
            groups: vec![(ranks, None)],
        }
    }

    /// One in each of these folders.
    pub fn in_folders(folders: &[&str]) -> Self {
        let one = |folder: &&str| (1, Some((*folder).to_owned()));
        Self {
            options: Vec::new(),
            groups: folders.iter().map(one).collect(),
        }
    }

    /// With more options.
    pub fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|o| (*o).to_owned()));
        self
    }

    fn command(&self, dir: &Path, each: &[&[&str]]) -> Command {
        let mut command = Command::new("mpirun");
        command
            .current_dir(dir)
            .env("NO_COLOR", "1")
            // of containers that may not look into one another's memory
            .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
            .args(["--allow-run-as-root", "--oversubscribe"])
            .args(&self.options);
        for (index, args) in each.iter().enumerate() {
            let (ranks, folder) = &self.groups[index.min(self.groups.len() - 1)];
            if index > 0 {
                command.arg(":");
            }
            command.args(["-n", &ranks.to_string()]);
            if let Some(folder) = folder {
                command.arg("--wdir").arg(dir.join(folder));
            }
            command.arg(ZOGRAD).args(*args);
        }
        command
    }

    /// What comes of it.
    pub fn output(&self, dir: &Path, args: &[&str]) -> Output {
        let each = vec![args; self.groups.len()];
        self.command(dir, &each).output().expect("mpirun starts")
    }

    /// What comes of a group with these arguments, and another with others.
    pub fn output_with(&self, dir: &Path, args: &[&str], others: &[&str]) -> Output {
        let mut command = self.command(dir, &[args, others]);
        command.output().expect("mpirun starts")
    }

    /// Runs it and expects success.
    pub fn run(&self, dir: &Path, args: &[&str]) -> Output {
        let output = self.output(dir, args);
        let (status, error) = (output.status, error_of(&output));
        assert!(status.success(), "{args:?}: {status}\n{error}");
        output
    }

    /// Starts it.
    pub fn start(&self, dir: &Path, args: &[&str]) -> Child {
        let mut command = self.command(dir, &[args]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("mpirun starts")
    }
}

/// One process without `mpirun`; expects success.
pub fn alone(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(ZOGRAD);
    command.current_dir(dir).args(args).env("NO_COLOR", "1");
    let output = command.output().expect("the binary starts");
    assert!(output.status.success(), "{}", error_of(&output));
    output
}

/// What was said on the standard error.
pub fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until a file has so many lines.
pub fn until(child: &mut Child, file: &Path, lines: usize) {
    let count = || fs::read_to_string(file).map_or(0, |text| text.lines().count());
    while count() < lines {
        assert!(child.try_wait().expect("a child").is_none(), "it ended");
        std::thread::yield_now();
    }
}

/// Waits for the end of all processes, and says what they said.
pub fn ended(child: Child) -> String {
    let output = child.wait_with_output().expect("a child");
    assert!(!output.status.success());
    error_of(&output)
}

/// The process that is this rank of the run in `out`.
pub fn rank(dir: &Path, out: &str, rank: usize) -> String {
    let dir = dir.canonicalize().expect("a folder");
    let wanted = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_it = |process: &Path| {
        let read = |file| fs::read(process.join(file)).unwrap_or_default();
        let (variables, arguments) = (read("environ"), read("cmdline"));
        let has =
            |bytes: &[u8], text: &str| bytes.split(|b| *b == 0).any(|part| part == text.as_bytes());
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == dir)
            && has(&variables, &wanted)
            && has(&arguments, out)
    };
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let found = processes.map(|entry| entry.path()).find(|path| is_it(path));
    let found = found.expect("a process");
    let name = found.file_name().expect("a number");
    name.to_string_lossy().into_owned()
}

/// The `summary.json` of a run.
pub fn summary(run: &Path) -> Value {
    let text = fs::read(run.join("summary.json")).expect("a summary");
    serde_json::from_slice(&text).expect("JSON")
}

/// `metrics.jsonl` without what the clock and the allocator say.
pub fn metrics(run: &Path) -> Option<Vec<Value>> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).ok()?;
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).expect("JSON");
        let fields = value.as_object_mut().expect("an object");
        for field in ["seconds", "eval_seconds", "peak_memory_bytes"] {
            fields.remove(field);
        }
        value
    });
    Some(lines.collect())
}

/// Everything that a run leaves behind is that of another, but for times, memory and its name.
pub fn assert_same(a: &Path, b: &Path) {
    let log = |run: &Path| fs::read(run.join("trajectory.zog")).expect("a log");
    assert_eq!(log(a), log(b), "the logs differ");
    assert_eq!(metrics(a).expect("metrics"), metrics(b).expect("metrics"));
    let told = |run: &Path| {
        let mut told = summary(run);
        let fields = told.as_object_mut().expect("an object");
        for field in ["seconds", "peak_memory_bytes", "waited", "run", "settings"] {
            fields.remove(field);
        }
        told
    };
    assert_eq!(told(a), told(b), "the summaries differ");
}
