//! A run on a rank that is not the first: it computes the same steps and writes nothing.

use super::handed::Handed;
use super::option_bias::{Kept, option_tokens};
use super::prepare::Prepared;
use super::rebuild::Rebuild;
use super::run::{
    Beginning, begin, best_weights, input_facts, last_biases, last_weights, settle_arithmetic,
    settle_rate, sum_up, weight_facts,
};
use crate::backend::{Job, RunBackend};
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::Summary;
use crate::inputs::{Questions, score, tuned_hash};
use crate::ranks::{agreed, alike, waited};
use crate::watch::Watch;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zograd_models::Model;
use zograd_ranks::Ranks;
use zograd_select::Methods;
use zograd_trainer::trajectory::{Header, Record, Walk, replay};
use zograd_trainer::{
    Evaluation, Observer, StepRecord, StopReason, TrainError, TrainState, TrainSummary, Training,
};

/// A run that the first rank writes down, to be begun or resumed together with it.
pub(crate) struct FollowJob<'a> {
    pub(crate) prepared: Prepared,
    /// What is resumed, in the folder that was named.
    pub(crate) resumed: Option<(Handed, &'a Path)>,
    pub(crate) methods: &'a Methods,
    pub(crate) ranks: &'a Ranks,
    pub(crate) watch: &'a mut dyn Watch,
}

/// The steps so far, in memory: some hundred bytes each.
struct Records(Vec<Record>);

impl<M> Observer<M> for Records {
    fn on_step(&mut self, record: &StepRecord) -> Result<(), TrainError> {
        self.0.push(Record::from(record));
        Ok(())
    }
}

impl Job for FollowJob<'_> {
    type Output = Summary;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<Summary> {
        let Self {
            mut prepared,
            resumed,
            methods,
            ranks,
            watch,
        } = self;
        let is_resumed = resumed.is_some();
        alike(ranks, &input_facts(&prepared)?)?;
        settle_arithmetic::<B>(&mut prepared, (is_resumed, ranks), device, watch)?;
        let before = resumed.as_ref().map(|(run, name)| run.resumed(name));
        let run = before.as_ref();
        let fit = settle_rate::<B>(&mut prepared, run, methods, (ranks, &mut *watch), device)?;
        let begun = begin::<B>(&prepared, run, fit, (ranks, watch), device);
        let mut beginning = agreed(ranks, begun)?;
        alike(ranks, &weight_facts(&beginning))?;
        // the first rank opens the folder of the run meanwhile
        watch.writing_begins();
        agreed(ranks, Ok(()))?;
        let resumed = resumed.as_ref().map(|(run, _)| run);
        let scratch = TempDir::new().while_running()?;
        let start = resumed.map_or_else(|| scratch.path().join("start"), Handed::start);
        let follower = Follower {
            prepared: &prepared,
            methods,
            ranks,
            scratch,
            start,
        };
        let weight_bytes = beginning.weight_bytes(&prepared);
        let parameters = beginning.space.dimension();
        let plain = beginning.untuned();
        let before = score(&plain, follower.questions(), "before", watch)?;
        drop(plain);
        let (model, summary, header, records) = follower.train(beginning, resumed)?;
        let weights = tuned_hash(&model);
        alike(ranks, &last_weights(&weights)).while_running()?;
        let after = match summary.stop {
            StopReason::Interrupted => None,
            _ => follower.judge((model, &summary), (&header, &records), device, watch)?,
        };
        let mut summary = summary;
        if after.is_none() {
            summary.stop = StopReason::Interrupted;
        }
        let scores = (&before, after.as_ref());
        let mut report = sum_up(&prepared, scores, summary, parameters, weight_bytes)?;
        report.weights = weights;
        report.waited = waited(ranks)?;
        Ok(report)
    }
}

/// A rank that follows the first.
struct Follower<'a> {
    prepared: &'a Prepared,
    methods: &'a Methods,
    ranks: &'a Ranks,
    /// For f32 originals of 16-bit weights, which every rank has for itself.
    scratch: TempDir,
    /// Where the adapter is that the run began with, if the first rank kept it.
    start: PathBuf,
}

impl Follower<'_> {
    fn questions(&self) -> Questions<'_> {
        Questions {
            prompts: &self.prepared.data.test,
            scoring: &self.prepared.scoring,
            batch_size: self.prepared.settings.config.eval_batch_size,
            stop: Some(self.ranks.agreed()),
            ranks: self.ranks,
        }
    }

    /// Makes the steps; of a run that is resumed those that were made before from its log.
    fn train<B: RunBackend>(
        &self,
        beginning: Beginning<B>,
        resumed: Option<&Handed>,
    ) -> Result<(Model<B>, TrainSummary, Header, Vec<Record>)> {
        let Beginning { model, header, .. } = beginning;
        let Some(header) = header else {
            refuse!("a run without a log is not shared among ranks");
        };
        let mut strategy = self.methods.build(&header.method).or_input()?;
        let originals = self.scratch.path().join("originals");
        let walk = Walk::from_start(&model, &header, originals).or_input()?;
        let mut model = walk.begin(model).while_running()?;
        let (mut state, mut records) = (TrainState::beginning(), Vec::new());
        state = state.since(header.paid_before());
        if let Some(run) = resumed {
            let strategy = strategy.as_mut();
            replay(&mut model, strategy, &header, &run.records, |_| ()).or_input()?;
            (state, records) = (run.state.clone(), run.records.clone());
            state = state.since(header.paid_before());
        }
        let (prepared, mut kept) = (self.prepared, Records(records));
        let examples = prepared.data.examples(&prepared.scoring);
        let objective = prepared.objective.as_ref();
        let config = &prepared.settings.config;
        let training = Training::new(strategy.as_mut(), objective, examples, config);
        let summary = training
            .resume(state)
            .observer(&mut kept)
            .ranks(self.ranks)
            .run(&mut model)
            .while_running()?;
        let model = model.into_module().or_input()?;
        Ok((model, summary, header, kept.0))
    }

    /// The test score of the best weights, as the first rank finds it with these.
    fn judge<B: RunBackend>(
        &self,
        (model, summary): (Model<B>, &TrainSummary),
        (header, records): (&Header, &[Record]),
        device: &B::Device,
        watch: &mut dyn Watch,
    ) -> Result<Option<Evaluation>> {
        let biases = last_biases(self.prepared, (&model, summary), self.ranks)?;
        let biases = summary
            .best
            .as_ref()
            .map_or(biases, |best| best.option_biases.clone());
        let best = match &summary.best {
            Some(best) if best.step != summary.steps => {
                // one model in memory at a time
                drop(model);
                let rebuild = Rebuild {
                    model: &self.prepared.sources.model,
                    storage: self.prepared.settings.machine.storage(),
                    methods: self.methods,
                    start: &self.start,
                    header,
                    records: &records[..records.len().min(best.step as usize)],
                    originals: self.scratch.path().join("best.f32"),
                };
                rebuild.run::<B>(device, watch)?
            }
            _ => model,
        };
        let best = Kept::of(
            &best,
            option_tokens(&self.prepared.data.train).as_deref(),
            &biases,
        );
        let weights = tuned_hash(&best.model);
        alike(self.ranks, &best_weights(&weights)).while_running()?;
        let scoring = self.prepared.scoring.clone().with_biases(best.beside);
        let questions = Questions {
            scoring: &scoring,
            ..self.questions()
        };
        match score(&best.model, questions, "after", watch) {
            Err(RunError::Stopped(_)) => Ok(None),
            after => after.while_running().map(Some),
        }
    }
}
