//! Processes that a program started, wherever they have gone: they are known by a variable of their environment, which each
//! hands on to those that it starts.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The variable. A process that is to outlive the program takes it out of its environment.
const VARIABLE: &str = "ZOGRAD_REWARD_PROGRAM";

/// What a program and all that it starts have in their environment, and nobody else.
#[derive(Debug)]
pub(crate) struct Descendants {
    value: String,
}

impl Descendants {
    /// Those of `command`, which is not started yet.
    pub(crate) fn of(command: &mut Command) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let value = format!("{}{number}-", of_this_process());
        command.env(VARIABLE, &value);
        Self { value }
    }

    /// Those of all programs that this process has started.
    pub(crate) fn of_all() -> Self {
        Self {
            value: of_this_process().to_owned(),
        }
    }

    /// Kills them. Elsewhere than on Linux nothing tells where they are.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn kill(&self) {}

    /// Kills them.
    #[cfg(target_os = "linux")]
    pub(crate) fn kill(&self) {
        let mark = format!("{VARIABLE}={}", self.value);
        // one may start another while it is looked for
        for _ in 0..ROUNDS {
            if linux::kill_marked(mark.as_bytes()) == 0 {
                return;
            }
        }
    }
}

/// What all values begin with, in this process and in no other one, whatever number that has.
fn of_this_process() -> &'static str {
    static VALUE: OnceLock<String> = OnceLock::new();
    VALUE.get_or_init(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        format!("{}-{now}-", std::process::id())
    })
}

/// How often they are looked for.
#[cfg(target_os = "linux")]
const ROUNDS: usize = 8;

#[cfg(target_os = "linux")]
mod linux {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    use std::io::Read;
    use std::path::Path;

    /// The largest environment that is looked at.
    const LARGEST: u64 = 4 << 20;

    /// Kills the processes with a variable that begins so in their environment, and says how many there were.
    pub(super) fn kill_marked(mark: &[u8]) -> usize {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let killed = entries.filter_map(|entry| kill_if_marked(&entry.path(), mark));
        killed.count()
    }

    /// The process is held while its environment is read: its number may become another's. One that has ended has none.
    fn kill_if_marked(process: &Path, mark: &[u8]) -> Option<()> {
        let pid = process.file_name()?.to_str()?.parse().ok()?;
        let held = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let mut environment = Vec::new();
        let file = zograd_files::open(&process.join("environ")).ok()?;
        file.take(LARGEST).read_to_end(&mut environment).ok()?;
        let is_marked = environment
            .split(|byte| *byte == 0)
            .any(|entry| entry.starts_with(mark));
        is_marked
            .then(|| pidfd_send_signal(held, Signal::KILL).ok())
            .flatten()
    }
}
