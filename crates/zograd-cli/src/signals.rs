//! Ctrl-C and its kin.

use crate::output::say;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Raised by the first SIGINT, SIGTERM or SIGHUP: what runs finishes its step and saves. A second one ends the
/// process at once.
#[derive(Clone)]
pub struct Stop {
    /// Whether to stop.
    pub asked: Arc<AtomicBool>,
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
            signal: Arc::new(AtomicI32::new(SIGINT)),
        };
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signal handlers")?;
        let raised = stop.clone();
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if raised.asked.swap(true, Ordering::Relaxed) {
                    std::process::exit(128 + signal);
                }
                raised.signal.store(signal, Ordering::Relaxed);
                say("\nfinishing the step and saving; once more to stop at once");
            }
        });
        Ok(stop)
    }

    /// What a process that this signal ended exits with: 130 for SIGINT, 143 for SIGTERM.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from((128 + self.signal.load(Ordering::Relaxed)) as u8)
    }
}
