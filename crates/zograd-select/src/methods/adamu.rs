use super::anneal::Anneal;
use super::mezo::all_finite;
use crate::{
    Action, Configured, Setting, SkipReason, StepContext, Strategy, StrategyError, Told, Update,
};
use serde::{Deserialize, Serialize};
use zograd_direction::{Direction, Momentum};

/// ZO-AdaMU: the two-sided estimate along noise that is drawn around what was probed before, and an update that is
/// divided, element by element, by the root of the mean square of its two draws. Two forwards:
///
/// ```text
/// p = sqrt(alpha) z1                            q = m + sqrt(1 - alpha) z2
/// m' = b1 p + (1 - b1) q                        v = b2 p^2 + (1 - b2) q^2
/// g = (L(theta + eps m') - L(theta - eps m')) / (2 eps)
/// theta <- theta - lr g m' / sqrt(v + 1e-8)     m <- sign(g) m'
/// ```
///
/// `m`, a number for each weight, is kept with the weights ([`Strategy::state_bytes_per_weight`]). `alpha`, `b1` and
/// `b2` fall from 1 as [`Anneal`] says: at first the direction is MeZO's and the update its signs. The code published
/// with the method mixes 0.1 of `p` and 0.9 of `q` in its probes whatever `b1` is, so that it applies what it has not
/// probed; here they are the same `m'`.
///
/// arXiv 2312.15184, algorithm 1, with `v` as in its code: the paper writes its square under the root.
#[derive(Clone, Copy, Debug)]
pub struct Adamu {
    anneal: Anneal,
}

/// The settings of [`Adamu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamuSettings {
    /// The step from which on history comes in.
    pub anneal_from: u64,
    /// The step from which on its share stays.
    pub anneal_to: u64,
}

impl Default for AdamuSettings {
    /// Those of the published code in runs of 20,000 steps.
    fn default() -> Self {
        Self {
            anneal_from: 1024,
            anneal_to: 16_000,
        }
    }
}

impl Adamu {
    /// A strategy that turns to its history between these steps.
    ///
    /// # Errors
    /// The second step is not after the first one.
    pub fn new(anneal: Anneal) -> Result<Self, StrategyError> {
        if anneal.to <= anneal.from {
            let from = anneal.from;
            let fix =
                format!("use a step after `anneal-from = {from}`, such as 0.8 of the run's steps");
            return Err(StrategyError::setting("anneal-to", anneal.to, fix));
        }
        Ok(Self { anneal })
    }

    /// What is drawn in a step.
    fn draw(self, step: &StepContext) -> Momentum {
        let now = self.anneal.at(step.step);
        let z = |index| Direction::unit(step.seed.child(index));
        Momentum {
            fresh: z(0) * now.alpha.sqrt(),
            around: z(1) * (1.0 - now.alpha).sqrt() + Direction::unit(Momentum::HISTORY),
            first: now.first,
            second: now.second,
            falls: false,
        }
    }
}

impl Configured for Adamu {
    const NAME: &'static str = "adamu";
    const ABOUT: &'static str =
        "SPSA along noise around the last probe (ZO-AdaMU), 4 bytes more a weight: 2 forwards";
    const SETTINGS: &'static [Setting] = &[
        Setting::count(
            "anneal-from",
            "N",
            "Step from which on noise is drawn around what was probed before: a shorter run needs a smaller one",
        ),
        Setting::count(
            "anneal-to",
            "N",
            "Step from which on its share stays; published with 0.8 of all steps",
        ),
    ];
    type Settings = AdamuSettings;

    fn configured(settings: AdamuSettings) -> Result<Self, StrategyError> {
        Self::new(Anneal {
            from: settings.anneal_from,
            to: settings.anneal_to,
        })
    }
}

impl Strategy for Adamu {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        2
    }

    fn state_bytes_per_weight(&self) -> usize {
        4
    }

    fn next(&mut self, step: &StepContext, told: &[Told]) -> Result<Action, StrategyError> {
        let momentum = self.draw(step);
        let [plus, minus, ..] = told else {
            let along = momentum.along();
            return Ok(Action::Evaluate(vec![along.clone(), -along]));
        };
        if !all_finite(told) {
            return Ok(Action::Skip(SkipReason::NonFiniteLoss));
        }
        let slope = (plus.loss - minus.loss) / (2.0 * step.eps);
        let momentum = Momentum {
            falls: slope < 0.0,
            ..momentum
        };
        let update = Update::along(Direction::unit(Momentum::QUOTIENT), slope);
        Ok(Action::update_or_skip(update.with_learnt(momentum)))
    }
}
