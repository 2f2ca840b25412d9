use super::mezo::{all_finite, two_sided};
use crate::{Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told};
use serde::{Deserialize, Serialize};
use zograd_direction::{Curvature, Direction};

/// HiZOO: the two-sided estimate of MeZO along noise that an estimate `H` of the diagonal of the Hessian has shaped,
/// `z / sqrt(H)`, so that weights with much curvature move less. Three forwards: with the loss of the weights as they are,
/// `c = |L(+) + L(-) - 2 L(0)| / (2 eps^2)` is half of the curvature along it, and
///
/// ```text
/// H <- (1 - share) H + share * c * H z^2
/// ```
///
/// On a quadratic `H` tends to a multiple of the Hessian's diagonal. It is kept with the weights, a number each
/// ([`Strategy::state_bytes_per_weight`]), and is taken up after the update: what is applied is what was probed. The code
/// published with the method divides by the root of the new `H` in the update and by that of the old one in the probes.
///
/// arXiv 2402.15173, algorithm 1.
#[derive(Clone, Copy, Debug)]
pub struct Hizoo {
    share: f64,
}

/// The settings of [`Hizoo`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HizooSettings {
    /// What part of the estimate a step replaces.
    pub hessian_share: f64,
}

impl Default for HizooSettings {
    fn default() -> Self {
        Self {
            hessian_share: 1e-8,
        }
    }
}

impl Hizoo {
    /// A strategy whose steps replace this part of the estimate.
    ///
    /// # Errors
    /// `hessian_share` is not above 0 and below 1: with 0 it would be MeZO with a forward pass too many.
    pub fn new(hessian_share: f64) -> Result<Self, StrategyError> {
        if !(hessian_share > 0.0 && hessian_share < 1.0) {
            let fix = "use a number above 0 and below 1, such as 1e-8";
            return Err(StrategyError::setting("hessian-share", hessian_share, fix));
        }
        Ok(Self {
            share: hessian_share,
        })
    }
}

impl Configured for Hizoo {
    const NAME: &'static str = "hizoo";
    const ABOUT: &'static str = "SPSA along noise shaped by the Hessian's diagonal (HiZOO), 4 bytes more a weight: 3 forwards";
    const SETTINGS: &'static [Setting] = &[Setting::number(
        "hessian-share",
        "A",
        "What part of the estimated diagonal of the Hessian a step replaces",
    )];
    type Settings = HizooSettings;

    fn configured(settings: HizooSettings) -> Result<Self, StrategyError> {
        Self::new(settings.hessian_share)
    }
}

impl Strategy for Hizoo {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        3
    }

    fn state_bytes_per_weight(&self) -> usize {
        4
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let seed = step.seed.child(0);
        let z = Direction::unit(seed);
        let [here, plus, minus, ..] = told else {
            return Ok(Action::Evaluate(vec![Direction::zero(), z.clone(), -z]));
        };
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let bend = (plus.loss - here.loss) + (minus.loss - here.loss);
        let along = bend.abs() / (2.0 * step.eps * step.eps);
        let curvature = Curvature::new(seed, along, self.share);
        Ok(match two_sided(step, z, &told[1..]) {
            Action::Update(update) => Action::update_or_skip(update.with_learnt(curvature)),
            other => other,
        })
    }
}
