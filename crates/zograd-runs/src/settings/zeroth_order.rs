//! What a zeroth-order run has settings for.

use super::family::FamilyName;
use super::machine::Storage;
use super::owner::Owner;
use super::step_rules::StepRule;
use super::tuning::Tune;
use crate::error::{Result, refuse};
use crate::words::number;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use zograd_perturb::family::{PerturbationSpec, Scales};
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
    /// What a seed means.
    pub perturbation: Option<FamilyName>,
    /// Factor of the noise on parameters of one dimension.
    pub scale_1d: Option<f64>,
    /// Factor of the noise on learned tables of positions.
    pub scale_positions: Option<f64>,
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
        Setting::choice(
            "perturbation",
            "FAMILY",
            "Shape of the perturbations",
            FamilyName::CHOICES,
        )
        .or("dense; lozo with per-example"),
        Setting::number(
            "scale-1d",
            "X",
            "Factor of the noise on biases and norms, in probes and updates; 0: they do not move",
        )
        .or("1"),
        Setting::number(
            "scale-positions",
            "X",
            "Factor of the noise on learned tables of positions, the same",
        )
        .or("1"),
    ];
}

/// What a zeroth-order run has settings for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ZerothOrder {
    /// The method.
    pub method: MethodSpec,
    /// What is made of its updates, if something is.
    pub step_rule: Option<StepRule>,
    /// Distribution of the noise.
    pub noise: NoiseKind,
    /// What a seed means, by name.
    pub family: FamilyName,
    /// The same with its settings.
    pub perturbation: PerturbationSpec,
    /// How weights are moved.
    pub arithmetic: Arithmetic,
    /// Perturbation scale.
    pub eps: f64,
    /// Steps after which anchored weights become their rounded originals again; 0: no anchor.
    pub anchor_every: u64,
    /// Whether the losses of steps are made with biases of the options.
    pub calibrate: bool,
    /// To how many training examples the norm before the head is fitted before the first step, if it is.
    pub head_fit: Option<usize>,
    /// The scale of the candidate that is informed by the tail, if one is.
    pub informed: Option<f64>,
    /// Whether every example of a batch has directions of its own.
    pub per_example: bool,
    /// Bytes that are kept for each weight that moves.
    pub state_bytes_per_weight: usize,
}

impl PerturbationOptions {
    /// Fills in the family of a method whose examples have directions of their own: what these add is added to the products
    /// with a matrix, example by example.
    pub(super) fn take_per_example(&mut self, method: &str, tune: Tune) -> Result<()> {
        let family = *self.perturbation.get_or_insert(FamilyName::Lozo);
        if !matches!(family, FamilyName::Lozo | FamilyName::Subzero) {
            refuse!(
                "`perturbation = {family}`: not with `method = {method}`, whose examples each have noise of their own, which must be \
                 of low rank; use lozo or subzero"
            );
        }
        if tune != Tune::Full {
            refuse!(
                "`tune = {tune}`: not with `method = {method}`, which adds noise to the matrices of all layers; use full"
            );
        }
        // its terms are small parts of an update, and on grids every term is rounded by itself
        self.arithmetic.get_or_insert(Arithmetic::Plain);
        Ok(())
    }

    /// Fills in which family it is.
    pub(super) fn family(&mut self) -> (FamilyName, Scales) {
        let scales = Scales {
            vectors: *self.scale_1d.get_or_insert(1.0),
            positions: *self.scale_positions.get_or_insert(1.0),
        };
        let family = *self.perturbation.get_or_insert(FamilyName::Dense);
        (family, scales)
    }

    /// Fills in what else was left open, for this method and these perturbations.
    pub(super) fn complete(
        &mut self,
        (method, perturbation): (MethodSpec, PerturbationSpec),
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
            step_rule: None,
            family: self.perturbation.unwrap_or(FamilyName::Dense),
            perturbation,
            noise: *self.noise.get_or_insert(NoiseKind::Gaussian),
            arithmetic,
            eps,
            anchor_every,
            calibrate: false,
            head_fit: None,
            informed: None,
            per_example: false,
            state_bytes_per_weight: 0,
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
