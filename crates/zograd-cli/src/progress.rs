//! Progress on the standard error: a bar on a terminal that can be drawn on, a line now and then elsewhere.

use crate::output::{is_drawn, say};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Without a terminal a line is printed this often at most.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how far a long piece of work is.
pub struct Progress {
    what: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    start: Instant,
    last_line: Instant,
}

impl Progress {
    /// Starts `total` units of work called `what`.
    pub fn new(what: &'static str, total: u64) -> Self {
        let bar = is_drawn().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(
                "{prefix:>10} {bar:30} {pos}/{len} {msg} [{elapsed} < {eta}]",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_prefix(what);
            bar
        });
        let now = Instant::now();
        Self {
            what,
            total,
            bar,
            start: now,
            last_line: now,
        }
    }

    /// `done` units are done; `message` says what came out of them.
    pub fn set(&mut self, done: u64, message: impl FnOnce() -> String) {
        match &self.bar {
            Some(bar) => {
                bar.set_message(message());
                bar.set_position(done);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let elapsed = self.start.elapsed().as_secs_f64();
                let left = elapsed / done.max(1) as f64 * self.total.saturating_sub(done) as f64;
                let message = message();
                say(format_args!(
                    "{} {done}/{} {message} ({left:.0} s left)",
                    self.what, self.total
                ));
            }
            None => {}
        }
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
