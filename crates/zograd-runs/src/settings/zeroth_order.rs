//! What a zeroth-order run has settings for.

use super::machine::Storage;
use super::owner::Owner;
use super::tuning::Tune;
use crate::error::{Result, refuse};
use crate::words::number;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use zograd_perturb::{Arithmetic, NoiseKind};
use zograd_select::{Choice, MethodSpec, Setting};

/// Perturbation scales that make sense: smaller ones drown in the rounding of f32, larger ones drown the weights.
const EPS: RangeInclusive<f64> = 1e-12..=1.0;

/// How weights are perturbed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PerturbationOptions {
    /// Distribution of the noise.
    pub noise: Option<NoiseKind>,
    /// How weights are moved.
    pub arithmetic: Option<Arithmetic>,
    /// Steps after which anchored weights become their rounded originals again.
    pub anchor_every: Option<u64>,
    /// Perturbation scale.
    pub eps: Option<f64>,
}

const NOISE: &[Choice] = &[
    Choice {
        name: "gaussian",
        help: "Normal numbers",
    },
    Choice {
        name: "rademacher",
        help: "Signs: a bit a weight",
    },
];

const ARITHMETIC: &[Choice] = &[
    Choice {
        name: "exact",
        help: "No rounding is left behind (f32 only)",
    },
    Choice {
        name: "anchored",
        help: "16-bit weights with f32 originals in a file, 4 bytes a weight",
    },
    Choice {
        name: "plain",
        help: "As the number format rounds",
    },
];

impl Owner for PerturbationOptions {
    const NAME: &'static str = "zeroth-order methods";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::choice("noise", "KIND", "Distribution of the perturbations", NOISE).or("gaussian"),
        Setting::choice("arithmetic", "HOW", "How weights are moved", ARITHMETIC)
            .or("exact with f32, else plain"),
        Setting::count(
            "anchor-every",
            "N",
            "Steps after which anchored weights become their rounded originals again (and before every evaluation)",
        )
        .or("100"),
        Setting::number("eps", "E", "Perturbation scale")
            .or("1e-3; 1e-2 with lora or head, 1e-1 with prefix"),
    ];
}

/// What a zeroth-order run has settings for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ZerothOrder {
    /// The method.
    pub method: MethodSpec,
    /// Distribution of the noise.
    pub noise: NoiseKind,
    /// How weights are moved.
    pub arithmetic: Arithmetic,
    /// Perturbation scale.
    pub eps: f64,
    /// Steps after which anchored weights become their rounded originals again; 0: no anchor.
    pub anchor_every: u64,
}

impl PerturbationOptions {
    /// Fills in what was left open, for this method.
    pub(super) fn complete(
        &mut self,
        method: MethodSpec,
        tune: Tune,
        storage: Storage,
    ) -> Result<ZerothOrder> {
        let eps = *self.eps.get_or_insert(tune.default_eps());
        if !EPS.contains(&eps) {
            let why = match eps > 0.0 && eps < *EPS.start() {
                true => "a perturbation so small is lost in the rounding of the weights",
                false => "the perturbation scale must be above 0 and at most 1",
            };
            refuse!("`eps = {}`: {why}; try 1e-3", number(eps));
        }
        let arithmetic = arithmetic(self.arithmetic, storage)?;
        self.arithmetic = Some(arithmetic);
        let anchor_every = match (arithmetic, self.anchor_every) {
            (Arithmetic::Anchored, Some(0)) => refuse!("`anchor-every = 0`: use at least 1"),
            (Arithmetic::Anchored, every) => *self.anchor_every.insert(every.unwrap_or(100)),
            (_, None) => 0,
            (_, Some(_)) => refuse!("`anchor-every`: only with `arithmetic = anchored`"),
        };
        Ok(ZerothOrder {
            method,
            noise: *self.noise.get_or_insert(NoiseKind::Gaussian),
            arithmetic,
            eps,
            anchor_every,
        })
    }
}

/// How weights of this type are moved.
fn arithmetic(asked: Option<Arithmetic>, storage: Storage) -> Result<Arithmetic> {
    let wide = storage == Storage::F32;
    Ok(match asked {
        None if wide => Arithmetic::Exact,
        None => Arithmetic::Plain,
        Some(Arithmetic::Exact) if !wide => {
            refuse!("`arithmetic = exact`: only with `dtype = f32`; use anchored or plain")
        }
        Some(Arithmetic::Anchored) if wide => {
            refuse!("`arithmetic = anchored`: only with 16-bit weights (`dtype`); f32 has exact")
        }
        Some(asked) => asked,
    })
}
