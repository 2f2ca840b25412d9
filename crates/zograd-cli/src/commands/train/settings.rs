//! What was decided before the run: flags, file and defaults together.

use super::procedure::{Procedure, ZerothOrder};
use super::report::kebab;
use super::tune;
use crate::args::{BackendName, DtypeName, TrainArgs, TuneName};
use crate::{backend, task};
use anyhow::{Result, bail};
use burn::tensor::DType;
use std::path::{Path, PathBuf};
use zograd_models::{AdapterConfig, BaseNote};
use zograd_perturb::{ParameterSpace, Selection, noise};
use zograd_tasks::SplitSizes;
use zograd_trainer::trajectory::{AdapterStart, Header};
use zograd_trainer::{Guards, Schedule, TrainConfig};

/// Forward passes of the built-in run: about a minute on two cores.
pub const EMBEDDED_FORWARDS: u64 = 4800;
/// Learning rate of the built-in run, chosen for a curve that can be watched: 1e-4 is faster, 1e-3 diverges.
pub const EMBEDDED_LR: f64 = 2e-5;

/// Examples of a step.
pub const BATCH_SIZE: usize = 16;

/// Everything that was decided before the run: flags, file and defaults together.
pub struct Settings {
    /// As it is written into the run's config.toml: `zograd train --config` runs the same again.
    pub resolved: TrainArgs,
    pub procedure: Procedure,
    pub method_name: String,
    pub config: TrainConfig,
    pub sizes: SplitSizes,
    pub dtype: DType,
    /// What is tuned instead of the weights.
    pub adapter: Option<AdapterConfig>,
}

impl Settings {
    pub fn resolve(args: &TrainArgs) -> Result<Self> {
        let mut r = args.clone();
        let embedded = args.model.is_none() && args.task.is_none();
        let backend = *r.backend.get_or_insert(BackendName::Ndarray);
        let dtype = backend::dtype(backend, *r.dtype.get_or_insert(DtypeName::F32))?;
        let procedure = Procedure::resolve(&mut r, dtype)?;
        let adapter = tune::resolve(&mut r)?;
        let steps = match procedure.forwards()? {
            Some(per_step) => {
                let steps = steps(args, per_step, embedded)?;
                (r.steps, r.forwards) = (Some(steps), None);
                steps
            }
            None => 1,
        };
        let gradient = matches!(procedure, Procedure::Gradient(_));
        let lr = match &procedure {
            Procedure::Probe => 0.0,
            _ => *r.lr.get_or_insert(match r.tune {
                None | Some(TuneName::Full) if embedded && !gradient => EMBEDDED_LR,
                tune => tune::default_lr(tune.unwrap_or(TuneName::Full), gradient),
            }),
        };
        let positive = |name: &str, value: usize| match value {
            0 => bail!("--{name} 0: use at least 1"),
            n => Ok(n),
        };
        let sizes = SplitSizes {
            train: positive("train-examples", *r.train_examples.get_or_insert(1000))?,
            dev: *r
                .dev_examples
                .get_or_insert(if embedded { 200 } else { 500 }),
            test: positive(
                "test-examples",
                *r.test_examples
                    .get_or_insert(if embedded { 500 } else { 1000 }),
            )?,
            demonstrations: 0,
        };
        let guards = match &r.guard {
            Some(text) => text.parse()?,
            None => Guards::default(),
        };
        let config = TrainConfig {
            guards,
            anchor_every: match &procedure {
                Procedure::ZerothOrder(zo) => zo.anchor_every,
                _ => 0,
            },
            steps,
            lr,
            schedule: *r.schedule.get_or_insert(Schedule::Constant),
            weight_decay: *r.weight_decay.get_or_insert(0.0),
            batch_size: positive("batch-size", *r.batch_size.get_or_insert(BATCH_SIZE))?,
            seed: *r.seed.get_or_insert(0),
            eval_every: *r.eval_every.get_or_insert(steps.div_ceil(10)),
            eval_batch_size: positive("eval-batch-size", *r.eval_batch_size.get_or_insert(32))?,
        };
        config.check()?;
        if matches!(procedure, Procedure::Probe) {
            // it has none of these, and its config.toml must be able to say so
            (r.schedule, r.weight_decay, r.eval_every) = (None, None, None);
        }
        Ok(Self {
            procedure,
            method_name: kebab(&r.method),
            config,
            sizes,
            dtype,
            adapter,
            resolved: TrainArgs {
                model: r.model.map(absolute_if_folder),
                tokenizer: r.tokenizer.map(absolute),
                task: r.task.map(absolute_if_task_file),
                data: r.data.map(absolute),
                out: None,
                ..r
            },
        })
    }

    /// What the log of a zeroth-order run says of it.
    pub fn header(
        &self,
        zo: &ZerothOrder,
        space: &ParameterSpace,
        base: &BaseNote,
        adapter: Option<AdapterStart>,
    ) -> Header {
        Header {
            format: Header::format_of(adapter.as_ref()),
            model: base.model.clone(),
            weights: base.weights.clone(),
            dtype: base.dtype.clone(),
            dimension: space.dimension(),
            selection: self.selection(),
            adapter,
            noise: zo.noise,
            noise_version: noise::VERSION,
            arithmetic: zo.arithmetic,
            eps: zo.eps,
            method: zo.method,
            config: self.config.clone(),
        }
    }

    /// Which parameters move.
    pub fn selection(&self) -> Selection {
        tune::selection(self.resolved.tune.unwrap_or(TuneName::Full))
    }
}

/// How many steps, if one costs so many forward passes.
fn steps(args: &TrainArgs, per_step: u64, embedded: bool) -> Result<u64> {
    let steps = match (args.steps, args.forwards) {
        (Some(steps), _) => steps,
        (None, Some(forwards)) => forwards / per_step,
        (None, None) if embedded => EMBEDDED_FORWARDS / per_step,
        (None, None) => 1000,
    };
    match (steps, args.forwards) {
        (0, Some(n)) => bail!("--forwards {n}: one step of this method takes {per_step} forwards"),
        (0, None) => bail!("--steps 0: use at least 1"),
        (steps, _) => Ok(steps),
    }
}

/// A path that means the same from any folder.
pub fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// The same for `--model`, which may also be the name of a model on the hub.
pub fn absolute_if_folder(model: String) -> String {
    if Path::new(&model).is_dir() {
        absolute(model.into()).display().to_string()
    } else {
        model
    }
}

/// The same for `--task`, which may be the name of a built-in one.
fn absolute_if_task_file(name: String) -> String {
    match task::is_file(&name) {
        true => absolute(name.into()).display().to_string(),
        false => name,
    }
}
