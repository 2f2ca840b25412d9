//! Ctrl-C and its kin.

use crate::output::say;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use zograd_runs::RewardProgram;

/// Raised by the first SIGINT, SIGTERM or SIGHUP: what runs finishes its step and saves. A second one ends the
/// process at once, and so does the first while there is nothing to save: a run folder can be resumed after any end.
#[derive(Clone)]
pub struct Stop {
    /// Whether to stop.
    pub asked: Arc<AtomicBool>,
    /// Whether there is something to save.
    pub saves: Arc<AtomicBool>,
    signal: Arc<AtomicI32>,
}

impl Stop {
    /// Waits for signals from now on.
    ///
    /// # Errors
    /// The system refuses the handlers.
    pub fn on_signal() -> Result<Self> {
        let stop = Self {
            asked: Arc::default(),
            saves: Arc::default(),
            signal: Arc::new(AtomicI32::new(SIGINT)),
        };
        // what the process was told to ignore stays ignored: SIGHUP under nohup, SIGINT in the background of a script
        let heeded = [SIGINT, SIGTERM, SIGHUP]
            .into_iter()
            .filter(|s| !is_ignored(*s));
        let mut signals = Signals::new(heeded).context("signal handlers")?;
        let raised = stop.clone();
        let watching = move || {
            for signal in signals.forever() {
                let again = raised.asked.swap(true, Ordering::Relaxed);
                let is_loading = !raised.saves.load(Ordering::Relaxed);
                if is_loading {
                    say("\ninterrupted: there is nothing to save");
                }
                if is_loading || again {
                    ENDING.store(true, Ordering::SeqCst);
                    RewardProgram::kill_all();
                    std::process::exit(128 + signal);
                }
                raised.signal.store(signal, Ordering::Relaxed);
                say("\nfinishing the step and saving; once more to stop at once");
            }
        };
        let thread = std::thread::Builder::new().spawn(watching);
        thread.context("a thread that waits for signals")?;
        Ok(stop)
    }

    /// What a process that this signal ended exits with: 130 for SIGINT, 143 for SIGTERM.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from((128 + self.signal.load(Ordering::Relaxed)) as u8)
    }
}

/// Whether a signal ends the process at once.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Waits for the end of the process, if a signal ends it at once: what comes of the work that it ended is nobody's.
pub fn wait_if_ending() {
    while ENDING.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// Whether the process was started with this signal ignored.
fn is_ignored(signal: i32) -> bool {
    let mut now = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the present one, where there is room for it
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), now.as_mut_ptr()) };
    // SAFETY: it was written if the call says so
    asked == 0 && unsafe { now.assume_init() }.sa_sigaction == libc::SIG_IGN
}
