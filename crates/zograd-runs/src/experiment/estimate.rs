//! What a sweep costs, and how long it will take.

use super::plan::{Point, SweepPlan};
use crate::Runs;
use crate::error::Result;
use crate::words::{count, duration};

/// The runs of a sweep by what they cost, and those of them that are done.
pub struct Estimate {
    points: usize,
    seeds: usize,
    /// Forward passes of every run, in their order.
    costs: Vec<u64>,
    /// Those of them that are to be made yet.
    left: Vec<u64>,
    /// Ranks that share them.
    ranks: usize,
    /// Forward passes that were made here.
    forwards: u64,
    /// Seconds they took, with loading and evaluations.
    seconds: f64,
}

impl Estimate {
    /// Of this plan, before anything is done.
    ///
    /// # Errors
    /// Settings that no run can have.
    pub fn of(plan: &SweepPlan, runs: &Runs) -> Result<Self> {
        let points = plan.points();
        let mut costs = Vec::new();
        for point in &points {
            for &seed in &plan.seed {
                let settings = runs.check(plan.settings(point, seed, runs.methods()))?;
                costs.push(settings.forwards(runs.methods())?.unwrap_or(0));
            }
        }
        Ok(Self {
            points: points.len(),
            seeds: plan.seed.len(),
            left: costs.clone(),
            costs,
            ranks: runs.ranks().size(),
            forwards: 0,
            seconds: 0.0,
        })
    }

    /// The whole in words.
    pub fn in_words(&self) -> String {
        let runs = match self.seeds {
            1 => String::new(),
            seeds => format!(
                " with {seeds} seeds each, {}",
                count(self.costs.len(), "run")
            ),
        };
        let forwards: u64 = self.costs.iter().sum();
        let points = count(self.points, "point");
        let shared = match self.ranks {
            1 => String::new(),
            ranks => format!(", shared by {ranks} ranks"),
        };
        format!("sweep of {points}{runs}: {forwards} forward passes of training{shared}")
    }

    /// That this run, by its place, is made now, and when all will be done.
    pub fn next(&self, place: usize, point: &Point, seed: u64) -> String {
        let number = place / self.seeds + 1;
        let mut line = format!("point {number} of {}: {point}", self.points);
        if self.seeds > 1 {
            line += &format!(", seed {seed} (run {} of {})", place + 1, self.costs.len());
        }
        match self.seconds_left(place) {
            Some(seconds) => format!("{line}; about {} left", duration(seconds)),
            None => line,
        }
    }

    /// Seconds until all is done, once something was done here and this run is the next of all.
    fn seconds_left(&self, place: usize) -> Option<f64> {
        let left: u64 = self.left.get(place..)?.iter().sum();
        let each = |forwards: u64| self.seconds / forwards as f64 / self.ranks as f64;
        (self.forwards > 0).then(|| each(self.forwards) * left as f64)
    }

    /// This run was done before.
    pub fn was_done(&mut self, place: usize) {
        if let Some(left) = self.left.get_mut(place) {
            *left = 0;
        }
    }

    /// A run was done here: so many forward passes in so many seconds.
    pub fn ran(&mut self, forwards: u64, seconds: f64) {
        self.forwards += forwards;
        self.seconds += seconds;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_once_a_run_is_done() {
        let point = Point {
            method: "gv".into(),
            lr: 1e-5,
            eps: Some(1e-3),
        };
        let mut estimate = Estimate {
            points: 2,
            seeds: 2,
            costs: vec![600, 600, 600, 600],
            left: vec![600, 600, 600, 600],
            ranks: 1,
            forwards: 0,
            seconds: 0.0,
        };
        assert_eq!(
            estimate.in_words(),
            "sweep of 2 points with 2 seeds each, 4 runs: 2400 forward passes of training"
        );
        let first = "point 1 of 2: gv, lr 1e-5, eps 1e-3, seed 0 (run 1 of 4)";
        assert_eq!(estimate.next(0, &point, 0), first);
        estimate.was_done(0);
        // a guard stopped it half way: a second for 30 forwards, and 1200 are left
        estimate.ran(300, 10.0);
        let third = "point 2 of 2: gv, lr 1e-5, eps 1e-3, seed 0 (run 3 of 4); about 40 s left";
        assert_eq!(estimate.next(2, &point, 0), third);
        // the last was done before, and another rank helps
        estimate.was_done(3);
        estimate.ranks = 2;
        let shared = third.replace("40 s", "10 s");
        assert_eq!(estimate.next(2, &point, 0), shared);
        let words = estimate.in_words();
        assert!(words.ends_with("2400 forward passes of training, shared by 2 ranks"));
    }
}
