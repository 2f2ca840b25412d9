//! What was decided before a run: what was given and the defaults together.
//!
//! Settings are declared once, by whoever owns them ([`Owner`]): from these declarations come the flags of the
//! command, its help, the keys of files, and what is refused. Users give values by key ([`Given`]); every owner takes
//! its own as a typed struct, and what nobody takes is refused by the names of those who would.

mod budget;
mod calibration;
mod columns;
mod cost;
mod device;
mod elsewhere;
mod evaluation;
mod family;
mod given;
mod gradient;
mod informed;
mod inputs;
mod machine;
mod method;
mod names;
mod objective;
mod owner;
mod place;
mod prediction;
mod preset_files;
mod presets;
mod rate;
mod recipe;
mod reward;
mod sampling;
mod step_rules;
mod tail;
mod tuning;
mod zeroth_order;

pub(crate) use budget::LENGTHS;
pub use budget::{Budget, Draw, EvalOptions, StepSizes};
pub use calibration::{BatchOptions, CalibrationOptions};
pub use columns::Columns;
pub(crate) use columns::Roles;
pub use cost::Cost;
pub use device::DeviceChoice;
pub use elsewhere::elsewhere;
pub use evaluation::{Measurement, SplitName};
pub use family::{BlockOptions, FamilyName, LowRankOptions, SparseOptions};
pub use given::Given;
pub use gradient::GradientOptions;
pub use informed::{InformedBy, InformedOptions};
pub(crate) use inputs::is_task_file;
pub use inputs::{BUILT_IN_MODEL, BUILT_IN_TASK, ExampleCounts, Inputs};
pub use machine::{BackendName, Machine, STORAGES, Storage};
pub(crate) use method::TAIL;
pub use method::{DEFAULT_METHOD, MethodChoice, MethodKind, Procedure};
pub use objective::{ObjectiveChoice, ObjectiveName};
pub use owner::{Key, Keys, Owner};
pub use place::{Place, PresetChoice};
pub use prediction::PredictOptions;
pub use presets::{Paper, Preset, Published, Start};
pub use rate::LearningRate;
pub(crate) use recipe::{FEWEST_ROWS, RECIPE, has_last_norm};
pub use reward::{RewardOptions, RewardRule};
pub use sampling::SamplingOptions;
pub use step_rules::{StepRule, StepRuleOptions};
pub use tail::TailOptions;
pub(crate) use tuning::check_adapter;
pub use tuning::{LoraOptions, PrefixOptions, Tune, TuneChoice};
pub use zeroth_order::{PerturbationOptions, ZerothOrder};

use crate::error::{Blame, Result, refuse};
use budget::StepCost;
use owner::table;
use std::path::PathBuf;
use zograd_models::{AdapterConfig, BaseNote, Sampling};
use zograd_perturb::family::PerturbationSpec;
use zograd_perturb::{Arithmetic, NoiseKind, ParameterSpace, Selection, noise};
use zograd_select::{MAX_EVALUATIONS, MethodSpec, Methods};
use zograd_tasks::{SplitCounts, SplitSizes, Yields};
use zograd_trainer::trajectory::{AdapterStart, Header};
use zograd_trainer::{
    DecayToward, Event, MeasuredRate, Measuring, Schedule, TailStep, TrainConfig,
};

/// Learning rate of the built-in run, chosen for a curve that can be watched: 1e-4 is faster, 1e-3 diverges.
const BUILT_IN_LR: f64 = 2e-5;

/// Settings that do not alter a number of a run.
pub(crate) const WITHOUT_EFFECT: [&str; 4] = ["threads", "device", "preset", "out"];

/// Everything that was decided before a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The named settings it began from.
    pub preset: Option<String>,
    /// Model, task, prompts.
    pub inputs: Inputs,
    /// What the columns of rows are, where no task says it.
    pub columns: Columns,
    /// How many rows.
    pub sizes: SplitSizes,
    /// What is tuned.
    pub tune: Tune,
    /// What is tuned instead of the weights.
    pub adapter: Option<AdapterConfig>,
    /// The method's name.
    pub method: String,
    /// How better weights are found.
    pub procedure: Procedure,
    /// What is minimised; of `auto` the task decides. Linear probing has its own.
    pub objective: Option<ObjectiveName>,
    /// What written answers are worth, if that is minimised.
    pub reward: Option<RewardOptions>,
    /// How the answers of steps are drawn, if they are.
    pub sampling: Option<Sampling>,
    /// The loop. Where the learning rate is measured, it is 0 until then.
    pub config: TrainConfig,
    /// How much is measured of the curvature that the learning rate is made of, if it is.
    pub measuring: Option<Measuring>,
    /// What was measured.
    measured: Option<MeasuredRate>,
    /// Where to compute.
    pub machine: Machine,
    /// The folder that was asked for.
    pub out: Option<PathBuf>,
    /// What else is to be written, as it was taken.
    taken: toml::Table,
    /// What they were made of, before any default.
    asked: Given,
    /// What the settings are made of that take the place of these if the rows have classes, as no method was named.
    recipe: Option<Given>,
}

impl Settings {
    /// All keys of a run, by methods of these.
    pub fn keys(methods: &Methods) -> Keys {
        Keys::default()
            .and::<PresetChoice>()
            .and::<Inputs>()
            .and::<Columns>()
            .and::<ExampleCounts>()
            .and::<TuneChoice>()
            .and::<LoraOptions>()
            .and::<PrefixOptions>()
            .and::<MethodChoice>()
            .choosing("method", method::choices(methods))
            .and_methods(methods, MethodChoice::HEADING)
            .and::<ObjectiveChoice>()
            .and::<RewardOptions>()
            .and::<SamplingOptions>()
            .and::<StepRuleOptions>()
            .and::<InformedOptions>()
            .and::<CalibrationOptions>()
            .and::<PerturbationOptions>()
            .and::<LowRankOptions>()
            .and::<BlockOptions>()
            .and::<SparseOptions>()
            .and::<StepSizes>()
            .and::<TailOptions>()
            .and::<GradientOptions>()
            .and::<Draw>()
            .and::<BatchOptions>()
            .and::<Budget>()
            .and::<EvalOptions>()
            .and::<Machine>()
            .and::<Place>()
    }

    /// What was given, completed by the preset that it names and by the defaults.
    ///
    /// # Errors
    /// An unknown preset or method, a value out of range, a setting that goes with another choice.
    pub fn resolve(given: Given, methods: &Methods) -> Result<Self> {
        let (asked, recipe) = (given.clone(), recipe::of_classes(&given));
        let mut given = Preset::complete(given, methods)?;
        let PresetChoice { preset } = given.take()?;
        let Place { out } = given.take()?;
        let inputs: Inputs = given.take()?;
        let columns: Columns = given.take()?;
        columns.roles(inputs.task.as_deref())?;
        let built_in = inputs.built_in();
        let machine = given.take::<Machine>()?.complete()?;
        let MethodChoice { method } = given.take()?;
        let method = method.unwrap_or_else(|| DEFAULT_METHOD.into());
        let kind = MethodKind::of(&method);

        let TuneChoice { tune } = given.take()?;
        let tune = tune.unwrap_or(match kind {
            MethodKind::LinearProbe => Tune::Head,
            _ => Tune::Full,
        });
        let (adapter, mut taken) = take_adapter(&mut given, tune)?;
        let mut draw: Draw = given.take()?;
        draw.complete()?;
        let batch_size = draw.batch_size.unwrap_or(1);
        let chosen = Chosen {
            kind,
            tune,
            storage: machine.storage(),
            batch_size,
            built_in,
        };
        let (procedure, own) = Procedure::take(&mut given, &method, methods, &chosen)?;
        taken.extend(own);
        let sizes = take_sizes(&mut given, built_in)?;
        let mut steps = Stepped::default();
        if let Some(per_step) = procedure.forwards(methods)? {
            let before = procedure.forwards_before(sizes.train, batch_size);
            let head_fit = match asked.get("train-examples") {
                Some(_) => "`head-fit`",
                // before anybody has counted them
                None => "`head-fit`; say so with `train-examples` if there are fewer rows",
            };
            let cost = StepCost {
                forwards: per_step,
                before,
                before_by: head_fit.into(),
                batch_size: batch_size as u64,
            };
            steps = Stepped::take(&mut given, &chosen, cost)?;
            taken.extend(steps.written()?);
        }
        if procedure.is_informed() {
            steps.check_informed()?;
        }
        if let (Some(rule), Some(_)) = (procedure.step_rule(), &steps.measuring) {
            refuse!(
                "`lr = auto`: it is measured for updates as they are, and not with `{rule}`; give a number"
            );
        }
        if procedure.is_per_example() {
            steps.check_per_example(&method)?;
            let each = procedure.forwards(methods)?.unwrap_or_default();
            if each.saturating_mul(batch_size as u64) > MAX_EVALUATIONS as u64 {
                refuse!(
                    "`batch-size = {batch_size}`: with {each} directions of each example it would be more than \
                     {MAX_EVALUATIONS} in a step; use a smaller one"
                );
            }
        }
        let eval_batch_size = given.take::<EvalOptions>()?.batch_size()?;
        given.finish(&Self::keys(methods), |key| {
            match (steps.objective, &method) {
                (Some(objective), _) if RewardOptions::has(key) || SamplingOptions::has(key) => {
                    format!("`objective = {objective}`")
                }
                _ if key.starts_with("lora") || key.starts_with("prefix") => {
                    format!("`tune = {tune}`")
                }
                (_, method) => procedure.chosen_for(key, method),
            }
        })?;

        let limit = steps.budget.limit();
        let unlimited = limit.map_or(1, |_| u64::MAX);
        let mut config = TrainConfig::new(
            steps.budget.steps.unwrap_or(unlimited),
            match steps.sizes.lr {
                Some(LearningRate::Number(lr)) => lr,
                Some(LearningRate::Auto) | None => 0.0,
            },
        );
        config.limit = limit;
        config.guards = steps.budget.guards()?;
        if let Procedure::ZerothOrder(zo) = &procedure {
            config.anchor_every = zo.anchor_every;
        }
        config.schedule = steps.sizes.schedule.unwrap_or(Schedule::Constant);
        config.weight_decay = steps.sizes.weight_decay.unwrap_or(0.0);
        config.decay_toward = steps.sizes.decay_toward.unwrap_or_default();
        config.batch_size = batch_size;
        config.balanced = steps.batches.balanced;
        config.seed = draw.seed.unwrap_or(0);
        let every = limit.map_or(1, |_| 0);
        config.eval_every = steps.budget.eval_every.unwrap_or(every);
        config.patience = steps.budget.patience.unwrap_or(0);
        if config.patience > 0 && sizes.dev == 0 {
            refuse!(
                "`patience = {}`: nothing gets better without development examples; use `dev-examples` of at least 1, or leave it out",
                config.patience
            );
        }
        config.best_by = steps.budget.best_by.unwrap_or_default();
        config.eval_batch_size = eval_batch_size;
        config.check().or_input()?;
        taken.extend(table(&draw)?);
        Ok(Self {
            preset,
            inputs: inputs.absolute(),
            columns,
            sizes,
            tune,
            adapter,
            method,
            procedure,
            objective: steps.objective,
            reward: steps.reward,
            sampling: steps.sampling,
            config,
            measuring: steps.measuring,
            measured: None,
            machine,
            out,
            asked,
            recipe,
            taken,
        })
    }

    /// The same for the rows that were found, where that is fewer for training than were asked for: a head fit takes fewer forward
    /// passes then, and leaves more of a budget to the steps.
    ///
    /// # Errors
    /// As [`Settings::resolve`].
    pub(crate) fn with_rows(self, found: &SplitCounts, methods: &Methods) -> Result<Self> {
        let rows = found.train.got;
        if rows == 0 || rows >= self.sizes.train || self.head_fit().is_none() {
            return Ok(self);
        }
        let asked = self.asked.clone().with("train-examples", as_integer(rows));
        Ok(Self {
            // which rows give way is as it was asked
            sizes: self.sizes.as_found(found),
            ..Self::resolve(asked, methods)?
        })
    }

    /// To how many training examples the norm before the head is to be fitted, if it is.
    pub(crate) fn head_fit(&self) -> Option<usize> {
        match &self.procedure {
            Procedure::ZerothOrder(zo) => zo.head_fit,
            Procedure::Tail(_) | Procedure::Gradient(_) | Procedure::LinearProbe => None,
        }
    }

    /// Whether no learning rate was asked for, and one could be measured.
    pub(crate) fn could_measure(&self, methods: &Methods) -> bool {
        let measured = || self.asked.clone().with("lr", LearningRate::AUTO);
        let is_open = self.asked.get("lr").is_none() && self.measuring.is_none();
        is_open && Self::resolve(measured(), methods).is_ok()
    }

    /// These settings as a file has them: a run with them is the same.
    ///
    /// # Errors
    /// A value that TOML cannot hold.
    pub fn given(&self) -> Result<Given> {
        let mut values = self.taken.clone();
        let yields = self.sizes.yields;
        let examples = ExampleCounts {
            // the one that gives way is the one that is not given
            train_examples: (yields != Yields::Train).then_some(self.sizes.train),
            dev_examples: (yields != Yields::Dev).then_some(self.sizes.dev),
            test_examples: Some(self.sizes.test),
        };
        let eval = EvalOptions {
            eval_batch_size: Some(self.config.eval_batch_size),
        };
        let objective = ObjectiveChoice {
            objective: self.objective,
        };
        let preset = PresetChoice {
            preset: self.preset.clone(),
        };
        values.extend(table(&preset)?);
        values.extend(table(&self.inputs)?);
        values.extend(table(&self.columns)?);
        values.extend(table(&examples)?);
        values.extend(table(&TuneChoice {
            tune: Some(self.tune),
        })?);
        values.extend(table(&MethodChoice {
            method: Some(self.method.clone()),
        })?);
        values.extend(table(&objective)?);
        values.extend(table(&eval)?);
        values.extend(table(&self.machine)?);
        if let Some(name) = &self.preset {
            let preset = Preset::named(name)?;
            if let Procedure::ZerothOrder(zo) = &self.procedure {
                values.extend(preset.switched_off(&zo.method));
                values.extend(preset.off("calibrate", zo.calibrate));
            }
            if self.procedure != Procedure::LinearProbe {
                values.extend(preset.off("balanced", self.config.balanced));
            }
        }
        Ok(values.into())
    }

    /// How weights are moved; gradient methods do not say.
    pub fn arithmetic(&self) -> Option<Arithmetic> {
        match &self.procedure {
            Procedure::ZerothOrder(zo) => Some(zo.arithmetic),
            Procedure::Tail(_) | Procedure::Gradient(_) | Procedure::LinearProbe => None,
        }
    }

    /// Whether the losses of steps are made with biases of the options.
    pub(crate) fn calibrates(&self) -> bool {
        match &self.procedure {
            Procedure::ZerothOrder(zo) => zo.calibrate,
            Procedure::Tail(_) | Procedure::Gradient(_) | Procedure::LinearProbe => false,
        }
    }

    /// Whether weights are moved exactly.
    pub(crate) fn is_exact(&self) -> bool {
        self.arithmetic() == Some(Arithmetic::Exact)
    }

    /// What the learning rate was made of, if it was measured.
    pub fn measured_rate(&self) -> Option<&MeasuredRate> {
        self.measured.as_ref()
    }

    /// Takes up the learning rate that was measured.
    pub(crate) fn take_rate(&mut self, measured: MeasuredRate) {
        self.config.lr = measured.lr;
        // whoever runs the settings again has the same, with another budget or by another clock
        let forwards = i64::try_from(measured.forwards).unwrap_or(i64::MAX);
        self.taken.insert("lr-forwards".into(), forwards.into());
        self.measured = Some(measured);
    }

    /// The same, but with plain arithmetic.
    pub(crate) fn make_plain(&mut self) {
        if let Procedure::ZerothOrder(zo) = &mut self.procedure {
            zo.arithmetic = Arithmetic::Plain;
            self.taken.insert("arithmetic".into(), "plain".into());
        }
    }

    /// Forward passes of training, of all steps; none for a method without steps, or where nobody knows how many there will
    /// be.
    ///
    /// # Errors
    /// A method that is not there.
    pub fn forwards(&self, methods: &Methods) -> Result<Option<u64>> {
        if self.config.limit.is_some() {
            return Ok(None);
        }
        let per_step = self.procedure.forwards(methods)?;
        let before = self
            .procedure
            .forwards_before(self.sizes.train, self.config.batch_size);
        let all = |forwards: u64| {
            let measuring = self.measuring.as_ref().map_or(0, rate::forwards);
            forwards
                .saturating_mul(self.config.steps)
                .saturating_add(before + measuring)
        };
        Ok(per_step.map(all))
    }

    /// Which parameters move.
    pub fn selection(&self) -> Selection {
        self.tune.selection()
    }

    /// What the log of a zeroth-order run says of it, whose weights stand still between updates or hop.
    pub(crate) fn header(
        &self,
        zo: &ZerothOrder,
        space: &ParameterSpace,
        base: &BaseNote,
        adapter: Option<AdapterStart>,
        stands_still: bool,
    ) -> Header {
        let stands_still = stands_still && zo.arithmetic != Arithmetic::Exact;
        let config = &self.config;
        Header {
            format: Header::format_of(
                adapter.as_ref(),
                &zo.perturbation,
                zo.arithmetic,
                stands_still,
                config,
            ),
            model: base.model.clone(),
            weights: base.weights.clone(),
            dtype: base.dtype,
            dimension: space.dimension(),
            selection: self.selection(),
            head_fit: None,
            measured_rate: None,
            informed: None,
            adapter,
            noise: zo.noise,
            perturbation: zo.perturbation.clone(),
            noise_version: noise::VERSION,
            arithmetic: zo.arithmetic,
            stands_still,
            eps: zo.eps,
            method: zo.method.clone(),
            config: config.clone(),
        }
        .with_informed(zo.informed)
    }

    /// What the log of a run along the tail says of it: its steps are made again from the examples, so that it names no
    /// direction.
    pub(crate) fn tail_header(
        &self,
        step: TailStep,
        space: &ParameterSpace,
        base: &BaseNote,
        adapter: Option<AdapterStart>,
    ) -> Result<Header> {
        let (config, perturbation) = (&self.config, PerturbationSpec::default());
        let arithmetic = Arithmetic::Plain;
        let step = serde_json::to_value(step).or_input()?;
        Ok(Header {
            format: Header::format_of(adapter.as_ref(), &perturbation, arithmetic, false, config),
            model: base.model.clone(),
            weights: base.weights.clone(),
            dtype: base.dtype,
            dimension: space.dimension(),
            selection: self.selection(),
            adapter,
            noise: NoiseKind::default(),
            perturbation,
            noise_version: noise::VERSION,
            arithmetic,
            stands_still: false,
            eps: 0.0,
            method: MethodSpec::new(method::TAIL).with("step", step),
            head_fit: None,
            measured_rate: None,
            informed: None,
            config: config.clone(),
        })
    }
}

/// The choices that other settings depend on.
struct Chosen {
    kind: MethodKind,
    tune: Tune,
    storage: Storage,
    batch_size: usize,
    /// Whether model and task are the built-in ones.
    built_in: bool,
}

/// The settings of the adapter that is tuned, if one is.
fn take_adapter(given: &mut Given, tune: Tune) -> Result<(Option<AdapterConfig>, toml::Table)> {
    Ok(match tune {
        Tune::Full | Tune::Head => (None, toml::Table::new()),
        Tune::Lora => {
            let mut options: LoraOptions = given.take()?;
            (Some(options.complete()), table(&options)?)
        }
        Tune::Prefix => {
            let mut options: PrefixOptions = given.take()?;
            (Some(options.complete()), table(&options)?)
        }
    })
}

fn take_sizes(given: &mut Given, built_in: bool) -> Result<SplitSizes> {
    let (train, dev) = (
        given.is_firm("train-examples"),
        given.is_firm("dev-examples"),
    );
    let yields = match (train, dev) {
        (true, false) => Yields::Dev,
        (false, true) => Yields::Train,
        (true, true) | (false, false) => Yields::Both,
    };
    let examples: ExampleCounts = given.take()?;
    let (dev, test) = if built_in { (200, 500) } else { (500, 1000) };
    Ok(SplitSizes {
        train: budget::at_least_one("train-examples", examples.train_examples.unwrap_or(1000))?,
        dev: examples.dev_examples.unwrap_or(dev),
        test: budget::at_least_one("test-examples", examples.test_examples.unwrap_or(test))?,
        demonstrations: 0,
        yields,
    })
}

/// Refuses a guard for what does not happen to these runs.
fn check_guards(budget: &Budget, method: MethodKind, objective: ObjectiveName) -> Result<()> {
    let Some(guard) = &budget.guard else {
        return Ok(());
    };
    for event in budget.guards()?.answered() {
        if event.is_of_reward() && objective != ObjectiveName::Reward {
            refuse!("`guard = {guard}`: {event} does not happen without `objective = reward`");
        }
        match event {
            Event::FlatLoss
            | Event::VanishingGradient
            | Event::UpdateBelowGrid
            | Event::UpdateTooFar
                if method.has_gradient() =>
            {
                refuse!("`guard = {guard}`: {event} does not happen to a gradient method")
            }
            Event::ExplodingGradient if method == MethodKind::Tail => refuse!(
                "`guard = {guard}`: the length of a tail's gradient is known when the weights have moved; leave {event} out"
            ),
            _ => {}
        }
    }
    Ok(())
}

/// A number of rows as files have it.
fn as_integer(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// What methods with steps have.
#[derive(Default)]
struct Stepped {
    sizes: StepSizes,
    batches: BatchOptions,
    budget: Budget,
    objective: Option<ObjectiveName>,
    reward: Option<RewardOptions>,
    measuring: Option<Measuring>,
    drawn: SamplingOptions,
    sampling: Option<Sampling>,
}

impl Stepped {
    /// Of a method whose steps have this cost.
    fn take(given: &mut Given, chosen: &Chosen, mut cost: StepCost) -> Result<Self> {
        let (mut sizes, mut budget) = (given.take::<StepSizes>()?, given.take::<Budget>()?);
        let gradient = chosen.kind.has_gradient();
        if sizes.lr.is_none() && sizes.lr_forwards.is_some() && !gradient {
            // who says how it is measured wants it measured
            sizes.lr = Some(LearningRate::Auto);
        }
        let is_measured = sizes.lr == Some(LearningRate::Auto);
        if is_measured && gradient {
            refuse!(
                "`lr = auto`: it is measured by the probes of zeroth-order methods; give this method a number"
            );
        }
        if let (true, Tune::Lora | Tune::Prefix) = (is_measured, chosen.tune) {
            refuse!(
                "`lr = auto`: not with `tune = {}`: a new adapter hardly moves the loss, so that its curvature there says nothing \
                 of how far to go; give a number",
                chosen.tune
            );
        }
        let examples = budget.examples.map(|n| n / cost.batch_size);
        let limited = budget.limit().is_some();
        let measuring = match (is_measured, sizes.lr_forwards) {
            (true, asked) => {
                let forwards = budget.forwards.or(examples);
                Some(rate::measuring(asked, forwards, budget.limit())?)
            }
            (false, Some(n)) if gradient => refuse!(
                "`lr-forwards = {n}`: a learning rate is measured by the probes of zeroth-order methods; leave it out"
            ),
            (false, Some(n)) => {
                refuse!("`lr-forwards = {n}`: nothing is measured without `lr = auto`")
            }
            (false, None) => None,
        };
        let forwards = measuring.as_ref().map(rate::forwards);
        if let Some(forwards) = forwards {
            cost.before_by = match cost.before {
                0 => "`lr = auto`".into(),
                _ => format!("`lr = auto`, {}", cost.before_by),
            };
            cost.before += forwards;
        }
        sizes.lr_forwards = forwards;
        budget.resolve(&cost, chosen.built_in)?;
        sizes
            .lr
            .get_or_insert(LearningRate::Number(match chosen.tune {
                Tune::Full if chosen.built_in && !gradient => BUILT_IN_LR,
                tune => tune.default_lr(gradient),
            }));
        let schedule = *sizes.schedule.get_or_insert(match is_measured && !limited {
            true => Schedule::Linear,
            false => Schedule::Constant,
        });
        if limited && schedule != Schedule::Constant {
            refuse!(
                "`schedule`: a learning rate that falls to 0 at the end needs to know the end; give `steps`, `forwards` or \
                 `examples`, or leave it constant"
            );
        }
        let decay = *sizes.weight_decay.get_or_insert(0.0);
        if sizes.decay_toward == Some(DecayToward::Start) {
            if gradient {
                refuse!(
                    "`decay-toward = start`: the weights of tail, adam and adamw decay towards zero; use a zeroth-order method, or \
                     leave it out"
                );
            }
            if decay == 0.0 {
                refuse!(
                    "`decay-toward = start`: there is no decay; give `weight-decay`, such as 0.1"
                );
            }
        }
        budget.best_by.get_or_insert_default();
        let batches = given.take()?;
        let ObjectiveChoice { objective } = given.take()?;
        let objective = objective.unwrap_or(ObjectiveName::Auto);
        if is_measured && !objective.is_smooth() {
            refuse!(
                "`lr = auto`: what `objective = {objective}` minimises has no curvature to measure; give a number"
            );
        }
        if gradient {
            objective.check_differentiable()?;
        }
        check_guards(&budget, chosen.kind, objective)?;
        let (mut reward, mut drawn) = (None, SamplingOptions::default());
        if objective == ObjectiveName::Reward {
            let mut options: RewardOptions = given.take()?;
            options.complete()?;
            (reward, drawn) = (Some(options), given.take()?);
        }
        Ok(Self {
            sizes,
            batches,
            budget,
            objective: Some(objective),
            reward,
            measuring,
            sampling: drawn.complete()?,
            drawn,
        })
    }

    /// Refuses what a candidate cannot be informed with.
    fn check_informed(&self) -> Result<()> {
        if self.measuring.is_some() {
            refuse!(
                "`lr = auto`: it is measured along noise, and not with `informed`; give a number"
            );
        }
        if let Some(objective) = self.objective.filter(|objective| !objective.is_smooth()) {
            refuse!(
                "`objective = {objective}`: it has no gradient that could inform a candidate; leave `informed` out, or use \
                 classification or teacher-forcing"
            );
        }
        Ok(())
    }

    /// Refuses what does not go with a method whose examples have directions of their own.
    fn check_per_example(&self, method: &str) -> Result<()> {
        if self.measuring.is_some() {
            refuse!(
                "`lr = auto`: it is measured along noise that all examples share, and not with `method = {method}`; give a number"
            );
        }
        if let Some(objective @ (ObjectiveName::F1 | ObjectiveName::Reward)) = self.objective {
            refuse!(
                "`objective = {objective}`: not with `method = {method}`, which leaves the weights where they are, so that they \
                 write no answers; use classification or teacher-forcing"
            );
        }
        Ok(())
    }

    fn written(&self) -> Result<toml::Table> {
        let mut written = table(&self.sizes)?;
        written.extend(table(&self.batches)?);
        written.extend(table(&self.budget)?);
        if let Some(reward) = &self.reward {
            written.extend(table(reward)?);
        }
        written.extend(table(&self.drawn)?);
        Ok(written)
    }
}
