use super::{
    Course, DecayToward, Done, Examples, Informant, Stepper, TrainConfig, TrainState, TrainSummary,
    answer_seed, batches_of, informant, step_seed,
};
use crate::measure::Questions;
use crate::prober::{GivenUp, Jointly, Portion};
use crate::trajectory::Record;
use crate::{
    LanguageModel, Loss, Objective, Observer, OnRanks, Prober, Rule, Ruling, Stacked, Standing,
    StepRecord, StepReport, TrainError, Verdict, Walking, run_judged_step, stands_still,
};
use burn::module::Module;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_models::Still;
use zograd_perturb::{
    AppliedUpdate, Arithmetic, Direction, Excerpt, NoiseBackend, Perturbed, Resolution,
};
use zograd_ranks::Ranks;
use zograd_select::{StepContext, Strategy, Told, Update};
use zograd_tasks::Prompt;

/// A run by forward passes only: set up, then [`run`](Training::run).
///
/// Each step takes its batch and its seed from (seed, step) alone. After every `eval_every` steps and
/// after the last one the model is evaluated on the development examples and the observer is told whether
/// it is the best so far; the first one to compare with is the untuned model, which is evaluated before the first step.
///
/// ```no_run
/// # use zograd_trainer::{Classification, Examples, LanguageModel, TrainConfig, TrainError, Training};
/// # use std::sync::atomic::AtomicBool;
/// # fn tune<B: zograd_perturb::NoiseBackend, M: burn::module::Module<B> + LanguageModel<Backend = B>>(
/// #     mut model: zograd_perturb::Perturbed<B, M>, strategy: &mut dyn zograd_select::Strategy,
/// #     examples: Examples<'_>, stop: &AtomicBool,
/// # ) -> Result<(), TrainError> {
/// let config = TrainConfig::new(2000, 1e-6);
/// let summary = Training::new(strategy, &Classification, examples, &config)
///     .stop(stop)
///     .run(&mut model)?;
/// println!("{} forwards", summary.forwards);
/// # Ok(())
/// # }
/// ```
pub struct Training<'a, M> {
    strategy: &'a mut dyn Strategy,
    informant: Option<&'a dyn Informant<M>>,
    course: Course<'a, M>,
}

impl<'a, M: LanguageModel + Clone> Training<'a, M> {
    /// `strategy` minimises `objective` on `examples`.
    pub fn new(
        strategy: &'a mut dyn Strategy,
        objective: &'a dyn Objective,
        examples: Examples<'a>,
        config: &'a TrainConfig,
    ) -> Self {
        Self {
            strategy,
            informant: None,
            course: Course::new(objective, examples, config),
        }
    }

    /// Goes on after the steps of `state`: the model and the strategy must be where these left them. The run ends as
    /// one that was never interrupted.
    pub fn resume(mut self, state: TrainState) -> Self {
        self.course.state = state;
        self
    }

    /// The first candidate of every step, whose noise is that of the first child of the step's seed, is what `informant` knows
    /// instead of noise. A step costs one forward pass more.
    ///
    /// Such a step is no list of seeds: what replays a run is [`Training::repeat`], with the examples. The arithmetic must be
    /// plain ([`Perturbed::inform`]), and the run is not shared among ranks.
    pub fn informed(mut self, informant: &'a dyn Informant<M>) -> Self {
        self.informant = Some(informant);
        self
    }

    /// Tells `observer` what happens; several are a pair of observers.
    pub fn observer(mut self, observer: impl Observer<M> + 'a) -> Self {
        self.course.observer = Box::new(observer);
        self
    }

    /// When `stop` becomes true, the run ends, to be resumed: after the current step, or before it where the weights, back
    /// from a probe, are those before it to the bit. Then it is given up before its next losses are found.
    pub fn stop(mut self, stop: &'a AtomicBool) -> Self {
        self.course.stop = Some(stop);
        self
    }

    /// Shares the evaluations of every step, and the examples of evaluations, among ranks, on all of which the same run is
    /// made. They stop together, when one of them is asked to: [`Ranks::stopped_by`] takes the place of
    /// [`stop`](Self::stop).
    pub fn ranks(mut self, ranks: &'a Ranks) -> Self {
        self.course.stop = Some(ranks.agreed());
        self.course.ranks = Some(ranks);
        self
    }

    /// Trains `model` in place.
    ///
    /// # Errors
    /// A setting out of range, no training examples, examples the model cannot score, or an error of the
    /// observer.
    pub fn run<B: NoiseBackend>(
        self,
        model: &mut Perturbed<B, M>,
    ) -> Result<TrainSummary, TrainError>
    where
        M: Module<B> + LanguageModel<Backend = B>,
    {
        let (course, mut steps) = self.set_up(model)?;
        course.run(&mut steps)
    }

    /// Makes the steps of `records` again, which a run with these settings made from `model` on, each with its examples and
    /// losses; without evaluations. Each must come to the losses that it had, to the bit. Where no candidate is informed
    /// [`replay`](crate::trajectory::replay()) does it without examples.
    ///
    /// # Errors
    /// [`TrainError::OtherLoss`] if one does not; [`TrainError::Stopped`]; as [`Training::run`].
    pub fn repeat<B: NoiseBackend>(
        self,
        model: &mut Perturbed<B, M>,
        records: &[Record],
        mut progress: impl FnMut(u64),
    ) -> Result<(), TrainError>
    where
        M: Module<B> + LanguageModel<Backend = B>,
    {
        let (course, mut steps) = self.set_up(model)?;
        let (config, examples) = (course.config, course.examples);
        let mut batches = batches_of(config, examples);
        for record in records {
            if course.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(TrainError::Stopped);
            }
            let batch = batches.at(record.step.saturating_sub(1));
            let batch: Vec<&Prompt> = batch.into_iter().map(|i| &examples.train[i]).collect();
            steps.repeat(record, &batch)?;
            progress(record.step);
        }
        Ok(())
    }

    /// What makes the steps, and their course.
    fn set_up<'m, B: NoiseBackend>(
        self,
        model: &'m mut Perturbed<B, M>,
    ) -> Result<(Course<'a, M>, Steps<'a, 'm, B, M>), TrainError>
    where
        M: Module<B> + LanguageModel<Backend = B>,
    {
        self.course.check()?;
        self.course
            .config
            .check_decay(match model.decays_to_start() {
                true => DecayToward::Start,
                false => DecayToward::Zero,
            })?;
        let stands = stands_still(model.module(), model.space(), self.course.objective);
        let returns = stands || model.arithmetic() == Arithmetic::Exact;
        let steps = Steps {
            strategy: self.strategy,
            informant: self.informant,
            objective: self.course.objective,
            examples: self.course.examples,
            config: self.course.config,
            ranks: self.course.ranks.filter(|ranks| !ranks.is_alone()),
            // a rank gives up by its own signal, and tells the others
            stop: match self.course.ranks {
                Some(ranks) => Some(ranks.asked()),
                None => self.course.stop,
            }
            .filter(|_| returns),
            at_once: model.module().at_once(&model.space().sizes()),
            stands,
            passes: model.passes(),
            before: None,
            resolution: model.resolution(),
            model,
        };
        if steps.informant.is_some() && steps.ranks.is_some() {
            return Err(TrainError::InformedOnRanks);
        }
        Ok((self.course, steps))
    }
}

/// What has to be known of some examples, and the memory of the calls that ask for it.
struct Asked<'a, 'p, B: NoiseBackend> {
    examples: Range<usize>,
    questions: Questions<'a, 'p>,
    still: Still<B>,
}

/// Steps by forward passes.
struct Steps<'a, 'm, B: NoiseBackend, M: Module<B>> {
    strategy: &'a mut dyn Strategy,
    /// What knows a better direction for the first candidate, if something does.
    informant: Option<&'a dyn Informant<M>>,
    objective: &'a dyn Objective,
    examples: Examples<'a>,
    config: &'a TrainConfig,
    model: &'m mut Perturbed<B, M>,
    /// Those that share the losses, if there are several.
    ranks: Option<&'a Ranks>,
    /// Probes that are scored together.
    at_once: usize,
    /// What a step is given up for.
    stop: Option<&'a AtomicBool>,
    /// Whether the weights stand still meanwhile.
    stands: bool,
    /// Passes over the weights up to the last step.
    passes: u64,
    /// Some of the weights before the last step, where their drift is measured.
    before: Option<Excerpt>,
    /// How finely the weights can be moved, if they are on grids.
    resolution: Option<Resolution>,
}

impl<B: NoiseBackend, M: Module<B> + LanguageModel<Backend = B>> Steps<'_, '_, B, M> {
    /// Whether weights with an anchor are brought back to it after `step` steps, where it measures the drift itself.
    fn samples_before(&self, step: u64) -> bool {
        self.examples.evaluates_after(step, self.config) && !self.config.anchors_after(step)
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
    fn repeat(&mut self, record: &Record, batch: &[&Prompt]) -> Result<(), TrainError> {
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
        let context = StepContext::new(step, step_seed(config.seed, step), self.model.eps());
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
        let mut prober: &mut dyn Prober = if self.stands {
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
        record.forwards = (report.evaluations.len() + usize::from(self.informant.is_some())) as u64;
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
