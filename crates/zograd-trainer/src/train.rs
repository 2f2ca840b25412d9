use crate::{
    Batches, DevScore, EvalRecord, Event, Guards, LanguageModel, Monitor, Objective, Observer,
    Policy, Schedule, Scoring, StepRecord, TrainError, Verdict, evaluate, measure_each,
    peak_memory_bytes, run_judged_step,
};
use burn::module::Module;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zograd_perturb::{NoiseBackend, Perturbed, Seed};
use zograd_select::{Evaluation, StepContext, Strategy, Update};
use zograd_tasks::Prompt;

/// The largest number of examples in a batch: far beyond use, and harmless to memory.
const MAX_BATCH: usize = 1 << 16;

/// Children of the run's seed: one for the noise of the steps, one for the order of the examples.
const NOISE: u64 = 0;
pub(crate) const ORDER: u64 = 1;

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
    /// Bring 16-bit weights with an anchor back to their originals every so many steps, and before every evaluation;
    /// 0: no anchor.
    #[serde(default)]
    pub anchor_every: u64,
    /// What is done about steps that are not as they should be.
    #[serde(default)]
    pub guards: Guards,
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

    /// Whether weights with an anchor are brought back to their originals after `step` steps.
    pub fn anchors_after(&self, step: u64) -> bool {
        self.anchor_every > 0
            && (self.evaluates_after(step) || (step > 0 && step.is_multiple_of(self.anchor_every)))
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
    /// The best weights are those with the best score on these. May be empty: then nothing is
    /// evaluated and no weights are the best.
    pub dev: &'a [Prompt],
    /// How predictions are made and scored.
    pub scoring: &'a Scoring,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// All steps are done.
    Finished,
    /// It was asked to stop.
    Interrupted,
    /// A guard stopped it.
    Guard,
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
    /// Forward passes of training; a backward pass counts as two.
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
    /// What was not as it should be, and how often.
    #[serde(default)]
    pub events: BTreeMap<Event, u64>,
    /// What is usual in this run.
    #[serde(skip)]
    pub monitor: Monitor,
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
            events: BTreeMap::new(),
            monitor: Monitor::default(),
            seconds: 0.0,
            best: None,
            stop: StopReason::Finished,
        }
    }

    /// A run that has done these steps and evaluations.
    pub fn after(steps: &[StepRecord], evals: &[EvalRecord]) -> Self {
        let mut summary = Self::beginning();
        for step in steps {
            summary.count(step);
        }
        summary.best = evals.iter().rfind(|e| e.best).cloned();
        summary
    }

    /// Takes up one more step.
    pub(crate) fn count(&mut self, step: &StepRecord) {
        self.steps = step.step;
        self.forwards = step.forwards;
        self.passes = step.passes;
        self.tokens = step.tokens;
        self.seconds = step.seconds;
        self.skipped += u64::from(step.skipped.is_some());
        self.flat += u64::from(step.event == Some(Event::FlatLoss));
        if let Some(event) = step.event {
            *self.events.entry(event).or_default() += 1;
        }
        self.monitor.observe(step);
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
    let at_once = model.module().at_once(model.space());
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
        let evaluates = config.evaluates_after(step + 1) && !examples.dev.is_empty();
        let anchors = config.anchors_after(step + 1);
        // an anchor measures the drift itself
        let before = (evaluates && !anchors).then(|| model.sample());
        let mut tokens = summary.tokens;
        let (mut event, mut stopped) = (None, false);
        let losses = |models: &[M]| {
            let writer = examples.scoring.writer();
            let measured = measure_each(models, &batch, objective, writer)?;
            tokens += measured.iter().map(|(_, run)| *run as u64).sum::<u64>();
            let scored = measured.iter().map(|(scored, _)| scored);
            Ok(scored.map(|scored| objective.loss(scored)).collect())
        };
        let monitor = &summary.monitor;
        let judge = |evaluations: &[Evaluation], update: &Update| {
            let slope = update.projected_gradient;
            let Some((what, factor)) = monitor.judge(mean(evaluations), slope, context.eps) else {
                return Verdict::Apply(1.0);
            };
            event = Some(what);
            let (verdict, stops) = monitor.verdict(what, factor, config.guards.policy(what));
            stopped = stops;
            verdict
        };
        let report = run_judged_step(
            strategy,
            &context,
            model,
            lr,
            config.weight_decay,
            at_once,
            losses,
            judge,
        )?;
        training += start.elapsed();
        if let Some(reason) = report.skipped
            && event.is_none()
        {
            let what = Event::of_skip(reason);
            event = Some(what);
            stopped = config.guards.policy(what) == Policy::Stop;
        }
        let record = StepRecord {
            step: step + 1,
            loss: mean(&report.evaluations),
            losses: report.evaluations.iter().map(|e| e.loss).collect(),
            projected_gradient: report.projected_gradient,
            // + 0.0: an empty sum is -0.0
            update_norm: Some(
                report.lr * (dimension * report.direction.norm_squared()).sqrt() + 0.0,
            ),
            lr: report.lr,
            forwards: summary.forwards + report.evaluations.len() as u64,
            tokens,
            seconds: seconds_before + training.as_secs_f64(),
            passes: passes_started + model.passes() - passes_before,
            peak_memory_bytes: peak_memory_bytes(),
            skipped: report.skipped,
            event,
            weight_decay: config.weight_decay,
            update: report.direction,
        };
        summary.count(&record);
        observer.on_step(&record)?;
        if stopped {
            summary.stop = StopReason::Guard;
        }
        if stop.load(Ordering::Relaxed) {
            summary.stop = StopReason::Interrupted;
        }
        let mut drift = None;
        if anchors {
            drift = model.reanchor()?;
        }
        if let Some(before) = before {
            let (direction, decay) = (&record.update, applied_decay(&record));
            drift = Some(model.drift_since(&before, direction, record.lr, decay)?);
        }
        if evaluates {
            model.check_range()?;
            evaluate_dev(
                model.module(),
                examples,
                config,
                observer,
                &mut summary,
                drift,
            )?;
        }
    }
    Ok(summary)
}

/// The mean of the losses.
fn mean(evaluations: &[Evaluation]) -> f64 {
    evaluations.iter().map(|e| e.loss).sum::<f64>() / evaluations.len() as f64
}

/// The decay that the step applied: none if it was skipped.
fn applied_decay(record: &StepRecord) -> f64 {
    match record.skipped {
        Some(_) => 0.0,
        None => record.weight_decay,
    }
}

pub(crate) fn evaluate_dev<M: LanguageModel>(
    model: &M,
    examples: Examples<'_>,
    config: &TrainConfig,
    observer: &mut dyn Observer<M>,
    summary: &mut TrainSummary,
    drift: Option<f64>,
) -> Result<(), TrainError> {
    let start = Instant::now();
    let (dev, scoring) = (examples.dev, examples.scoring);
    let evaluation = evaluate(model, dev, scoring, config.eval_batch_size, |_| ())?;
    let rank = |score: f64, loss: f64| (score, -loss);
    let this = rank(evaluation.score, evaluation.loss);
    let record = EvalRecord {
        step: summary.steps,
        forwards: summary.forwards,
        dev_score: DevScore::new(evaluation.metric, evaluation.score),
        dev_loss: evaluation.loss,
        drift,
        best: evaluation.loss.is_finite()
            && match &summary.best {
                Some(best) => this > rank(best.dev_score.value(), best.dev_loss),
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
