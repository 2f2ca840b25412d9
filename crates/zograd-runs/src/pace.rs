//! How fast something goes, and how long the rest of it will take.

/// So much was done in so many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pace {
    done: f64,
    seconds: f64,
}

impl Pace {
    /// So much more was done, in so many seconds.
    pub(crate) fn add(&mut self, done: f64, seconds: f64) {
        self.done += done;
        self.seconds += seconds;
    }

    /// How much was done.
    pub(crate) fn done(&self) -> f64 {
        self.done
    }

    /// Seconds that so much more will take; none before anything was done.
    pub(crate) fn seconds_for(&self, left: u64) -> Option<f64> {
        (self.done > 0.0).then(|| self.seconds / self.done * left as f64)
    }
}
