//! What was decided before the run: flags, file and defaults together.

use super::report::kebab;
use super::tune;
use crate::args::{BackendName, DtypeName, MethodName, TrainArgs, TuneName};
use crate::{backend, task};
use anyhow::{Result, bail};
use burn::tensor::DType;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use zograd_models::{AdapterConfig, BaseNote};
use zograd_perturb::{Arithmetic, NoiseKind, ParameterSpace, noise};
use zograd_select::Method;
use zograd_tasks::SplitSizes;
use zograd_trainer::trajectory::{AdapterStart, Header};
use zograd_trainer::{Guards, Schedule, TrainConfig};

/// Perturbation scales that make sense: smaller ones drown in the rounding of f32, larger ones drown the weights.
pub const EPS: RangeInclusive<f64> = 1e-12..=1.0;

/// Forward passes of the built-in run: about a minute on two cores.
pub const EMBEDDED_FORWARDS: u64 = 4800;
/// Learning rate of the built-in run, chosen for a curve that can be watched: 1e-4 is faster, 1e-3 diverges.
pub const EMBEDDED_LR: f64 = 2e-5;

/// Everything that was decided before the run: flags, file and defaults together.
pub struct Settings {
    /// As it is written into the run's config.toml: `zograd train --config` runs the same again.
    pub resolved: TrainArgs,
    pub method: Method,
    pub method_name: String,
    pub config: TrainConfig,
    pub sizes: SplitSizes,
    pub noise: NoiseKind,
    pub arithmetic: Arithmetic,
    pub eps: f64,
    pub dtype: DType,
    /// What is tuned instead of the weights.
    pub adapter: Option<AdapterConfig>,
}

impl Settings {
    pub fn resolve(args: &TrainArgs) -> Result<Self> {
        let mut r = args.clone();
        let embedded = args.model.is_none() && args.task.is_none();
        let method_name = *r.method.get_or_insert(MethodName::Gv);
        let pooled = matches!(
            method_name,
            MethodName::Gv | MethodName::Greedy | MethodName::PoolRegression
        );
        let pool = r.pool.unwrap_or(4);
        if pooled {
            r.pool = Some(pool);
        } else if args.pool.is_some() {
            bail!("--pool: the method {} has no pool", kebab(&method_name));
        }
        let alpha = r.alpha.unwrap_or(0.5);
        if method_name == MethodName::Gv {
            r.alpha = Some(alpha);
        } else if args.faithful_cost {
            bail!("--faithful-cost: only the method gv has it");
        } else if args.alpha.is_some() {
            bail!("--alpha: only the method gv has it");
        }
        let queries = r.queries.unwrap_or(2);
        if method_name == MethodName::NSpsa {
            r.queries = Some(queries);
        } else if args.queries.is_some() {
            bail!("--queries: only the method n-spsa has it");
        }
        let method = match method_name {
            MethodName::Mezo => Method::Mezo,
            MethodName::NSpsa => Method::NSpsa { queries },
            MethodName::Gv => Method::Gv {
                pool,
                alpha,
                faithful_cost: args.faithful_cost,
            },
            MethodName::GvHistory => Method::GvHistory,
            MethodName::Greedy => Method::Greedy { pool },
            MethodName::PoolRegression => Method::PoolRegression { pool },
        };
        let per_step = method.build()?.forwards() as u64;
        let steps = match (args.steps, args.forwards) {
            (Some(steps), _) => steps,
            (None, Some(forwards)) => forwards / per_step,
            (None, None) if embedded => EMBEDDED_FORWARDS / per_step,
            (None, None) => 1000,
        };
        if steps == 0 {
            match args.forwards {
                Some(n) => {
                    bail!("--forwards {n}: one step of this method takes {per_step} forwards")
                }
                None => bail!("--steps 0: use at least 1"),
            }
        }
        (r.steps, r.forwards) = (Some(steps), None);
        let adapter = tune::resolve(&mut r)?;
        let (default_eps, default_lr) = tune::defaults(r.tune.unwrap_or(TuneName::Full));
        let eps = *r.eps.get_or_insert(default_eps);
        if !EPS.contains(&eps) {
            bail!("--eps {eps}: the perturbation scale must be above 0 and at most 1; try 1e-3");
        }
        let lr = *r.lr.get_or_insert(if embedded && adapter.is_none() {
            EMBEDDED_LR
        } else {
            default_lr
        });
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
        let backend = *r.backend.get_or_insert(BackendName::Ndarray);
        let dtype = backend::dtype(backend, *r.dtype.get_or_insert(DtypeName::F32))?;
        let arithmetic = arithmetic(r.arithmetic, dtype)?;
        r.arithmetic = Some(arithmetic);
        let anchor_every = match (arithmetic, r.anchor_every) {
            (Arithmetic::Anchored, Some(0)) => bail!("--anchor-every 0: use at least 1"),
            (Arithmetic::Anchored, every) => *r.anchor_every.insert(every.unwrap_or(100)),
            (_, None) => 0,
            (_, Some(_)) => bail!("--anchor-every: only with --arithmetic anchored"),
        };
        let config = TrainConfig {
            guards,
            anchor_every,
            steps,
            lr,
            schedule: *r.schedule.get_or_insert(Schedule::Constant),
            weight_decay: *r.weight_decay.get_or_insert(0.0),
            batch_size: positive("batch-size", *r.batch_size.get_or_insert(16))?,
            seed: *r.seed.get_or_insert(0),
            eval_every: *r.eval_every.get_or_insert(steps.div_ceil(10)),
            eval_batch_size: positive("eval-batch-size", *r.eval_batch_size.get_or_insert(32))?,
        };
        config.check()?;
        let noise = *r.noise.get_or_insert(NoiseKind::Gaussian);
        Ok(Self {
            method,
            method_name: kebab(&method_name),
            config,
            sizes,
            noise,
            arithmetic,
            eps,
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

    /// What the log says of the run.
    pub fn header(
        &self,
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
            selection: tune::selection(adapter.as_ref()),
            adapter,
            noise: self.noise,
            noise_version: noise::VERSION,
            arithmetic: self.arithmetic,
            eps: self.eps,
            method: self.method,
            config: self.config.clone(),
        }
    }
}

/// How weights of this type are moved.
fn arithmetic(asked: Option<Arithmetic>, dtype: DType) -> Result<Arithmetic> {
    let wide = dtype == DType::F32;
    Ok(match asked {
        None if wide => Arithmetic::Exact,
        None => Arithmetic::Plain,
        Some(Arithmetic::Exact) if !wide => {
            bail!("--arithmetic exact: only with --dtype f32; use anchored or plain")
        }
        Some(Arithmetic::Anchored) if wide => {
            bail!("--arithmetic anchored: only with --dtype f16 or bf16; f32 has exact")
        }
        Some(asked) => asked,
    })
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
