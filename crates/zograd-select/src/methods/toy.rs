use crate::{
    Action, Configured, Evaluation, Setting, StepContext, Strategy, StrategyError, Update,
};
use serde::{Deserialize, Serialize};
use zograd_direction::Direction;

/// A toy, to show what a new method touches: the one-sided slope along one direction, times `stretch`, and never
/// longer than `cap`. 2 forwards.
#[derive(Clone, Copy, Debug)]
pub struct Toy {
    settings: ToySettings,
}

/// The settings of [`Toy`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ToySettings {
    /// What the slope is multiplied by.
    pub stretch: f64,
    /// The largest slope.
    pub cap: f64,
}

impl Default for ToySettings {
    fn default() -> Self {
        Self {
            stretch: 1.0,
            cap: 100.0,
        }
    }
}

impl Configured for Toy {
    const NAME: &'static str = "toy";
    const ABOUT: &'static str = "A one-sided slope, stretched and capped: 2 forwards";
    const SETTINGS: &'static [Setting] = &[
        Setting::number("stretch", "X", "What the slope is multiplied by"),
        Setting::number("cap", "X", "The largest slope"),
    ];
    type Settings = ToySettings;

    fn configured(settings: ToySettings) -> Result<Self, StrategyError> {
        match settings.cap > 0.0 {
            true => Ok(Self { settings }),
            false => Err(StrategyError::setting(
                "cap",
                settings.cap,
                "use a number above 0",
            )),
        }
    }
}

impl Strategy for Toy {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn forwards(&self) -> usize {
        2
    }

    fn next(&mut self, step: &StepContext, told: &[Evaluation]) -> Result<Action, StrategyError> {
        let z = Direction::unit(step.seed.child(0));
        Ok(match told {
            [here, there, ..] => {
                let ToySettings { stretch, cap } = self.settings;
                let slope = stretch * (there.loss - here.loss) / step.eps;
                Action::update_or_skip(Update::along(z, slope.clamp(-cap, cap)))
            }
            _ => Action::Evaluate(vec![Direction::zero(), z]),
        })
    }
}
