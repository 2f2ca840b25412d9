//! All that a run reads before it computes or writes anything.

use super::option_bias::option_tokens;
use super::origin::origin;
use crate::error::{Blame, Result, refuse};
use crate::folder::{Claimed, ExampleRows, Interrupted, Lock, Origin, RunFolder};
use crate::inputs::{self, Asked, Calibration, ModelSource, Reading, Room, Sources, TaskSource};
use crate::settings::{
    FEWEST_ROWS, Machine, ObjectiveName, Preset, Procedure, Published, RECIPE, Settings,
    has_last_norm,
};
use crate::watch::Watch;
use crate::words::{count, number};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use zograd_models::ModelConfig;
use zograd_models::Sampling;
use zograd_perturb::Seed;
use zograd_ranks::Ranks;
use zograd_select::Methods;
use zograd_tasks::rewards::Reward;
use zograd_tasks::{Dataset, Prompt, Row, Split, SplitCounts, Splits, Task};
use zograd_trainer::{
    Allowance, ByReward, Examples, Objective, Scoring, TrainConfig, answer_tokens,
};

/// The prompts of a run.
pub(super) struct Data {
    pub(super) train: Vec<Prompt>,
    pub(super) dev: Vec<Prompt>,
    pub(super) test: Vec<Prompt>,
}

impl Data {
    /// What a run learns from and chooses its weights by.
    pub(super) fn examples<'a>(&'a self, scoring: &'a Scoring) -> Examples<'a> {
        Examples {
            train: &self.train,
            dev: &self.dev,
            scoring,
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> [&[Prompt]; 3] {
        [&self.train, &self.dev, &self.test]
    }
}

/// Where a run goes.
pub(crate) enum Destination {
    /// A folder that is to be made.
    Named(PathBuf),
    /// The first free folder below `runs/` with this name.
    Free(String),
    /// The folder of a run that is resumed.
    Resumed(Box<Interrupted>, Lock),
}

impl Destination {
    /// What is resumed.
    pub(super) fn interrupted(&self) -> Option<&Interrupted> {
        match self {
            Self::Resumed(run, _) => Some(run),
            Self::Named(_) | Self::Free(_) => None,
        }
    }

    /// The folder, made if need be and taken for this process, and what is resumed in it.
    ///
    /// # Errors
    /// It has something in it, another process has it, or it cannot be made.
    pub(super) fn claim(self) -> Result<(Claimed, Option<Interrupted>)> {
        Ok(match self {
            Self::Named(path) => (RunFolder::claim(path)?, None),
            Self::Free(name) => (RunFolder::claim_free(&name)?, None),
            Self::Resumed(run, lock) => {
                let path = run.folder().to_owned();
                (Claimed { path, lock }, Some(*run))
            }
        })
    }
}

/// Where development examples come from.
fn dev_split(data: &Dataset) -> Split {
    match data.has(Split::Dev) {
        true => Split::Dev,
        false => Split::Train,
    }
}

/// Training by what answers are worth, which are drawn or not.
fn by_reward((reward, sampling): (Arc<dyn Reward>, Option<Sampling>)) -> ByReward {
    let objective = ByReward::new(reward);
    match sampling {
        Some(sampling) => objective.sampled(sampling),
        None => objective,
    }
}

/// Refuses training rows whose options are not as many as those of the others: then those at one place have nothing to do
/// with one another.
fn check_options(train: &[Prompt]) -> Result<()> {
    let options = |prompt: &Prompt| prompt.candidates.len();
    let first = train.first().map_or(0, options);
    if let Some(other) = train.iter().find(|prompt| options(prompt) != first) {
        refuse!(
            "`calibrate`: the rows have options of their own, not the same ones: {first} in one, {} in another",
            options(other)
        );
    }
    Ok(())
}

/// Whether there are enough rows, with options of one token each that are the same in all of them.
fn are_classes(train: &[Prompt]) -> bool {
    train.len() >= FEWEST_ROWS && option_tokens(train).is_some() && classes(train).len() > 1
}

/// The options that are right for some of these.
pub(super) fn classes(prompts: &[Prompt]) -> BTreeSet<usize> {
    let right = prompts.iter().filter_map(|prompt| prompt.correct.first());
    right.copied().collect()
}

/// Says where there is nothing to learn of some options, as they are right for no training row.
fn note_missing(options: usize, classes: usize, rows: usize, watch: &mut dyn Watch) {
    match (classes, options - classes.min(options)) {
        (_, 0) => {}
        (1, _) if rows > 1 => watch.note(
            "note: all training rows are of one class: what there is to learn from them is to say that",
        ),
        (1, _) => {}
        (_, missing) => watch.note(&format!(
            "note: {missing} of {options} classes have no training row"
        )),
    }
}

/// Says where batches cannot have as many of each class.
fn note_classes(train: &[Prompt], batch_size: usize, watch: &mut dyn Watch) {
    match classes(train).len() {
        many if many > batch_size => watch.note(&format!(
            "note: {many} classes, and {} in a batch: they take turns from batch to batch",
            count(batch_size as u64, "example")
        )),
        _ => {}
    }
}

/// How long a run is, in words.
fn length(config: &TrainConfig) -> String {
    match config.limit.map(|limit| limit.of) {
        Some(Allowance::Tokens(tokens)) => count(tokens, "token"),
        Some(Allowance::Seconds(seconds)) => format!("{} s", number(seconds)),
        _ => count(config.steps, "step"),
    }
}

/// A run that can begin, or be resumed.
pub(crate) struct Prepared {
    pub(super) settings: Settings,
    pub(super) sources: Sources,
    pub(super) objective: Box<dyn Objective>,
    pub(super) scoring: Scoring,
    pub(super) data: Data,
    pub(super) rows: ExampleRows,
    pub(super) origin: Origin,
    pub(super) counts: SplitCounts,
    pub(super) published: Option<Published>,
    /// The text of the chat template that was given.
    pub(super) chat_template: Option<String>,
}

impl Prepared {
    /// Reads everything but the weights: first what costs nothing, as the model may have to be fetched. `tasks` are those
    /// that are not built in. A rank that writes nothing is given nothing that is resumed.
    ///
    /// # Errors
    /// Whatever is missing or does not go together, by the name of its setting.
    pub(crate) fn new(
        settings: Settings,
        (tasks, methods): (&[Arc<dyn Task>], &Methods),
        resumed: Option<(Interrupted, Lock)>,
        ranks: &Ranks,
        watch: &mut dyn Watch,
    ) -> Result<(Self, Destination)> {
        let limit = settings.config.limit.map(|limit| limit.of);
        if let (Some(Allowance::Seconds(seconds)), false) = (limit, ranks.is_alone()) {
            refuse!(
                "`seconds = {seconds}`: ranks have clocks of their own, and would not end after the same step; give `steps`, \
                 `forwards`, `examples` or `tokens`"
            );
        }
        let reward = match &settings.reward {
            Some(options) => Some((options.build()?, settings.sampling.clone())),
            None => None,
        };
        let label_optional = reward
            .as_ref()
            .is_some_and(|(reward, _)| !reward.needs_right_answers());
        let asked = Asked {
            inputs: &settings.inputs,
            columns: &settings.columns,
            own: tasks,
            reading: Reading {
                label_optional,
                ..Reading::ALL
            },
        };
        let rows = TaskSource::find(asked, watch)?;
        let rows = match &resumed {
            Some((run, _)) => rows.called_as_in(run.folder())?,
            None => rows,
        };
        let is_made = rows.is_made && settings.columns.verbalizer.is_none();
        let seed = settings.config.seed;
        let sample = |row: &Row| match label_optional {
            true => rows.task.sample(&row.clone().label_optional()),
            false => rows.task.sample(row),
        };
        let splits = Splits::load_with(sample, &rows.data, settings.sizes, Seed::new(seed));
        let splits = splits.or_input()?;
        let yields = settings.sizes.yields;
        let mut settings = settings.with_rows(&splits.counts, methods)?;
        settings.sizes = settings.sizes.settled(&splits.counts);
        let asked = settings.objective.unwrap_or(ObjectiveName::Auto);
        let mut objective = asked.of_task(rows.task.as_ref())?;
        match settings.procedure {
            Procedure::LinearProbe => objective = ObjectiveName::TeacherForcing,
            _ => settings.objective = Some(objective),
        }
        if settings.calibrates() {
            objective.check_calibrated(rows.task.as_ref())?;
        }
        if settings.config.balanced && rows.task.is_generation() {
            refuse!(
                "`balanced`: the answers of task {} are written: its rows have no classes",
                rows.task.name()
            );
        }
        // the first rank writes
        if let (None, Some(path), true) = (&resumed, &settings.out, ranks.leads()) {
            RunFolder::check(path)?;
        }
        let room = Room::of(&settings).filter(|_| resumed.is_none() && ranks.leads());
        let model = ModelSource::find_for(&settings.inputs, room.as_ref(), watch)?;
        model.refuse_own_adapter()?;
        let config = ModelConfig::from_folder(&model.folder).about("`model`")?;
        if let Some(room) = room {
            room.check(&config, None)?;
        }
        let sources = Sources::new(rows, model);
        let max_length = inputs::max_length(settings.inputs.max_length, &config)?;
        crate::settings::check_adapter(settings.adapter.as_ref(), &config)?;
        settings.inputs.max_length = Some(max_length);
        let task = sources.task.as_ref();
        let encoder = inputs::encoder(&sources.tokenizer, settings.inputs.bos_id, max_length)?
            .with_end_ids(&config.eos_token_ids);
        let encoder = inputs::with_room(encoder, task, settings.inputs.max_new_tokens)?;
        let encoder = inputs::with_template(encoder, task, &settings.inputs, &sources.tokenizer)?;
        let given = settings.inputs.chat_template.as_ref();
        let chat_template = given.and(encoder.chat_template());
        let chat_template = chat_template.map(|template| template.source().to_owned());
        let of_reward = reward.as_ref().map(|(reward, _)| reward.clone());
        let scoring = inputs::scoring(task, &encoder, &config, None, of_reward)?;
        if scoring.writer().is_some() {
            settings.inputs.max_new_tokens = Some(encoder.max_new_tokens());
        }
        let encode = |split, samples: &[_]| {
            let from = (&sources.data, split);
            inputs::prompts(&encoder, task, from, samples, &[], Calibration::None)
        };
        let mut data = Data {
            train: encode(Split::Train, &splits.train)?,
            dev: encode(dev_split(&sources.data), &splits.dev)?,
            test: encode(Split::Validation, &splits.test)?,
        };
        if settings.may_have_recipe() {
            let fits = has_last_norm(&config)
                && objective.check_calibrated(task).is_ok()
                && are_classes(&data.train);
            let recipe = settings.recipe(&splits.counts, methods).filter(|_| fits);
            if let Some(recipe) = recipe {
                settings = settings.into_recipe(recipe);
                watch.note(&format!(
                    "note: no method was named, and the rows have classes: these are the settings of `preset = {RECIPE}`; for the \
                     paper's method use `method = gv`"
                ));
            } else if settings.could_measure(methods) {
                watch.note(&format!(
                    "note: neither a method nor a learning rate was named: this is MeZO-GV with the paper's `lr = {}`, at which a \
                     small model hardly moves; `lr = auto` measures one",
                    number(settings.config.lr)
                ));
            }
        }
        if let Some((reward, _)) = &reward {
            let rows = &sources.data;
            let kinds = [
                (Split::Train, &mut data.train),
                (dev_split(rows), &mut data.dev),
                (Split::Validation, &mut data.test),
            ];
            for (split, prompts) in kinds {
                inputs::give_fields(prompts, (rows, split), reward.as_ref())?;
            }
        }
        inputs::note_shortage(&splits.counts, yields, watch);
        if task.is_chat() {
            inputs::note_lengths(&data.train, 0, Some(encoder.max_new_tokens()), watch);
            inputs::note_chats(&data.train, watch);
        }
        if is_made {
            inputs::note_first_tokens(task, &data.train, watch);
        } else {
            inputs::note_same_options(&data.train, watch);
        }
        let origin = origin(&sources, &config, &splits, data.all())?;
        if let Some((run, _)) = &resumed {
            let named = || format!("`resume = {}`", run.folder().display());
            run.origin().check(&origin).about(named())?;
        }
        for prompts in data.all() {
            inputs::check_ids(prompts, &config)?;
        }
        if data.train.is_empty() {
            refuse!("`train-examples = 0`: use at least 1");
        }
        if settings.calibrates() {
            check_options(&data.train)?;
        }
        if let Procedure::ZerothOrder(zo) = &settings.procedure
            && let (Some(rows), None) = (zo.head_fit, option_tokens(&data.train))
        {
            refuse!(
                "`head-fit = {rows}`: it needs options that are one token each, the same in all rows; those of task {} \
                 are not",
                sources.task_name
            );
        }
        if let Some(options) = option_tokens(&data.train) {
            let classes = classes(&data.train).len();
            if let (Procedure::ZerothOrder(zo), 1) = (&settings.procedure, classes)
                && let Some(rows) = zo.head_fit
            {
                refuse!(
                    "`head-fit = {rows}`: all training rows are of one class: there is nothing to tell apart"
                );
            }
            note_missing(options.len(), classes, data.train.len(), watch);
        }
        if settings.config.balanced {
            note_classes(&data.train, settings.config.batch_size, watch);
        }
        if matches!(settings.procedure, Procedure::LinearProbe) {
            answer_tokens(&data.train).or_input()?;
        }
        if let Some((reward, _)) = &reward {
            inputs::try_out(reward.as_ref(), &data.train)?;
        }
        let destination = match (resumed, &settings.out) {
            (Some((run, lock)), _) => Destination::Resumed(Box::new(run), lock),
            (None, Some(path)) => Destination::Named(path.clone()),
            (None, None) => Destination::Free(format!("{}-{}", sources.task_name, settings.method)),
        };
        let published = match &settings.preset {
            Some(name) => Preset::named(name)?.published(&settings.given()?),
            None => None,
        };
        let prepared = Self {
            objective: objective.build(reward.map(by_reward), settings.calibrates()),
            rows: ExampleRows::new(seed, &splits, dev_split(&sources.data)),
            origin,
            counts: splits.counts,
            settings,
            sources,
            scoring,
            data,
            published,
            chat_template,
        };
        Ok((prepared, destination))
    }

    /// Where it is to be computed.
    pub(crate) fn machine(&self) -> &Machine {
        &self.settings.machine
    }

    /// What is going to be done, in a line.
    pub(super) fn in_words(&self) -> String {
        let settings = &self.settings;
        let config = &settings.config;
        let steps = |more: String| {
            let objective = settings.objective.unwrap_or(ObjectiveName::Auto);
            let objective = match &settings.reward {
                Some(reward) => reward.in_words(),
                None => objective.to_string(),
            };
            // a measured one is known to a digit or two
            let lr = match settings.measured_rate() {
                Some(rate) => format!("{:.1e}", rate.lr),
                None => number(config.lr),
            };
            format!(", {} on {objective}, lr {lr}{more}", length(config))
        };
        let how = match &settings.procedure {
            Procedure::ZerothOrder(zo) => steps(format!(", eps {}", number(zo.eps))),
            Procedure::Tail(_) | Procedure::Gradient(_) => steps(String::new()),
            Procedure::LinearProbe => String::new(),
        };
        format!(
            "{} on {}: {}{how}, batch {}; {}",
            self.sources.model_name,
            self.sources.task_name,
            settings.method,
            config.batch_size,
            inputs::rows_in_words(&self.counts),
        )
    }
}
