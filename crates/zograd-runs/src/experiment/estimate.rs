//! What a sweep costs, and how long it will take.

use super::curve::Axis;
use super::plan::{Point, SweepPlan};
use crate::Runs;
use crate::error::Result;
use crate::pace::Pace;
use crate::words::{count, duration};
use zograd_trainer::Allowance;

/// The runs of a sweep by what they cost, and those of them that are done.
pub struct Estimate {
    points: usize,
    seeds: usize,
    /// What budgets are counted in: forward passes, unless they are given in tokens or seconds.
    unit: Axis,
    /// The budget of every run, in their order.
    costs: Vec<u64>,
    /// Those of them that are to be made yet.
    left: Vec<u64>,
    /// Ranks that share them.
    ranks: usize,
    /// How much of it was spent here, with loading and evaluations.
    pace: Pace,
}

impl Estimate {
    /// Of this plan, before anything is done.
    ///
    /// # Errors
    /// Settings that no run can have.
    pub fn of(plan: &SweepPlan, runs: &Runs) -> Result<Self> {
        let points = plan.points();
        let (mut costs, mut unit) = (Vec::new(), Axis::Forwards);
        for point in &points {
            for &seed in &plan.seed {
                let settings = runs.check(plan.settings(point, seed, runs.methods()))?;
                costs.push(match settings.config.limit.map(|limit| limit.of) {
                    Some(Allowance::Tokens(tokens)) => {
                        unit = Axis::Tokens;
                        tokens
                    }
                    Some(Allowance::Seconds(seconds)) => {
                        unit = Axis::Seconds;
                        seconds.ceil() as u64
                    }
                    _ => settings.forwards(runs.methods())?.unwrap_or(0),
                });
            }
        }
        Ok(Self {
            points: points.len(),
            seeds: plan.seed.len(),
            unit,
            left: costs.clone(),
            costs,
            ranks: runs.ranks().size(),
            pace: Pace::default(),
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
        let one = match self.unit {
            Axis::Tokens => "token",
            Axis::Seconds => "second",
            _ => "forward pass",
        };
        let budget = count(self.costs.iter().sum::<u64>(), one);
        let points = count(self.points, "point");
        let shared = match self.ranks {
            1 => String::new(),
            ranks => format!(", shared by {ranks} ranks"),
        };
        format!("sweep of {points}{runs}: {budget} of training{shared}")
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
        let alone = self.pace.seconds_for(left)?;
        Some(alone / self.ranks as f64)
    }

    /// This run was done before.
    pub fn was_done(&mut self, place: usize) {
        if let Some(left) = self.left.get_mut(place) {
            *left = 0;
        }
    }

    /// What budgets are counted in.
    pub fn unit(&self) -> Axis {
        self.unit
    }

    /// A run was done here: so much of its budget in so many seconds.
    pub fn ran(&mut self, spent: f64, seconds: f64) {
        self.pace.add(spent, seconds);
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
            batch_size: None,
        };
        let mut estimate = Estimate {
            points: 2,
            seeds: 2,
            unit: Axis::Forwards,
            costs: vec![600, 600, 600, 600],
            left: vec![600, 600, 600, 600],
            ranks: 1,
            pace: Pace::default(),
        };
        assert_eq!(
            estimate.in_words(),
            "sweep of 2 points with 2 seeds each, 4 runs: 2400 forward passes of training"
        );
        let first = "point 1 of 2: gv, lr 1e-5, eps 1e-3, seed 0 (run 1 of 4)";
        assert_eq!(estimate.next(0, &point, 0), first);
        estimate.was_done(0);
        // a guard stopped it half way: a second for 30 forwards, and 1200 are left
        estimate.ran(300.0, 10.0);
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
