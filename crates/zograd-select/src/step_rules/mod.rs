//! What is made of a method's updates before they reach the weights, whatever the method: a file for each rule.

mod heavy_ball;
mod mean_square;
mod ruled;

use crate::{Choice, MAX_EVALUATIONS, MethodSpec, Setting, Strategy, StrategyError, spec};
use heavy_ball::HeavyBall;
use mean_square::MeanSquare;
use ruled::{Rule, Ruled};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Momentum is cut off where what is left of an update is less than this.
const NEGLIGIBLE: f64 = 0.01;

/// Steps of momentum, unless more are asked for.
const USUAL_STEPS: u64 = 64;

/// Steps of momentum at most.
const MOST_STEPS: u64 = 1000;

const BETA2: f64 = 0.99;

/// What an update is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StepScale {
    /// The root of the running mean of the squares of the slopes.
    Rms,
}

/// What is made of the updates of any method: settings that stand beside its own in a
/// [`MethodSpec`], if they change something. A method that has a setting of the same name keeps it.
///
/// ```text
/// m_t = sum_{j < momentum_steps} momentum^j u_{t-j}         u: the method's updates
/// v_t = beta2 v_{t-1} + (1 - beta2) g_t^2                   g: their slopes
/// theta <- theta - lr_t m_t / (sqrt(v_t / (1 - beta2^t)) + 1e-8)
/// ```
///
/// The first line is heavy-ball momentum, as ZO-Bench has it (arXiv 2402.11592), rebuilt from the last seeds and
/// slopes; the division is `step_scale = rms`, MEAZO's (arXiv 2605.03869). Neither keeps a number for each weight, and
/// neither costs a forward; an update makes the noise of `momentum_steps` updates. What they buy was not measured.
///
/// ```
/// use zograd_select::{MethodSpec, Methods};
///
/// let mezo = Methods::built_in().complete(&MethodSpec::new("mezo").with("momentum", 0.9))?;
/// let text = r#"{"method":"mezo","momentum":0.9,"momentum_steps":44}"#;
/// assert_eq!(serde_json::to_string(&mezo)?, text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StepRules {
    /// What is left of an update one step later; 0: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Updates in the sum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum_steps: Option<u64>,
    /// What updates are divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_scale: Option<StepScale>,
    /// What is left of a square one step later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
}

impl StepRules {
    /// The settings, as every method has them.
    pub const SETTINGS: &'static [Setting] = &[
        Setting::number(
            "momentum",
            "BETA",
            "Momentum, rebuilt from the last seeds and slopes: more noise to make, no memory (not with hizoo, adamu)",
        )
        .or("none"),
        Setting::count("momentum-steps", "H", "Updates that momentum is the sum of")
            .or("until BETA^H is below 0.01, 64 at most"),
        Setting::choice(
            "step-scale",
            "HOW",
            "What updates are divided by",
            &[Choice {
                name: "rms",
                help: "The root of the running mean of the squares of their slopes (MEAZO)",
            }],
        )
        .or("nothing"),
        Setting::number("beta2", "B", "What is left of that mean one step later")
            .or("0.99, with `step-scale`"),
    ];

    /// The setting with this key, in kebab or snake case.
    pub(crate) fn setting(key: &str) -> Option<&'static Setting> {
        let key = spec::kebab(key);
        Self::SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// From values by their fields' names.
    pub(crate) fn read(fields: Map<String, Value>) -> serde_json::Result<Self> {
        serde_json::from_value(fields.into())
    }

    /// The other way round.
    pub(crate) fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(fields)) => fields,
            // options of numbers and names always make an object, whatever their values
            other => unreachable!("a struct, not {other:?}"),
        }
    }

    /// With what was left open; nothing of a rule that changes nothing.
    ///
    /// # Errors
    /// A value out of its range, or one of a rule that is off.
    pub fn completed(self) -> Result<Self, StrategyError> {
        let mut rules = Self::default();
        match self.momentum.filter(|beta| *beta != 0.0) {
            Some(beta) => {
                let steps = self.momentum_steps.unwrap_or_else(|| usual_steps(beta));
                check_share("momentum", beta, "0.9")?;
                if !(1..=MOST_STEPS).contains(&steps) {
                    let fix = format!("use 1 to {MOST_STEPS}, such as 44 with a momentum of 0.9");
                    return Err(StrategyError::setting("momentum-steps", steps, fix));
                }
                (rules.momentum, rules.momentum_steps) = (Some(beta), Some(steps));
            }
            None => refuse_alone("momentum-steps", self.momentum_steps, "`momentum`")?,
        }
        match self.step_scale {
            Some(scale) => {
                let beta2 = self.beta2.unwrap_or(BETA2);
                check_share("beta2", beta2, "0.99")?;
                (rules.step_scale, rules.beta2) = (Some(scale), Some(beta2));
            }
            None => refuse_alone("beta2", self.beta2, "`step-scale = rms`")?,
        }
        Ok(rules)
    }

    /// `inner` with these rules.
    ///
    /// # Errors
    /// As [`Self::completed`]; a strategy whose updates a rule makes no sense of.
    pub fn around(self, inner: Box<dyn Strategy>) -> Result<Box<dyn Strategy>, StrategyError> {
        let asked = self.completed()?;
        let name = inner.name().to_owned();
        let mut rules: Vec<Box<dyn Rule>> = Vec::new();
        if let (Some(beta), Some(steps)) = (asked.momentum, asked.momentum_steps) {
            if inner.state_bytes_per_weight() > 0 {
                let fix = format!(
                    "not with {name}, which shapes its noise anew in every step, so that past seeds mean something else; leave it \
                     out"
                );
                return Err(StrategyError::setting("momentum", beta, fix));
            }
            let steps = steps as usize;
            if steps.saturating_mul(inner.forwards()) > MAX_EVALUATIONS {
                let fix = format!(
                    "with {} forwards a step it would be the sum of more than {MAX_EVALUATIONS} directions; use a smaller one",
                    inner.forwards()
                );
                return Err(StrategyError::setting("momentum-steps", steps, fix));
            }
            rules.push(Box::new(HeavyBall::new(beta, steps)));
        }
        if let Some(beta2) = asked.beta2 {
            if inner.is_scale_free() {
                let fix = format!("{name} divides its updates by a scale of its own; leave it out");
                return Err(StrategyError::setting("step-scale", "rms", fix));
            }
            rules.push(Box::new(MeanSquare::new(beta2)));
        }
        Ok(match rules.is_empty() {
            true => inner,
            false => Box::new(Ruled { inner, rules }),
        })
    }
}

impl MethodSpec {
    /// With these rules for its updates.
    #[must_use]
    pub fn with_rules(self, rules: &StepRules) -> Self {
        let fields = rules.fields().into_iter();
        fields.fold(self, |spec, (key, value)| spec.with(&key, value))
    }
}

/// The fewest steps after which an update is negligible.
fn usual_steps(beta: f64) -> u64 {
    let (mut left, mut steps) = (beta, 1);
    while left >= NEGLIGIBLE && steps < USUAL_STEPS {
        (left, steps) = (left * beta, steps + 1);
    }
    steps
}

fn check_share(name: &'static str, value: f64, usual: &str) -> Result<(), StrategyError> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => {
            let fix = format!("use a number from 0 to below 1, such as {usual}");
            Err(StrategyError::setting(name, value, fix))
        }
    }
}

fn refuse_alone(
    name: &'static str,
    value: Option<impl std::fmt::Display>,
    owner: &str,
) -> Result<(), StrategyError> {
    let refused = |value| StrategyError::setting(name, value, format!("only with {owner}"));
    value.map_or(Ok(()), |value| Err(refused(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn momentum_is_cut_off_where_little_is_left() {
        for (beta, steps) in [(0.9, 44), (0.5, 7), (0.1, 3), (0.001, 1), (0.99, 64)] {
            assert_eq!(usual_steps(beta), steps, "{beta}");
        }
    }
}
