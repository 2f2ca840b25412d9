//! The steps of a run by forward passes.

use super::{
    Done, Examples, Informant, Stepper, TrainConfig, TrainState, answer_seed, informant, step_seed,
};
use crate::measure::Questions;
use crate::prober::{GivenUp, Jointly, Portion};
use crate::trajectory::Record;
use crate::{
    LanguageModel, Loss, Objective, OnRanks, Prober, Rule, Ruling, Stacked, Standing, StepRecord,
    StepReport, TrainError, Verdict, Walking, losses_by_example, run_judged_step,
};
use burn::module::Module;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::AtomicBool;
use zograd_models::Still;
use zograd_perturb::{AppliedUpdate, Direction, Excerpt, NoiseBackend, Perturbed, Resolution};
use zograd_ranks::Ranks;
use zograd_select::{StepContext, Strategy, Told, Update};
use zograd_tasks::Prompt;

/// What has to be known of some examples, and the memory of the calls that ask for it.
struct Asked<'a, 'p, B: NoiseBackend> {
    examples: Range<usize>,
    questions: Questions<'a, 'p>,
    still: Still<B>,
}

/// Steps by forward passes.
pub(super) struct Steps<'a, 'm, B: NoiseBackend, M: Module<B>> {
    pub(super) strategy: &'a mut dyn Strategy,
    /// What knows a better direction for the first candidate, if something does.
    pub(super) informant: Option<&'a dyn Informant<M>>,
    pub(super) objective: &'a dyn Objective,
    pub(super) examples: Examples<'a>,
    pub(super) config: &'a TrainConfig,
    pub(super) model: &'m mut Perturbed<B, M>,
    /// Those that share the losses, if there are several.
    pub(super) ranks: Option<&'a Ranks>,
    /// Probes that are scored together.
    pub(super) at_once: usize,
    /// What a step is given up for.
    pub(super) stop: Option<&'a AtomicBool>,
    /// Whether the weights stand still meanwhile.
    pub(super) stands: bool,
    /// Passes over the weights up to the last step.
    pub(super) passes: u64,
    /// Some of the weights before the last step, where their drift is measured.
    pub(super) before: Option<Excerpt>,
    /// How finely the weights can be moved, if they are on grids.
    pub(super) resolution: Option<Resolution>,
}

impl<B: NoiseBackend, M: Module<B> + LanguageModel<Backend = B>> Steps<'_, '_, B, M> {
    /// Whether weights with an anchor are brought back to it after `step` steps, where it measures the drift itself.
    fn samples_before(&self, step: u64) -> bool {
        self.examples.evaluates_after(step, self.config) && !self.config.anchors_after(step)
    }

    /// Refuses a method whose examples have directions of their own where these cannot be looked at.
    pub(super) fn check_per_example(&self) -> Result<(), TrainError> {
        let missing = if !self.stands {
            "weights that stand still while losses are found: no adapter, and no answers in the model's own words"
        } else if self.ranks.is_some() {
            "all examples in one process"
        } else if self.informant.is_some() {
            "candidates that are noise (no `informed`)"
        } else if self.objective.is_calibrated() {
            "losses of single examples (no `calibrate`)"
        } else {
            return Ok(());
        };
        match self.strategy.is_per_example() {
            true => Err(TrainError::PerExample(missing)),
            false => Ok(()),
        }
    }

    /// The next step, judged by the guards.
    fn judged(&mut self, state: &TrainState, batch: &[&Prompt]) -> Result<StepReport, TrainError> {
        let (step, monitor, eps) = (state.summary().steps, state.monitor(), self.model.eps());
        let rule = Rule::new(self.config.lr_at(step), self.config.weight_decay);
        let (guards, resolution) = (&self.config.guards, self.resolution.clone());
        self.probe(step, rule, batch, |evaluations, update| {
            let losses = evaluations.iter().map(|e| e.loss);
            let loss = losses.sum::<f64>() / evaluations.len() as f64;
            let arriving = resolution.as_ref().map_or(1.0, |resolution| {
                resolution.arriving(&update.direction, rule.lr)
            });
            guards.judge(monitor, loss, update.projected_gradient, eps, arriving)
        })
    }

    /// Makes a step again that a run made on this batch.
    pub(super) fn repeat(&mut self, record: &Record, batch: &[&Prompt]) -> Result<(), TrainError> {
        let rule = Rule::new(record.lr, record.weight_decay);
        let step = record.step.saturating_sub(1);
        let report = self.probe(step, rule, batch, |_, _| match record.skipped {
            Some(reason) => Ruling {
                verdict: Verdict::Skip(reason),
                ..Ruling::default()
            },
            None => Ruling::default(),
        })?;
        let found = report.evaluations.iter().map(|e| e.loss);
        let mut pairs = found.zip(&record.losses);
        match pairs.find(|(found, logged)| found.to_bits() != logged.to_bits()) {
            Some((found, logged)) => Err(TrainError::OtherLoss {
                step: record.step,
                logged: *logged,
                found,
            }),
            None if report.evaluations.len() != record.losses.len()
                || report.direction != record.update
                || report.skipped != record.skipped =>
            {
                Err(TrainError::OtherStep { step: record.step })
            }
            None => Ok(()),
        }
    }

    /// Has the first candidate of a step be what the informant knows, if there is one; tokens that went through the layers
    /// for it.
    fn inform(&mut self, context: &StepContext, batch: &[&Prompt]) -> Result<u64, TrainError> {
        let Some(informant) = self.informant else {
            return Ok(0);
        };
        // before there is another direction, the one of the step before goes
        self.model.begin(context.step)?;
        let found = informant.direction(self.model.module(), batch, self.stop)?;
        if let Some(direction) = found.direction {
            let seed = informant::seed(context);
            self.model.inform(context.step, seed, direction)?;
        }
        Ok(found.tokens)
    }

    /// The step after `step` others, whose update `judge` may shorten or veto.
    fn probe(
        &mut self,
        step: u64,
        rule: Rule,
        batch: &[&Prompt],
        judge: impl FnOnce(&[Told], &Update) -> Ruling,
    ) -> Result<StepReport, TrainError> {
        let (objective, config) = (self.objective, self.config);
        let examples = match self.strategy.is_per_example() {
            true => batch.len(),
            false => 1,
        };
        let context = StepContext::new(step, step_seed(config.seed, step), self.model.eps())
            .with_examples(examples);
        let tokens = self.inform(&context, batch)?;
        let writer = self.examples.scoring.writer();
        let drawing = objective
            .sampling()
            .zip(writer)
            .map(|(sampling, writer)| writer.drawing(sampling, answer_seed(config.seed, step)));
        let writer = drawing.as_ref().or(writer);
        let portion = Portion::whole(batch, objective);
        let one = |model: &M| -> Result<Loss, TrainError> {
            let found = portion.questions()?.asked(model, objective, writer)?;
            Ok(portion.loss(found))
        };
        let each = |models: &[M], stack| portion.asked_of_each(models, stack, writer);
        let mut asked: Option<Asked<'_, '_, B>> = None;
        let mut standing;
        let mut walking;
        let mut stacked;
        let walks = !self.stands && self.at_once <= 1;
        let mut by_example;
        let mut prober: &mut dyn Prober = if self.strategy.is_per_example() {
            by_example = Standing::new(self.model, |model, probes| {
                losses_by_example(model, probes, batch, objective)
            });
            &mut by_example
        } else if self.stands {
            standing = Standing::new(self.model, |model, probes| {
                if probes.is_empty() {
                    return Ok(Vec::new());
                }
                let examples = portion.examples();
                let asked = match &mut asked {
                    Some(asked) if asked.examples == examples => asked,
                    other => other.insert(Asked {
                        questions: portion.questions()?,
                        still: Still::new(),
                        examples,
                    }),
                };
                let (questions, still) = (&asked.questions, &mut asked.still);
                let counted = portion.is_counted();
                let found = questions.asked_at_each(model, probes, objective, still, counted)?;
                Ok(found.into_iter().map(|found| portion.loss(found)).collect())
            });
            &mut standing
        } else if self.at_once > 1 {
            stacked = Stacked::new(self.model, self.at_once, each);
            &mut stacked
        } else {
            walking = Walking::new(self.model, one);
            &mut walking
        };
        let mut given_up;
        if let Some(stop) = self.stop {
            given_up = GivenUp::once(stop, prober, walks);
            prober = &mut given_up;
        }
        let mut on_ranks;
        let mut jointly;
        if let Some(ranks) = self.ranks {
            on_ranks = OnRanks::sharing(ranks, prober, &portion);
            prober = &mut on_ranks;
        } else if objective.is_calibrated() {
            jointly = Jointly::new(prober, &portion);
            prober = &mut jointly;
        }
        let mut report = run_judged_step(self.strategy, &context, prober, rule, judge)?;
        report.tokens += tokens;
        Ok(report)
    }
}

impl<B: NoiseBackend, M: Module<B> + LanguageModel<Backend = B>> Stepper<M>
    for Steps<'_, '_, B, M>
{
    fn step(&mut self, state: &TrainState, batch: &[&Prompt]) -> Result<Done, TrainError> {
        let step = state.summary().steps + 1;
        let samples = self.samples_before(step);
        self.before = samples.then(|| self.model.excerpt());
        let report = self.judged(state, batch)?;
        let ruling = report.ruling(&self.config.guards);
        let losses: Vec<f64> = report.evaluations.iter().map(|e| e.loss).collect();
        let length = report.lr * self.model.length(&report.direction);
        let passes = std::mem::replace(&mut self.passes, self.model.passes());
        let mut record = StepRecord::new(step, losses);
        record.projected_gradient = report.projected_gradient;
        // + 0.0: an empty sum is -0.0
        record.update_norm = Some(length + 0.0);
        record.lr = report.lr;
        let mut forwards = report.evaluations.len() + usize::from(self.informant.is_some());
        if self.strategy.is_per_example() {
            forwards /= batch.len().max(1);
        }
        record.forwards = forwards as u64;
        record.tokens = report.tokens;
        record.passes = self.model.passes() - passes;
        record.skipped = report.skipped;
        record.event = ruling.event;
        record.update = report.direction;
        Ok(Done {
            record,
            stops: ruling.stops,
        })
    }

    fn settle(&mut self, record: &StepRecord) -> Result<Option<f64>, TrainError> {
        let mut drift = None;
        if self.config.anchors_after(record.step) {
            drift = self.model.reanchor()?;
        }
        if let Some(before) = self.before.take() {
            // a skipped step does not decay either
            let nothing = AppliedUpdate::new(Direction::zero(), 0.0);
            let update = Record::from(record).applied().unwrap_or(nothing);
            drift = Some(self.model.drift_since(&before, &update)?);
        }
        self.model.check_range()?;
        Ok(drift)
    }

    fn model(&self) -> Cow<'_, M> {
        Cow::Borrowed(self.model.module())
    }
}
