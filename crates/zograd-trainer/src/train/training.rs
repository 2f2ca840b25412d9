use super::steps::Steps;
use super::{
    Course, DecayToward, Examples, Informant, TrainConfig, TrainState, TrainSummary, batches_of,
};
use crate::trajectory::Record;
use crate::{LanguageModel, Objective, Observer, TrainError, stands_still};
use burn::module::Module;
use std::sync::atomic::{AtomicBool, Ordering};
use zograd_perturb::{Arithmetic, NoiseBackend, Perturbed};
use zograd_ranks::Ranks;
use zograd_select::Strategy;
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
        steps.check_per_example()?;
        Ok((self.course, steps))
    }
}
