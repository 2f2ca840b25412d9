//! How a run finds better weights: what the flags of the heading "Method" say.

use super::report::kebab;
use super::{objective, tune};
use crate::args::{MethodName, TrainArgs, TuneName};
use anyhow::{Result, bail};
use burn::tensor::DType;
use std::ops::RangeInclusive;
use zograd_perturb::{Arithmetic, NoiseKind};
use zograd_select::Method;
use zograd_trainer::{Backpropagation, GradientOptimizer};

/// Perturbation scales that make sense: smaller ones drown in the rounding of f32, larger ones drown the weights.
pub const EPS: RangeInclusive<f64> = 1e-12..=1.0;

/// How a run finds better weights.
#[derive(Clone, Debug)]
pub enum Procedure {
    /// Forward passes only.
    ZerothOrder(ZerothOrder),
    /// A gradient baseline.
    Gradient(Backpropagation),
    /// Logistic regression on features, the other baseline.
    Probe,
}

/// What a zeroth-order run has settings for.
#[derive(Clone, Debug)]
pub struct ZerothOrder {
    pub method: Method,
    pub noise: NoiseKind,
    pub arithmetic: Arithmetic,
    pub eps: f64,
    /// Steps after which anchored weights become their rounded originals again; 0: no anchor.
    pub anchor_every: u64,
}

impl Procedure {
    /// The procedure of these settings, whose defaults are filled in.
    ///
    /// # Errors
    /// A flag of another method, or a value out of its range.
    pub fn resolve(r: &mut TrainArgs, dtype: DType) -> Result<Self> {
        let name = *r.method.get_or_insert(MethodName::Gv);
        check_owners(r, name)?;
        match name {
            MethodName::Adam => gradient(r, GradientOptimizer::Adam, dtype),
            MethodName::AdamW => gradient(r, GradientOptimizer::AdamW, dtype),
            MethodName::LinearProbing => match r.tune.get_or_insert(TuneName::Head) {
                TuneName::Head => Ok(Self::Probe),
                other => bail!(
                    "--tune {}: linear probing makes a new head; leave --tune out",
                    kebab(other)
                ),
            },
            _ => zeroth_order(r, name, dtype).map(Self::ZerothOrder),
        }
    }

    /// What a step costs in forward passes; `None` where there are no steps.
    ///
    /// # Errors
    /// A method whose parameters are out of range.
    pub fn forwards(&self) -> Result<Option<u64>> {
        Ok(match self {
            Self::ZerothOrder(zo) => Some(zo.method.build()?.forwards() as u64),
            Self::Gradient(settings) => Some(settings.forwards()),
            Self::Probe => None,
        })
    }
}

/// Refuses flags that belong to other methods.
fn check_owners(r: &TrainArgs, name: MethodName) -> Result<()> {
    use MethodName::{Greedy, Gv, LinearProbing, NSpsa, PoolRegression};
    let pooled = matches!(name, Gv | Greedy | PoolRegression);
    let probing = name == LinearProbing;
    let gradient = name.has_gradient();
    let zeroth_order = !gradient && !probing;
    let shown = kebab(&name);
    let flags = [
        ("--pool", r.pool.is_some(), pooled, "has no pool"),
        (
            "--alpha",
            r.alpha.is_some(),
            name == Gv,
            "has none; only gv has",
        ),
        (
            "--faithful-cost",
            r.faithful_cost,
            name == Gv,
            "has none; only gv has",
        ),
        (
            "--queries",
            r.queries.is_some(),
            name == NSpsa,
            "has none; only n-spsa has",
        ),
        (
            "--eps",
            r.eps.is_some(),
            zeroth_order,
            "does not perturb weights",
        ),
        (
            "--noise",
            r.noise.is_some(),
            zeroth_order,
            "does not perturb weights",
        ),
        (
            "--arithmetic",
            r.arithmetic.is_some(),
            zeroth_order,
            "does not perturb weights",
        ),
        (
            "--anchor-every",
            r.anchor_every.is_some(),
            zeroth_order,
            "does not perturb weights",
        ),
        (
            "--max-grad-norm",
            r.max_grad_norm.is_some(),
            gradient,
            "has no gradient",
        ),
        (
            "--micro-batch",
            r.micro_batch.is_some(),
            gradient,
            "keeps no activations",
        ),
        ("--recompute", r.recompute, gradient, "keeps no activations"),
        ("--steps", r.steps.is_some(), !probing, "has no steps"),
        ("--forwards", r.forwards.is_some(), !probing, "has no steps"),
        ("--lr", r.lr.is_some(), !probing, "has no steps"),
        ("--schedule", r.schedule.is_some(), !probing, "has no steps"),
        (
            "--weight-decay",
            r.weight_decay.is_some(),
            !probing,
            "has no steps",
        ),
        (
            "--eval-every",
            r.eval_every.is_some(),
            !probing,
            "has no steps",
        ),
        ("--guard", r.guard.is_some(), !probing, "has no steps"),
        (
            "--objective",
            r.objective.is_some(),
            !probing,
            "has its own",
        ),
    ];
    for (flag, given, owned, why) in flags {
        if given && !owned {
            bail!("{flag}: the method {shown} {why}");
        }
    }
    Ok(())
}

fn zeroth_order(r: &mut TrainArgs, name: MethodName, dtype: DType) -> Result<ZerothOrder> {
    let mut pool = || *r.pool.get_or_insert(4);
    let method = match name {
        MethodName::NSpsa => Method::NSpsa {
            queries: *r.queries.get_or_insert(2),
        },
        MethodName::Gv => Method::Gv {
            pool: pool(),
            alpha: *r.alpha.get_or_insert(0.5),
            faithful_cost: r.faithful_cost,
        },
        MethodName::GvHistory => Method::GvHistory,
        MethodName::Greedy => Method::Greedy { pool: pool() },
        MethodName::PoolRegression => Method::PoolRegression { pool: pool() },
        _ => Method::Mezo,
    };
    let default_eps = tune::default_eps(r.tune.unwrap_or(TuneName::Full));
    let eps = *r.eps.get_or_insert(default_eps);
    if !EPS.contains(&eps) {
        bail!("--eps {eps}: the perturbation scale must be above 0 and at most 1; try 1e-3");
    }
    let arithmetic = arithmetic(r.arithmetic, dtype)?;
    r.arithmetic = Some(arithmetic);
    let anchor_every = match (arithmetic, r.anchor_every) {
        (Arithmetic::Anchored, Some(0)) => bail!("--anchor-every 0: use at least 1"),
        (Arithmetic::Anchored, every) => *r.anchor_every.insert(every.unwrap_or(100)),
        (_, None) => 0,
        (_, Some(_)) => bail!("--anchor-every: only with --arithmetic anchored"),
    };
    Ok(ZerothOrder {
        method,
        noise: *r.noise.get_or_insert(NoiseKind::Gaussian),
        arithmetic,
        eps,
        anchor_every,
    })
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

fn gradient(r: &mut TrainArgs, optimizer: GradientOptimizer, dtype: DType) -> Result<Procedure> {
    if dtype != DType::F32 {
        bail!(
            "--dtype {}: {} moves weights by less than 16 bits can hold; use f32",
            kebab(&r.dtype),
            kebab(&r.method)
        );
    }
    let max_norm = *r.max_grad_norm.get_or_insert(1.0);
    if max_norm.is_nan() || max_norm <= 0.0 {
        bail!("--max-grad-norm {max_norm}: use a number above 0, or inf");
    }
    if let Some(name) = r.objective {
        objective::differentiable(name)?;
    }
    if let Some(guard) = &r.guard
        && let Some(event) = ["flat-loss", "vanishing-gradient", "update-too-far"]
            .into_iter()
            .find(|event| guard.contains(event))
    {
        bail!("--guard {guard}: {event} does not happen to a gradient method");
    }
    let batch = *r.batch_size.get_or_insert(super::settings::BATCH_SIZE);
    if batch == 0 {
        bail!("--batch-size 0: use at least 1");
    }
    let micro_batch = *r.micro_batch.get_or_insert(batch);
    if micro_batch == 0 {
        bail!("--micro-batch 0: use at least 1");
    }
    Ok(Procedure::Gradient(Backpropagation {
        optimizer,
        max_norm,
        micro_batch,
        recompute: r.recompute,
    }))
}
