use crate::workspace::workspace;
use serde::{Deserialize, Serialize};
use std::fs::read_to_string;
use std::process::Command;

/// What the numbers were measured on and with. Whatever the system does not tell is "unknown".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    /// The widest vector instructions.
    pub vectors: String,
    pub memory_gib: u64,
    /// How the clock is governed.
    pub governor: String,
    /// How the programs are scheduled.
    pub scheduling: String,
    pub system: String,
    pub rustc: String,
    /// Libraries that decide the speed, with their versions.
    pub libraries: String,
}

impl Machine {
    pub fn this() -> Self {
        let file = |path: &str| read_to_string(path).unwrap_or_default();
        let (cpu, memory) = (file("/proc/cpuinfo"), file("/proc/meminfo"));
        let memory_kib: u64 = field(&memory, "MemTotal")
            .split_whitespace()
            .next()
            .and_then(|kib| kib.parse().ok())
            .unwrap_or(0);
        let flags = field(&cpu, "flags");
        let flag = |name: &str| flags.split_whitespace().any(|flag| flag == name);
        let governor = file("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        Self {
            cpu: known(&format!(
                "{} (family {}, model {})",
                field(&cpu, "model name"),
                field(&cpu, "cpu family"),
                field(&cpu, "model")
            )),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            vectors: match (flag("avx512f"), flag("avx2")) {
                (true, _) => "AVX-512",
                (_, true) => "AVX2",
                _ => "baseline",
            }
            .into(),
            memory_gib: (memory_kib + (1 << 19)) >> 20,
            governor: known(&governor),
            scheduling: scheduling(&file("/proc/self/stat")).into(),
            system: known(&format!(
                "{} {}",
                std::env::consts::OS,
                file("/proc/sys/kernel/osrelease").trim()
            )),
            rustc: known(&output("rustc", &["--version"])),
            libraries: libraries(
                &read_to_string(workspace().join("Cargo.lock")).unwrap_or_default(),
            ),
        }
    }
}

/// The policy of a process that `/proc/PID/stat` describes; programs that it starts have the same.
fn scheduling(stat: &str) -> &'static str {
    // the name, in brackets, may hold blanks; the policy is field 41, and the third is the first after it
    let policy = stat
        .rsplit_once(')')
        .and_then(|(_, fields)| fields.split_whitespace().nth(41 - 3));
    match policy {
        Some("0") => "ordinary",
        Some("1" | "2") => {
            "real-time priority for all programs (`chrt -r 1`): no other process disturbs"
        }
        Some(_) => "other",
        None => "unknown",
    }
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map_or("", |(_, value)| value.trim())
}

fn known(text: &str) -> String {
    match text.trim() {
        "" => "unknown".into(),
        text => text.into(),
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn libraries(lock: &str) -> String {
    let version = |name: &str| {
        // of several versions ours is the newest
        let start = lock.rfind(&format!("name = \"{name}\"\n"))?;
        let line = lock[start..].lines().nth(1)?;
        Some(format!("{name} {}", line.split('"').nth(1)?))
    };
    let found = ["burn", "faer", "rayon", "rand_chacha"].into_iter();
    found.filter_map(version).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_writes() {
        let text = "processor\t: 0\nmodel name\t: A CPU: fast\nmodel\t\t: 17\n";
        assert_eq!(field(text, "model name"), "A CPU: fast");
        assert_eq!(field(text, "model"), "17");
        assert_eq!(known(field(text, "flags")), "unknown");
        let lock = "[[package]]\nname = \"faer-traits\"\nversion = \"9.0.0\"\n\n[[package]]\nname = \"faer\"\nversion = \"0.24.4\"\n";
        assert_eq!(libraries(lock), "faer 0.24.4");
        let stat = |policy| format!("7 (a (b) c) R {} {policy} 0 0", "1 ".repeat(37).trim());
        assert_eq!(scheduling(&stat(0)), "ordinary");
        assert!(scheduling(&stat(2)).starts_with("real-time"));
        assert_eq!(scheduling(""), "unknown");
    }
}
