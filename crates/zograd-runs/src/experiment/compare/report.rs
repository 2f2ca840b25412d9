//! What a comparison says.

use super::interval::{Interval, median};
use crate::experiment::{Axis, Point};
use crate::folder::{RunRecord, Summary};
use serde::Serialize;
use std::path::PathBuf;
use zograd_tasks::metrics::Metric;
use zograd_trainer::EvalRecord;

/// What `compare.json` says.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ComparisonReport {
    /// What the scores are.
    pub metric: Option<Metric>,
    /// What has to be reached.
    pub target: Target,
    /// What the budget of a run is counted in.
    pub budget: Axis,
    /// The methods, in the order they were asked for.
    pub methods: Vec<MethodReport>,
    /// Runs that are not done yet, those of the tuning not counted.
    pub missing: usize,
    /// The folder.
    pub comparison: PathBuf,
}

/// A loss and a score on the development examples that methods are timed by.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Target {
    /// The loss, in nats an example.
    pub loss: Option<f64>,
    /// The score, from 0 to 1.
    pub score: Option<f64>,
    /// The method more than half of whose runs reach them, if they were not given.
    pub of: Option<String>,
}

/// A method at its own best rate.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MethodReport {
    /// The method.
    pub method: String,
    /// The learning rate that did best for it; `None` if all diverged, and then there are no runs.
    pub lr: Option<f64>,
    /// The perturbation scale; gradient methods have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// The batch size that did best, if it was tuned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u64>,
    /// What there is to say of its tuning: that its rate is at the end of the grid, that nothing tells rates apart.
    pub remarks: Vec<String>,
    /// The folders of its runs, one a seed.
    pub runs: Vec<PathBuf>,
    /// How many a guard stopped.
    pub stopped: usize,
    /// Forward passes of training of a run.
    pub forwards: Option<Interval>,
    /// Examples that go through the model in them.
    pub examples: Option<Interval>,
    /// Tokens that go through the layers in them.
    pub tokens: Option<Interval>,
    /// Score of the start weights on the test examples, from 0 to 1.
    pub test_before: Option<Interval>,
    /// Score of the best weights on the test examples.
    pub test_after: Option<Interval>,
    /// The best score on the development examples.
    pub dev_score: Option<Interval>,
    /// The lowest loss on them, in nats an example.
    pub dev_loss: Option<Interval>,
    /// The loss on them along the run: its mean over what the budget is counted in.
    pub mean_dev_loss: Option<Interval>,
    /// What it takes to the target's loss.
    pub to_loss: Option<Reached>,
    /// What it takes to the target's score.
    pub to_score: Option<Reached>,
    /// Seconds of training of a run.
    pub seconds: Option<Interval>,
    /// Peak resident memory in bytes.
    pub peak_memory_bytes: Option<Interval>,
}

/// When a target was reached, at the first evaluation that did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Reached {
    /// Runs that reached it.
    pub runs: usize,
    /// Of so many.
    pub of: usize,
    /// Median of the forward passes until then; `None` if half of the runs or more did not reach it.
    pub forwards: Option<f64>,
    /// Median of the examples until then.
    pub examples: Option<f64>,
    /// Median of the tokens until then.
    pub tokens: Option<f64>,
    /// Median of the seconds of training until then.
    pub seconds: Option<f64>,
}

/// A method, and what its tuning chose.
#[derive(Debug)]
pub(super) struct Tuned {
    pub method: String,
    /// The point that did best; none where all diverged.
    pub point: Option<Point>,
    pub remarks: Vec<String>,
}

/// The runs of a method, as far as they are done.
pub(super) struct Done {
    pub tuned: Tuned,
    pub runs: Vec<RunRecord>,
}

impl Target {
    /// What was given; where nothing was, what more than half of the runs of this method reach at best.
    pub(super) fn completed(mut self, first: Option<&Done>) -> Self {
        let Some(first) = first.filter(|done| !done.runs.is_empty()) else {
            return self;
        };
        if self.loss.is_none() && self.score.is_none() {
            self.loss = of_most(first.runs.iter().filter_map(lowest_loss));
            let scores = first.runs.iter().filter_map(highest_score);
            self.score = of_most(scores.map(|score| -score)).map(|score| -score);
            self.of = Some(first.tuned.method.clone());
        }
        self
    }
}

impl MethodReport {
    pub(super) fn of(done: &Done, target: &Target, budget: Axis) -> Self {
        let Done { tuned, runs } = done;
        let point = tuned.point.as_ref();
        let over = |number: &dyn Fn(&RunRecord) -> Option<f64>| {
            Interval::of(runs.iter().filter_map(number))
        };
        let summary = |number: fn(&Summary) -> Option<f64>| {
            over(&|run| run.summary.as_ref().and_then(number))
        };
        Self {
            method: tuned.method.clone(),
            lr: point.map(|point| point.lr),
            eps: point.and_then(|point| point.eps),
            batch_size: point.and_then(|point| point.batch_size),
            remarks: tuned.remarks.clone(),
            runs: runs.iter().map(|run| run.folder.clone()).collect(),
            stopped: runs.iter().filter(|run| !run.finished()).count(),
            forwards: over(&|run| Some(run.place(Axis::Forwards))),
            examples: over(&|run| Some(run.place(Axis::Examples))),
            tokens: over(&|run| Some(run.place(Axis::Tokens))),
            test_before: summary(Summary::before),
            test_after: summary(Summary::after),
            dev_score: over(&highest_score),
            dev_loss: over(&lowest_loss),
            mean_dev_loss: over(&|run| mean_along(run, budget)),
            to_loss: target
                .loss
                .and_then(|loss| Reached::by(runs, |eval| eval.dev_loss <= loss)),
            to_score: target.score.and_then(|score| {
                Reached::by(runs, |eval| {
                    eval.dev_score.value().is_some_and(|found| found >= score)
                })
            }),
            seconds: over(&|run| Some(run.seconds())),
            peak_memory_bytes: summary(|s| s.peak_memory_bytes.map(|bytes| bytes as f64)),
        }
    }
}

impl Reached {
    /// By the first evaluation that `is_there`; `None` if there are no runs.
    fn by(runs: &[RunRecord], is_there: impl Fn(&EvalRecord) -> bool) -> Option<Self> {
        let firsts: Vec<Option<(&RunRecord, &EvalRecord)>> = runs
            .iter()
            .map(|run| Some((run, run.evals.iter().find(|eval| is_there(eval))?)))
            .collect();
        let middle = |axis: Axis| {
            // a run that does not reach it takes longer than any that does
            let place = |(run, eval): (&RunRecord, &EvalRecord)| run.place_of_eval(axis, eval);
            let values = firsts.iter();
            let values = values.map(|first| first.map_or(f64::INFINITY, place));
            median(values.collect()).filter(|median| median.is_finite())
        };
        (!runs.is_empty()).then(|| Self {
            runs: firsts.iter().flatten().count(),
            of: runs.len(),
            forwards: middle(Axis::Forwards),
            examples: middle(Axis::Examples),
            tokens: middle(Axis::Tokens),
            seconds: middle(Axis::Seconds),
        })
    }

    /// The median along this axis.
    pub fn on(&self, axis: Axis) -> Option<f64> {
        match axis {
            Axis::Forwards => self.forwards,
            Axis::Examples => self.examples,
            Axis::Tokens => self.tokens,
            Axis::Seconds => self.seconds,
            Axis::Steps => None,
        }
    }
}

/// The lowest number that more than half of these are not above: their median, or the upper one of the two in the middle.
fn of_most(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn lowest_loss(run: &RunRecord) -> Option<f64> {
    let losses = run.evals.iter().map(|eval| eval.dev_loss);
    losses.filter(|loss| loss.is_finite()).reduce(f64::min)
}

fn highest_score(run: &RunRecord) -> Option<f64> {
    let scores = run.evals.iter().filter_map(|eval| eval.dev_score.value());
    scores.reduce(f64::max)
}

/// The mean of the loss over an axis, straight between two evaluations.
fn mean_along(run: &RunRecord, axis: Axis) -> Option<f64> {
    let finite: Vec<(f64, f64)> = run
        .evals
        .iter()
        .filter(|eval| eval.dev_loss.is_finite())
        .map(|eval| (run.place_of_eval(axis, eval), eval.dev_loss))
        .collect();
    let length = finite.last()?.0 - finite.first()?.0;
    let area: f64 = finite
        .windows(2)
        .map(|pair| (pair[1].0 - pair[0].0) * f64::midpoint(pair[0].1, pair[1].1))
        .sum();
    (length > 0.0).then(|| area / length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zograd_trainer::{DevScore, StepRecord};

    /// A run that was evaluated after so many forward passes, with these losses.
    fn run(evals: &[(u64, f64)]) -> RunRecord {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.toml"), "").expect("written");
        let mut run = RunRecord::read(folder.path()).expect("a run");
        for (step, (forwards, loss)) in evals.iter().enumerate() {
            let mut record = StepRecord::new(step as u64, vec![*loss]);
            (record.tokens, record.forwards) = (10 * forwards, *forwards);
            run.steps.push(record);
            let score = DevScore::new(Metric::Accuracy, Some(1.0 - loss));
            run.evals
                .push(EvalRecord::new(step as u64, *forwards, score, *loss));
        }
        run
    }

    fn done_of(method: &str) -> Done {
        Done {
            tuned: Tuned {
                method: method.into(),
                point: None,
                remarks: Vec::new(),
            },
            runs: Vec::new(),
        }
    }

    #[test]
    fn a_target_is_reached_at_the_first_evaluation_that_has_it() {
        let runs = [
            run(&[(0, 0.9), (100, 0.5), (200, 0.6)]),
            run(&[(0, 0.9), (100, 0.8), (200, 0.4)]),
            run(&[(0, 0.9), (100, 0.8), (200, 0.7)]),
        ];
        let done = Done {
            runs: runs.to_vec(),
            ..done_of("mezo")
        };
        let target = Target::default().completed(Some(&done));
        assert_eq!((target.loss, target.score), (Some(0.5), Some(0.5)));
        let report = MethodReport::of(&done, &target, Axis::Forwards);
        let reached = report.to_loss.expect("runs");
        assert_eq!((reached.runs, reached.of), (2, 3));
        assert_eq!(
            (reached.forwards, reached.tokens),
            (Some(200.0), Some(2000.0))
        );
        assert_eq!(report.to_score, report.to_loss);
        // of two runs both reach what most of them reach
        let two = Done {
            runs: runs[..2].to_vec(),
            ..done_of("mezo")
        };
        let target = Target::default().completed(Some(&two));
        assert_eq!((target.loss, target.score), (Some(0.5), Some(0.5)));
        assert_eq!(
            MethodReport::of(&two, &target, Axis::Forwards)
                .to_loss
                .map(|r| r.runs),
            Some(2)
        );
        // 0.7 and 0.55, 0.85 and 0.6, 0.85 and 0.75 between the evaluations
        let along = report.mean_dev_loss.expect("runs").median;
        assert!((along - 0.725).abs() < 1e-12, "{along}");
        // where the second half took nine times as long it counts nine times as much: 0.565, 0.625, 0.76
        let mut timed = runs.to_vec();
        for run in &mut timed {
            (run.evals[1].seconds, run.evals[2].seconds) = (1.0, 10.0);
        }
        let timed = Done {
            runs: timed,
            ..done_of("mezo")
        };
        let along = MethodReport::of(&timed, &target, Axis::Seconds).mean_dev_loss;
        let along = along.expect("runs").median;
        assert!((along - 0.625).abs() < 1e-12, "{along}");
        let given = Target {
            loss: Some(0.1),
            ..Target::default()
        };
        let never = MethodReport::of(&done, &given, Axis::Forwards)
            .to_loss
            .expect("runs");
        assert_eq!((never.runs, never.forwards), (0, None));
    }
}
