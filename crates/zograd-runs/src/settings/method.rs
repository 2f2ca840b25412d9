//! How a run finds better weights.

use super::Chosen;
use super::calibration::CalibrationOptions;
use super::family;
use super::given::Given;
use super::gradient::GradientOptions;
use super::informed::InformedOptions;
use super::owner::{Owner, table};
use super::step_rules::{StepRule, StepRuleOptions};
use super::tail::TailOptions;
use super::tuning::Tune;
use super::zeroth_order::{PerturbationOptions, ZerothOrder};
use crate::error::{Blame, Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_perturb::{Arithmetic, NoiseKind};
use zograd_select::{Choice, MethodSpec, Methods, Setting};
use zograd_trainer::{Backpropagation, GradientOptimizer, TailStep};

/// Which method.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MethodChoice {
    /// Its name.
    pub method: Option<String>,
}

impl Owner for MethodChoice {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] =
        &[Setting::text("method", "METHOD", "The method").or(
            "gv; of rows with classes that of preset = start/any/recipe, if no setting that goes with a method is given",
        )];
}

/// The name of the descent along the tail.
pub(crate) const TAIL: &str = "tail";

/// What stands beside the zeroth-order methods: the tail, and what they are compared with.
const BESIDE: [(Choice, MethodKind); 4] = [
    (
        Choice {
            name: TAIL,
            help: "The gradient of the answers' own positions, with the prompt held fixed: 1 forward, and a walk back with \
                   a few tokens",
        },
        MethodKind::Tail,
    ),
    (
        Choice {
            name: "adam",
            help: "Baseline: backpropagation with Adam, counted as 3 forwards (a backward as two)",
        },
        MethodKind::Gradient(GradientOptimizer::Adam),
    ),
    (
        Choice {
            name: "adamw",
            help: "Baseline: backpropagation with AdamW, the same",
        },
        MethodKind::Gradient(GradientOptimizer::AdamW),
    ),
    (
        Choice {
            name: "linear-probing",
            help: "Baseline: a new head by logistic regression on what the model gives the head; no steps",
        },
        MethodKind::LinearProbe,
    ),
];

/// A kind of method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodKind {
    /// Forward passes only.
    ZerothOrder,
    /// A walk back along the answers' own positions.
    Tail,
    /// Backpropagation.
    Gradient(GradientOptimizer),
    /// Logistic regression on features.
    LinearProbe,
}

impl MethodKind {
    /// The kind of the method with this name; of one that does not exist that of the zeroth-order methods.
    pub fn of(name: &str) -> Self {
        let found = BESIDE.iter().find(|(choice, _)| choice.name == name);
        found.map_or(Self::ZerothOrder, |(_, kind)| *kind)
    }

    /// Whether it follows a gradient, of the whole model or of the tail.
    pub fn has_gradient(self) -> bool {
        matches!(self, Self::Gradient(_) | Self::Tail)
    }

    /// Whether its runs have a log, from which they are resumed.
    pub fn has_log(self) -> bool {
        matches!(self, Self::ZerothOrder | Self::Tail)
    }
}

/// The method where none is given.
pub const DEFAULT_METHOD: &str = "gv";

/// All methods, with a line of help each.
pub(super) fn choices(methods: &Methods) -> Vec<Choice> {
    let own = methods.iter().map(|method| Choice {
        name: method.name,
        help: method.about,
    });
    own.chain(BESIDE.map(|(choice, _)| choice)).collect()
}

/// How a run finds better weights.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Procedure {
    /// Forward passes only.
    ZerothOrder(ZerothOrder),
    /// The gradient of the answers' own positions.
    Tail(TailStep),
    /// A gradient baseline.
    Gradient(Backpropagation),
    /// Logistic regression on features, the other baseline.
    LinearProbe,
}

impl Procedure {
    /// Takes what the method with this name has, and fills in what was left open; with the settings as they are to be
    /// written.
    ///
    /// # Errors
    /// A setting out of its range.
    pub(super) fn take(
        given: &mut Given,
        name: &str,
        methods: &Methods,
        chosen: &Chosen,
    ) -> Result<(Self, toml::Table)> {
        let (tune, storage) = (chosen.tune, chosen.storage);
        match chosen.kind {
            MethodKind::ZerothOrder => {
                let spec = match methods.get(name) {
                    Some(method) => given.take_method(method)?,
                    None => MethodSpec::new(name),
                };
                let mut of_steps: StepRuleOptions = given.take()?;
                let rules = of_steps.complete()?;
                let spec = methods.complete(&spec.with_rules(&rules)).or_input()?;
                let mut options: PerturbationOptions = given.take()?;
                let per_example = methods.build(&spec).or_input()?.is_per_example();
                if per_example {
                    options.take_per_example(name, tune)?;
                }
                let (family, scales) = options.family();
                let (perturbation, of_family) = family::take(given, family, scales)?;
                let mut informed: InformedOptions = given.take()?;
                let scale = informed.complete(name, &mut options, &perturbation, storage)?;
                let mut how = options.complete((spec, perturbation), tune, storage)?;
                (how.informed, how.per_example) = (scale, per_example);
                how.step_rule = StepRule::of(&rules);
                if let Some(rule) = how.step_rule {
                    rule.check(how.family, scale.is_some())?;
                }
                how.state_bytes_per_weight = state_bytes(&how, methods)?;
                let calibration: CalibrationOptions = given.take()?;
                if calibration.calibrate && scale.is_some() {
                    refuse!(
                        "`calibrate`: not with `informed`, whose gradient does not know the biases; leave one of them out"
                    );
                }
                if calibration.calibrate && per_example {
                    refuse!(
                        "`calibrate`: not with `method = {name}`, whose losses are of single examples, to which no biases can be \
                         fitted; leave it out"
                    );
                }
                how.calibrate = calibration.calibrate;
                how.head_fit = calibration.rows(tune)?;
                let mut written = in_files(&how.method)?;
                written.extend(table(&of_steps)?);
                written.extend(table(&options)?);
                written.extend(of_family);
                written.extend(table(&informed)?);
                written.extend(table(&calibration)?);
                Ok((Self::ZerothOrder(how), written))
            }
            MethodKind::Tail => {
                let mut options: TailOptions = given.take()?;
                let step = options.complete(storage)?;
                Ok((Self::Tail(step), table(&options)?))
            }
            MethodKind::Gradient(optimizer) => {
                let mut options: GradientOptions = given.take()?;
                let how = options.complete(optimizer, storage, chosen.batch_size)?;
                Ok((Self::Gradient(how), table(&options)?))
            }
            MethodKind::LinearProbe if tune != Tune::Head => {
                refuse!("`tune = {tune}`: linear probing makes a new head; leave `tune` out")
            }
            MethodKind::LinearProbe => Ok((Self::LinearProbe, toml::Table::new())),
        }
    }

    /// Whether a candidate of every step is informed.
    pub(crate) fn is_informed(&self) -> bool {
        matches!(self, Self::ZerothOrder(zo) if zo.informed.is_some())
    }

    /// What is made of updates before they reach the weights, if something is.
    pub(crate) fn step_rule(&self) -> Option<StepRule> {
        match self {
            Self::ZerothOrder(zo) => zo.step_rule,
            Self::Tail(_) | Self::Gradient(_) | Self::LinearProbe => None,
        }
    }

    /// Whether every example of a batch has directions of its own.
    pub(crate) fn is_per_example(&self) -> bool {
        matches!(self, Self::ZerothOrder(zo) if zo.per_example)
    }

    /// What was chosen instead of what a setting goes with.
    pub(super) fn chosen_for(&self, key: &str, method: &str) -> String {
        match self {
            Self::ZerothOrder(zo) if family::OF_FAMILIES.contains(&key) => {
                format!("`perturbation = {}`", zo.family)
            }
            _ => method.to_owned(),
        }
    }

    /// What is paid in forward passes before the first step, with so many training examples.
    pub(super) fn forwards_before(&self, train: usize, batch_size: usize) -> u64 {
        match self {
            Self::ZerothOrder(ZerothOrder {
                head_fit: Some(rows),
                ..
            }) => train.min(*rows).div_ceil(batch_size.max(1)) as u64,
            _ => 0,
        }
    }

    /// What a step costs in forward passes; `None` where there are no steps.
    ///
    /// # Errors
    /// A method that is not there, or whose settings are out of range.
    pub(super) fn forwards(&self, methods: &Methods) -> Result<Option<u64>> {
        Ok(match self {
            Self::ZerothOrder(zo) => {
                let evaluations = methods.build(&zo.method).or_input()?.forwards() as u64;
                Some(evaluations + u64::from(zo.informed.is_some()))
            }
            Self::Tail(step) => Some(step.forwards()),
            Self::Gradient(settings) => Some(settings.forwards()),
            Self::LinearProbe => None,
        })
    }
}

/// What is kept for each weight that moves: by the method, and of the candidate that is informed.
///
/// # Errors
/// A setting that does not go with a state of the weights' size.
fn state_bytes(how: &ZerothOrder, methods: &Methods) -> Result<usize> {
    let strategy = methods.build(&how.method).or_input()?;
    let bytes = strategy.state_bytes_per_weight();
    if bytes == 0 {
        return Ok(how.informed.map_or(0, |_| size_of::<f32>()));
    }
    let name = strategy.name();
    if how.arithmetic == Arithmetic::Anchored {
        refuse!(
            "`arithmetic = anchored`: {name} shapes noise by what it has learnt, and the originals do not know it; use plain"
        );
    }
    if how.noise == NoiseKind::Rademacher {
        refuse!(
            "`noise = rademacher`: {name} goes by the squares of the noise, and those of signs are the same everywhere; use gaussian"
        );
    }
    Ok(bytes)
}

/// The settings of a method as a file has them. A switch that is off is left out.
fn in_files(spec: &MethodSpec) -> Result<toml::Table> {
    let mut table = toml::Table::new();
    for (field, value) in spec.settings() {
        if *value != serde_json::Value::Bool(false) {
            let value = toml::Value::try_from(value).or_input()?;
            table.insert(field.replace('_', "-"), value);
        }
    }
    Ok(table)
}
