use super::{
    BestBy, Examples, Spent, StopReason, TrainConfig, TrainState, TrainSummary, batches_of,
};
use crate::{
    DevScore, EvalRecord, LanguageModel, Objective, Observer, Silent, StepRecord, TrainError,
    bias_examples, evaluate_loss, evaluate_on, option_biases, peak_memory_bytes,
};
use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zograd_models::interruptible;
use zograd_ranks::Ranks;
use zograd_tasks::Prompt;

/// The course of a run, whatever makes its steps: batches, records, stops and evaluations.
pub(crate) struct Course<'a, M> {
    pub(crate) objective: &'a dyn Objective,
    pub(crate) examples: Examples<'a>,
    pub(crate) config: &'a TrainConfig,
    pub(crate) observer: Box<dyn Observer<M> + 'a>,
    pub(crate) stop: Option<&'a AtomicBool>,
    /// Those that share the run, on all of which it takes the same course.
    pub(crate) ranks: Option<&'a Ranks>,
    pub(crate) state: TrainState,
}

/// What makes the steps of a run.
pub(crate) trait Stepper<M: Clone> {
    /// Makes the next step after those of `state`, on `batch`. It may be given up when the run is asked to stop, with
    /// [`TrainError::Stopped`]: then the model is what it was before.
    fn step(&mut self, state: &TrainState, batch: &[&Prompt]) -> Result<Done, TrainError>;

    /// What has to be done between the step of `record`, which was told, and an evaluation or the next step. Returns
    /// how far rounding has put the weights, if that was measured.
    fn settle(&mut self, record: &StepRecord) -> Result<Option<f64>, TrainError>;

    /// The model as it is evaluated.
    fn model(&self) -> Cow<'_, M>;
}

/// What a step did.
pub(crate) struct Done {
    /// Its record, with the forwards, tokens and passes of this step alone.
    pub(crate) record: StepRecord,
    /// Whether the guards end the run with it.
    pub(crate) stops: bool,
}

impl<'a, M: LanguageModel + Clone> Course<'a, M> {
    pub(crate) fn new(
        objective: &'a dyn Objective,
        examples: Examples<'a>,
        config: &'a TrainConfig,
    ) -> Self {
        Self {
            objective,
            examples,
            config,
            observer: Box::new(Silent),
            stop: None,
            ranks: None,
            state: TrainState::beginning(),
        }
    }

    /// Refuses settings out of their range, and runs without examples.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.config.check()?;
        self.examples.check()
    }

    /// Makes all steps that are left. A run that begins is evaluated before its first step: the untuned model is the
    /// best until another is better.
    pub(crate) fn run(mut self, stepper: &mut impl Stepper<M>) -> Result<TrainSummary, TrainError> {
        let (config, examples) = (self.config, self.examples);
        let mut batches = batches_of(config, examples);
        let seconds_before = self.state.summary().seconds;
        let mut training = Duration::ZERO;
        if self.state.summary().steps == 0 && !examples.dev.is_empty() {
            self.evaluate(&stepper.model(), None)?;
        }
        while !self.is_over() {
            let start = Instant::now();
            let batch = batches.at(self.state.summary().steps);
            let batch: Vec<&Prompt> = batch.into_iter().map(|i| &examples.train[i]).collect();
            let done = match stepper.step(&self.state, &batch) {
                Err(TrainError::Stopped) => {
                    self.state.summary_mut().stop = StopReason::Interrupted;
                    break;
                }
                other => other?,
            };
            training += start.elapsed();
            let before = Spent::by(self.state.summary());
            let record = self.summed(done.record, seconds_before + training.as_secs_f64());
            self.state.count(&record);
            self.observer.on_step(&record)?;
            self.note_stop(done.stops);
            let drift = stepper.settle(&record)?;
            let with = Spent::by(self.state.summary());
            if config.evaluates_with(record.step, before, with) && !examples.dev.is_empty() {
                self.evaluate(&stepper.model(), drift)?;
            }
        }
        self.observer
            .on_end(self.state.summary(), &stepper.model())?;
        Ok(self.state.into_summary())
    }

    fn is_over(&mut self) -> bool {
        let (steps, patience) = (self.config.steps, self.config.patience);
        let is_spent = self.is_spent();
        let summary = self.state.summary_mut();
        let is_left = summary.steps < steps && summary.stop == StopReason::Finished;
        if is_left && patience > 0 && summary.stale >= patience {
            summary.stop = StopReason::Patience;
        }
        if is_left && is_spent {
            summary.stop = StopReason::Budget;
        }
        summary.steps >= steps || summary.stop != StopReason::Finished
    }

    /// Whether as much is spent as the run may.
    fn is_spent(&self) -> bool {
        let limit = self.config.limit.as_ref();
        limit.is_some_and(|limit| limit.is_reached(Spent::by(self.state.summary())))
    }

    /// The record of a step with the sums of the whole run.
    fn summed(&self, mut record: StepRecord, seconds: f64) -> StepRecord {
        let before = self.state.summary();
        record.forwards += before.forwards;
        record.tokens += before.tokens;
        record.passes += before.passes;
        record.seconds = seconds;
        record.peak_memory_bytes = peak_memory_bytes();
        record.weight_decay = self.config.weight_decay;
        record
    }

    /// Whether the run ends here: because of a guard, or because it is asked to.
    fn note_stop(&mut self, guard: bool) {
        let summary = self.state.summary_mut();
        if guard {
            summary.stop = StopReason::Guard;
        }
        if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            summary.stop = StopReason::Interrupted;
        }
    }

    fn evaluate(&mut self, model: &M, drift: Option<f64>) -> Result<(), TrainError> {
        let start = Instant::now();
        let (dev, scoring) = (self.examples.dev, self.examples.scoring);
        let goes_on = |_| match self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let alone = Ranks::alone();
        let ranks = self.ranks.unwrap_or(&alone);
        let (config, steps) = (self.config, self.state.summary().steps);
        let batch_size = config.eval_batch_size;
        let is_last = config.ends_after(steps, Spent::by(self.state.summary()));
        let by_loss = config.best_by == BestBy::Loss && !is_last;
        let mut biases = Vec::new();
        let mut measuring = || match scoring.writer() {
            // nobody asks for the score, and answers take long to write
            Some(_) if by_loss && scoring.reward().is_none() => {
                evaluate_loss(ranks, model, dev, batch_size, goes_on).map(|loss| (None, loss))
            }
            _ => {
                if self.objective.is_calibrated() {
                    let some = bias_examples(self.examples.train, config.seed);
                    biases = option_biases(ranks, model, &some, batch_size, goes_on)?;
                }
                let scoring = scoring.clone().with_biases(biases.clone());
                evaluate_on(ranks, model, dev, &scoring, batch_size, goes_on)
                    .map(|found| (Some(found.score), found.loss))
            }
        };
        let measured = match self.stop {
            Some(stop) => interruptible(stop, measuring),
            None => measuring(),
        };
        let (score, loss) = match measured {
            // without its evaluation the step is not whole: a resumed run makes both again
            Err(TrainError::Stopped) => {
                self.state.summary_mut().stop = StopReason::Interrupted;
                return Ok(());
            }
            other => other?,
        };
        let summary = self.state.summary();
        let score = DevScore::new(scoring.metric(), score);
        let mut record = EvalRecord::new(steps, summary.forwards, score, loss);
        record.drift = drift;
        record.option_biases = biases;
        record.best = config.best_by.prefers(&record, summary.best.as_ref());
        record.seconds = summary.seconds;
        record.eval_seconds = start.elapsed().as_secs_f64();
        self.observer.on_eval(&record, model)?;
        self.state.summary_mut().take_up(&record);
        Ok(())
    }
}
