use crate::{
    Batches, EvalRecord, LanguageModel, Objective, Observer, Schedule, StepRecord, TrainError,
    evaluate, objective::score, peak_memory_bytes, run_step,
};
use burn::module::Module;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zograd_perturb::{NoiseBackend, Perturbed, Seed};
use zograd_select::{StepContext, Strategy};
use zograd_tasks::Prompt;

/// The largest number of examples in a batch: far beyond use, and harmless to memory.
const MAX_BATCH: usize = 1 << 16;

/// Children of the run's seed: one for the noise of the steps, one for the order of the examples.
const NOISE: u64 = 0;
const ORDER: u64 = 1;

/// The settings of a run that are not the strategy's, the model's or the data's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Number of steps.
    pub steps: u64,
    /// Learning rate.
    pub lr: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Weight decay lambda of `theta <- theta - lr (g d + lambda theta)`; biases and layer norms excepted.
    pub weight_decay: f64,
    /// Examples per step.
    pub batch_size: usize,
    /// Seed of the noise and of the order of the examples.
    pub seed: u64,
    /// Evaluate on the development examples every so many steps and after the last; 0: only then.
    pub eval_every: u64,
    /// Examples per forward in evaluations.
    pub eval_batch_size: usize,
}

impl TrainConfig {
    /// Learning rate of the step after `step` steps.
    pub fn lr_at(&self, step: u64) -> f64 {
        self.lr * self.schedule.factor(step, self.steps)
    }

    /// Whether an evaluation is due after `step` steps.
    pub fn evaluates_after(&self, step: u64) -> bool {
        step == self.steps
            || (self.eval_every > 0 && step > 0 && step.is_multiple_of(self.eval_every))
    }

    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for the first that is not.
    pub fn check(&self) -> Result<(), TrainError> {
        let require = |ok: bool, name, value: f64, fix| match ok {
            true => Ok(()),
            false => Err(TrainError::Setting {
                name,
                value: value.to_string(),
                fix,
            }),
        };
        let (lr, decay) = (self.lr, self.weight_decay);
        let nonnegative = |x: f64| x.is_finite() && x >= 0.0;
        require(
            nonnegative(lr),
            "--lr",
            lr,
            "use a number of at least 0, such as 1e-6",
        )?;
        require(
            nonnegative(decay),
            "--weight-decay",
            decay,
            "use a number of at least 0",
        )?;
        require(
            lr * decay < 1.0,
            "--weight-decay",
            decay,
            "lr * weight decay must stay below 1",
        )?;
        let at_least_one = "use at least 1";
        let sizes = [
            ("--batch-size", self.batch_size),
            ("--eval-batch-size", self.eval_batch_size),
        ];
        for (name, size) in sizes {
            require(size > 0, name, 0.0, at_least_one)?;
            require(size <= MAX_BATCH, name, size as f64, "use at most 65536")?;
        }
        Ok(())
    }
}

/// What a run learns from and is measured on.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    /// Steps draw their batches from these.
    pub train: &'a [Prompt],
    /// The best weights are those with the best accuracy on these. May be empty: then nothing is
    /// evaluated and no weights are the best.
    pub dev: &'a [Prompt],
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All steps are done.
    Finished,
    /// It was asked to stop.
    Interrupted,
}

/// Seed of the step after `step` steps of the run with this seed.
pub(crate) fn step_seed(seed: u64, step: u64) -> Seed {
    Seed::new(seed).child(NOISE).child(step)
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSummary {
    /// Steps done.
    pub steps: u64,
    /// Forward passes of training.
    pub forwards: u64,
    /// Passes over the weights.
    pub passes: u64,
    /// Tokens that went through the layers in training.
    pub tokens: u64,
    /// Steps whose update was skipped.
    pub skipped: u64,
    /// Steps that measured a slope of exactly 0: the losses were equal to the last bit, as happens when eps
    /// is too small or the number format too coarse.
    pub flat: u64,
    /// Seconds of training, evaluation not counted.
    pub seconds: f64,
    /// The best evaluation.
    pub best: Option<EvalRecord>,
    /// Why it ended.
    pub stop: StopReason,
}

impl TrainSummary {
    /// A run that has done nothing yet.
    pub fn beginning() -> Self {
        Self {
            steps: 0,
            forwards: 0,
            passes: 0,
            tokens: 0,
            skipped: 0,
            flat: 0,
            seconds: 0.0,
            best: None,
            stop: StopReason::Finished,
        }
    }

    /// A run that has done these steps and evaluations.
    pub fn after(steps: &[StepRecord], evals: &[EvalRecord]) -> Self {
        let Some(last) = steps.last() else {
            return Self::beginning();
        };
        let count =
            |which: &dyn Fn(&StepRecord) -> bool| steps.iter().filter(|s| which(s)).count() as u64;
        Self {
            steps: last.step,
            forwards: last.forwards,
            passes: last.passes,
            tokens: last.tokens,
            skipped: count(&|s| s.skipped.is_some()),
            flat: count(&|s| s.skipped.is_none() && s.projected_gradient == 0.0),
            seconds: last.seconds,
            best: evals.iter().rfind(|e| e.best).cloned(),
            stop: StopReason::Finished,
        }
    }
}

/// Trains `model` in place.
///
/// Each step takes its batch and its seed from (seed, step) alone. After every `eval_every` steps and
/// after the last one the model is evaluated on the development examples and the observer is told whether
/// it is the best so far. When `stop` becomes true the current step is finished and the run ends, to be gone
/// on with by [`train_from`].
///
/// # Errors
/// A setting out of range, no training examples, examples the model cannot score, or an error of the
/// observer.
pub fn train<B: NoiseBackend, M: Module<B> + LanguageModel>(
    model: &mut Perturbed<B, M>,
    strategy: &mut dyn Strategy,
    objective: &dyn Objective,
    examples: Examples<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer<M>,
    stop: &AtomicBool,
) -> Result<TrainSummary, TrainError> {
    let start = TrainSummary::beginning();
    train_from(
        start, model, strategy, objective, examples, config, observer, stop,
    )
}

/// [`train`], going on after the steps of `summary`: `model` and `strategy` must be where these left them.
/// It ends as a run that was never interrupted.
///
/// # Errors
/// As [`train`].
#[allow(clippy::too_many_arguments, reason = "train's, and where to start")]
pub fn train_from<B: NoiseBackend, M: Module<B> + LanguageModel>(
    mut summary: TrainSummary,
    model: &mut Perturbed<B, M>,
    strategy: &mut dyn Strategy,
    objective: &dyn Objective,
    examples: Examples<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer<M>,
    stop: &AtomicBool,
) -> Result<TrainSummary, TrainError> {
    config.check()?;
    if examples.train.is_empty() {
        return Err(TrainError::NoExamples("training"));
    }
    let seed = Seed::new(config.seed);
    let batches = Batches::new(seed.child(ORDER), examples.train.len(), config.batch_size);
    let dimension = model.space().dimension() as f64;
    let passes_before = model.passes();
    let passes_started = summary.passes;
    let seconds_before = summary.seconds;
    let mut training = Duration::ZERO;
    while summary.steps < config.steps && summary.stop == StopReason::Finished {
        let start = Instant::now();
        let step = summary.steps;
        let batch = batches.at(step);
        let batch: Vec<&Prompt> = batch.into_iter().map(|i| &examples.train[i]).collect();
        let context = StepContext {
            step,
            seed: step_seed(config.seed, step),
            eps: model.eps(),
        };
        let lr = config.lr_at(step);
        let tokens = &mut summary.tokens;
        let report = run_step(strategy, &context, model, lr, config.weight_decay, |m| {
            let (scored, stats) = score(m, &batch, |p| objective.candidates(p))?;
            *tokens += stats.tokens as u64;
            Ok(objective.loss(&scored))
        })?;
        training += start.elapsed();
        summary.steps += 1;
        summary.forwards += report.evaluations.len() as u64;
        summary.skipped += u64::from(report.skipped.is_some());
        let flat = report.skipped.is_none() && report.projected_gradient == 0.0;
        summary.flat += u64::from(flat);
        summary.passes = passes_started + model.passes() - passes_before;
        summary.seconds = seconds_before + training.as_secs_f64();
        let losses: Vec<f64> = report.evaluations.iter().map(|e| e.loss).collect();
        observer.on_step(&StepRecord {
            step: summary.steps,
            loss: losses.iter().sum::<f64>() / losses.len() as f64,
            losses,
            projected_gradient: report.projected_gradient,
            // + 0.0: an empty sum is -0.0
            update_norm: lr * (dimension * report.direction.norm_squared()).sqrt() + 0.0,
            lr,
            forwards: summary.forwards,
            tokens: summary.tokens,
            seconds: summary.seconds,
            passes: summary.passes,
            peak_memory_bytes: peak_memory_bytes(),
            skipped: report.skipped,
            weight_decay: config.weight_decay,
            update: report.direction,
        })?;
        if stop.load(Ordering::Relaxed) {
            summary.stop = StopReason::Interrupted;
        }
        if config.evaluates_after(summary.steps) && !examples.dev.is_empty() {
            evaluate_dev(model.module(), examples.dev, config, observer, &mut summary)?;
        }
    }
    Ok(summary)
}

fn evaluate_dev<M: LanguageModel>(
    model: &M,
    dev: &[Prompt],
    config: &TrainConfig,
    observer: &mut dyn Observer<M>,
    summary: &mut TrainSummary,
) -> Result<(), TrainError> {
    let start = Instant::now();
    let evaluation = evaluate(model, dev, config.eval_batch_size, |_| ())?;
    let rank = |accuracy: f64, loss: f64| (accuracy, -loss);
    let this = rank(evaluation.accuracy, evaluation.loss);
    let record = EvalRecord {
        step: summary.steps,
        forwards: summary.forwards,
        dev_accuracy: evaluation.accuracy,
        dev_loss: evaluation.loss,
        best: evaluation.loss.is_finite()
            && match &summary.best {
                Some(best) => this > rank(best.dev_accuracy, best.dev_loss),
                None => true,
            },
        seconds: start.elapsed().as_secs_f64(),
    };
    observer.on_eval(&record, model)?;
    if record.best {
        summary.best = Some(record);
    }
    Ok(())
}
