//! What came out of a point and of its runs.

use super::Spread;
use super::plan::Point;
use crate::folder::{OUTGROWN, RunRecord, Summary};
use serde::Serialize;
use std::path::PathBuf;
use zograd_files::MAX_SMALL_BYTES;
use zograd_tasks::metrics::Metric;
use zograd_trainer::{Event, Gain, StepRecord, StopReason};

/// A rise of the loss by less than this share is no divergence.
const RISE: f64 = 0.05;
/// A loss this many times that of the start has exploded, however few steps there are.
const EXPLODED: f64 = 2.0;
/// So many standard errors make a rise more than noise.
const SURE: f64 = 3.0;

/// What came out of a run of a point.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Its seed.
    pub seed: u64,
    /// Steps done.
    pub steps: u64,
    /// Forward passes of training.
    pub forwards: u64,
    /// Mean training loss of the first tenth of the steps.
    pub first_loss: Option<f64>,
    /// Mean training loss of the last tenth.
    pub last_loss: Option<f64>,
    /// What the scores are.
    pub metric: Option<Metric>,
    /// The best score on the development examples.
    pub dev_score: Option<f64>,
    /// The loss on them there, in nats an example.
    pub dev_loss: Option<f64>,
    /// How many there are.
    pub dev_examples: usize,
    /// The step that it was found after; 0: the untuned model has it.
    pub best_step: Option<u64>,
    /// Score of the best weights on the test examples.
    pub test_score: Option<f64>,
    /// What was gained over the model it began with.
    pub gain: Option<Gain>,
    /// Why it counts as diverged, if it does.
    pub diverged: Option<String>,
    /// Seconds of training.
    pub seconds: f64,
    /// Its folder.
    pub run: PathBuf,
}

/// What came out of a point: of its runs, one a seed, mean and spread.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The method.
    pub method: String,
    /// The learning rate.
    pub lr: f64,
    /// The perturbation scale; gradient methods have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// The batch size, if it is varied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u64>,
    /// Steps done, of all runs together.
    pub steps: u64,
    /// Forward passes of training, of all runs together.
    pub forwards: u64,
    /// Mean training loss of the first tenth of the steps.
    pub first_loss: Option<f64>,
    /// Mean training loss of the last tenth.
    pub last_loss: Option<f64>,
    /// What the scores are.
    pub metric: Option<Metric>,
    /// The best score on the development examples, from 0 to 1.
    pub dev_score: Option<Spread>,
    /// The loss on them there, in nats an example.
    pub dev_loss: Option<Spread>,
    /// How many there are in a run.
    pub dev_examples: usize,
    /// Score of the best weights on the test examples, from 0 to 1.
    pub test_score: Option<Spread>,
    /// Why it counts as diverged, if one of its runs does.
    pub diverged: Option<String>,
    /// Seconds of training, of all runs together.
    pub seconds: f64,
    /// Its runs.
    pub runs: Vec<RunOutcome>,
}

impl RunOutcome {
    /// The outcome of the run with this seed.
    pub fn of(seed: u64, run: &RunRecord) -> Self {
        let ends = ends(run);
        let summary = run.summary.as_ref();
        Self {
            seed,
            steps: run.steps.len() as u64,
            forwards: run.forwards(),
            first_loss: ends.map(|(first, _)| first.mean),
            last_loss: ends.map(|(_, last)| last.mean),
            metric: run.metric(),
            dev_score: run.best().and_then(|best| best.dev_score.value()),
            dev_loss: run.best().map(|best| best.dev_loss),
            dev_examples: summary.map_or(0, |s| s.counts.dev.got),
            best_step: run.best().map(|best| best.step),
            test_score: summary.and_then(Summary::after),
            gain: summary.and_then(|s| s.gain),
            diverged: diverged(run),
            seconds: run.seconds(),
            run: run.folder.clone(),
        }
    }

    /// Whether it ended worse than it began, and was never better.
    fn ended_worse(&self) -> bool {
        let is_worse = matches!(self.gain, Some(Gain::Worse | Gain::BlewUp));
        is_worse && self.best_step == Some(0)
    }
}

impl Outcome {
    /// The outcome of `point`, from all its runs.
    pub fn of(point: &Point, runs: Vec<RunOutcome>) -> Self {
        let spread =
            |number: fn(&RunOutcome) -> Option<f64>| Spread::of(runs.iter().filter_map(number));
        let mean = |number| spread(number).map(|spread| spread.mean);
        let lost = runs
            .iter()
            .find_map(|run| Some((run.seed, run.diverged.as_ref()?)));
        let diverged = lost.map(|(seed, why)| match runs.len() {
            1 => why.clone(),
            _ => format!("{why} (seed {seed})"),
        });
        Self {
            method: point.method.clone(),
            lr: point.lr,
            eps: point.eps,
            batch_size: point.batch_size,
            steps: runs.iter().map(|run| run.steps).sum(),
            forwards: runs.iter().map(|run| run.forwards).sum(),
            first_loss: mean(|run| run.first_loss),
            last_loss: mean(|run| run.last_loss),
            metric: runs.iter().find_map(|run| run.metric),
            dev_score: spread(|run| run.dev_score),
            dev_loss: spread(|run| run.dev_loss),
            dev_examples: runs.first().map_or(0, |run| run.dev_examples),
            test_score: spread(|run| run.test_score),
            diverged,
            seconds: runs.iter().map(|run| run.seconds).sum(),
            runs,
        }
    }
}

impl Outcome {
    /// Whether none of its runs is better than the model it began with.
    pub(super) fn learnt_nothing(&self) -> bool {
        let nothing = |run: &RunOutcome| run.gain == Some(Gain::Nothing) || run.ended_worse();
        !self.runs.is_empty() && self.runs.iter().all(nothing)
    }

    /// Whether one of its runs ended worse than it began, and was never better.
    pub(super) fn ended_worse(&self) -> bool {
        self.runs.iter().any(RunOutcome::ended_worse)
    }
}

/// The losses of the first and of the last tenth of the steps.
fn ends(run: &RunRecord) -> Option<(Spread, Spread)> {
    let tenth = run.steps.len().div_ceil(10);
    let finite = |steps: &[StepRecord]| {
        Spread::of(steps.iter().map(|s| s.loss).filter(|loss| loss.is_finite()))
    };
    let (first, last) = (
        run.steps.get(..tenth)?,
        run.steps.get(run.steps.len() - tenth..)?,
    );
    Some((finite(first)?, finite(last)?))
}

/// Whether a run went the wrong way: a guard stopped it or left out an update, a loss is not finite, or the loss
/// is higher in the last tenth of the steps than in the first, or than at the very start, by more than noise.
fn diverged(run: &RunRecord) -> Option<String> {
    if let Ok(why) = zograd_files::read_text(&run.folder.join(OUTGROWN), MAX_SMALL_BYTES) {
        return Some(why.trim().to_owned());
    }
    let stopped = run.summary.as_ref().map(|s| s.stop) == Some(StopReason::Guard);
    let skipped = run.steps.iter().find(|step| step.skipped.is_some());
    if let Some(step) = skipped.or(run.steps.last().filter(|_| stopped)) {
        let event = step.event.map_or("update skipped", Event::name);
        return Some(format!("{event} in step {}", step.step));
    }
    let broken = |s: &&StepRecord| !s.loss.is_finite();
    if let Some(step) = run.steps.iter().find(broken) {
        return Some(format!("loss not finite in step {}", step.step));
    }
    if let Some(eval) = run.evals.iter().find(|eval| !eval.dev_loss.is_finite()) {
        return Some(format!(
            "development loss not finite after step {}",
            eval.step
        ));
    }
    let (first, last) = ends(run)?;
    let variance = |s: &Spread| Some(s.standard_deviation?.powi(2) / s.runs as f64);
    // a tenth of one step says nothing of the noise, and then a rise says nothing either
    let noise = variance(&first).zip(variance(&last));
    let noise = noise.map(|(first, last)| SURE * (first + last).sqrt());
    let rose =
        noise.is_some_and(|noise| last.mean - first.mean > noise.max(RISE * first.mean.abs()));
    let start = run.steps.first().map_or(first.low, |step| step.loss);
    let development = match (run.evals.first(), run.evals.last()) {
        (Some(before), Some(after)) if before.step == 0 && after.step == run.steps.len() as u64 => {
            Some((before.dev_loss, after.dev_loss))
        }
        _ => None,
    };
    // a few batches at either end are a poor measure of their own noise; development rows have none
    let stayed = development.is_some_and(|(before, after)| after - before <= RISE * before.abs());
    if rose && !stayed {
        let from = first.mean.min(start);
        return Some(format!("loss rose from {from:.3} to {:.3}", last.mean));
    }
    // a run that explodes within the first tenth does not rise from there on; where development rows were looked at before
    // and after, they say so without the noise of a batch
    let (name, from, to) = match development {
        Some((before, after)) => ("development loss", before, after),
        None => ("loss", start.max(first.low), last.mean),
    };
    has_exploded(from, to).then(|| format!("{name} rose from {from:.3} to {to:.3}"))
}

/// Losses may be below zero, as rewards are, and nothing is many times as much as zero.
fn has_exploded(from: f64, to: f64) -> bool {
    from != 0.0 && to - from > (EXPLODED - 1.0) * from.abs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::metrics;

    fn run(losses: impl Iterator<Item = f64>) -> RunRecord {
        let lines: Vec<String> = losses
            .enumerate()
            .map(|(i, loss)| {
                let loss = serde_json::to_string(&loss).expect("JSON");
                format!(
                    "{{\"kind\":\"step\",\"step\":{},\"loss\":{loss},\"losses\":[],\"projected_gradient\":0.1,\
                     \"update_norm\":0.1,\"lr\":1e-5,\"forwards\":2,\"tokens\":1,\"seconds\":0.1,\"passes\":3,\
                     \"peak_memory_bytes\":null}}\n",
                    i + 1
                )
            })
            .collect();
        let steps = metrics::lines(lines.concat().as_bytes())
            .map(|(line, _)| match line {
                metrics::Line::Step(step) => step,
                metrics::Line::Eval(_) => unreachable!("only steps were written"),
            })
            .collect();
        RunRecord {
            folder: "run".into(),
            settings: toml::Table::new(),
            steps,
            evals: Vec::new(),
            summary: None,
            environments: Vec::new(),
        }
    }

    /// Noise of a batch's loss: the same zigzag for all.
    fn noise(i: u32) -> f64 {
        0.1 * f64::from((i * 7919) % 13) / 13.0
    }

    #[test]
    fn a_rise_is_told_from_noise() {
        let flat = run((0..100).map(|i| 0.7 + noise(i)));
        assert_eq!(diverged(&flat), None);
        let falling = run((0..100).map(|i| 0.7 - 0.004 * f64::from(i) + noise(i)));
        assert_eq!(diverged(&falling), None);
        let rising = run((0..100).map(|i| 0.7 + 0.004 * f64::from(i) + noise(i)));
        assert!(diverged(&rising).expect("it rose").contains("rose from 0."));
        // up within three steps, and flat from there on
        let exploded = run((0..100).map(|i| if i < 3 { 0.7 } else { 9.0 + noise(i) }));
        assert!(diverged(&exploded).is_some());
        // rewards are losses below zero
        let better = run((0..100).map(|i| -0.51 - 0.004 * f64::from(i)));
        assert_eq!(diverged(&better), None);
        let worse = run((0..100).map(|i| -0.9 + 0.005 * f64::from(i)));
        assert!(diverged(&worse).is_some());
        // a first batch without an error
        let zero = run([0.0, 0.25, 0.125].into_iter());
        assert_eq!(diverged(&zero), None);
        // of a few steps nobody can tell, unless they explode
        let few = run([0.62, 0.7, 0.75].into_iter());
        assert_eq!(diverged(&few), None);
        let few = run([0.62, 0.7, 1.75].into_iter());
        assert!(diverged(&few).is_some());
        let broken = run((0..100).map(|i| if i == 41 { f64::NAN } else { 0.7 }));
        assert_eq!(
            diverged(&broken).as_deref(),
            Some("loss not finite in step 42")
        );
    }

    /// Two batches at either end are a poor measure of their own noise: development rows that stayed say that nothing rose.
    #[test]
    fn development_rows_outvote_a_few_batches() {
        let losses = [
            0.52, 0.53, 0.55, 0.54, 0.55, 0.56, 0.53, 0.55, 0.54, 0.56, 0.6, 0.61,
        ];
        let with = |dev: Option<[f64; 2]>| {
            let mut run = run(losses.into_iter());
            for (step, dev) in [0, losses.len()].into_iter().zip(dev.into_iter().flatten()) {
                let line = format!(
                    "{{\"kind\":\"eval\",\"step\":{step},\"forwards\":1,\"dev_accuracy\":0.5,\"dev_loss\":{dev},\"drift\":0.0,\
                     \"best\":false,\"seconds\":0.1,\"eval_seconds\":0.1}}\n"
                );
                let found = metrics::lines(line.as_bytes());
                run.evals.extend(found.filter_map(|(line, _)| match line {
                    metrics::Line::Eval(eval) => Some(eval.record),
                    metrics::Line::Step(_) => None,
                }));
            }
            assert_eq!(run.evals.len(), dev.map_or(0, |_| 2));
            diverged(&run)
        };
        assert!(with(None).is_some());
        assert_eq!(with(Some([0.7232, 0.7232])), None);
        assert!(with(Some([0.7232, 0.8])).is_some());
    }
}
