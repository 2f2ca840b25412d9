use super::{BestBy, DecayToward, Limit, Spent};
use crate::{Guards, Schedule, TrainError};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// The largest number of examples in a batch: far beyond use, and harmless to memory.
const MAX_BATCH: usize = 1 << 16;

/// The settings of a run that are not the strategy's, the model's or the data's.
///
/// ```
/// use zograd_trainer::TrainConfig;
///
/// let mut config = TrainConfig::new(2000, 1e-6);
/// config.eval_every = 200;
/// config.check()?;
/// # Ok::<(), zograd_trainer::TrainError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrainConfig {
    /// Number of steps; with a limit, which ends the run earlier, `u64::MAX`.
    pub steps: u64,
    /// What ends the run instead of a number of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Learning rate.
    pub lr: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Weight decay lambda of `theta <- theta - lr (g d + lambda theta)`; what the model spares excepted
    /// ([`LanguageModel::decays`](crate::LanguageModel::decays)).
    pub weight_decay: f64,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "DecayToward::is_default")]
    pub decay_toward: DecayToward,
    /// Examples per step.
    pub batch_size: usize,
    /// Whether the classes of the training examples take turns in batches ([`Batches::balanced`](crate::Batches::balanced)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub balanced: bool,
    /// Seed of the noise and of the order of the examples.
    pub seed: u64,
    /// Evaluate on the development examples every so many steps and after the last; 0: only then.
    pub eval_every: u64,
    /// End after so many evaluations in a row that are no better than the best one before them; 0: never.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub patience: u64,
    /// What the best weights are chosen by.
    #[serde(default, skip_serializing_if = "BestBy::is_default")]
    pub best_by: BestBy,
    /// Examples per forward in evaluations.
    pub eval_batch_size: usize,
    /// Bring 16-bit weights with an anchor back to their originals every so many steps, and before every evaluation;
    /// 0: no anchor.
    #[serde(default)]
    pub anchor_every: u64,
    /// What is done about steps that are not as they should be.
    #[serde(default)]
    pub guards: Guards,
}

impl TrainConfig {
    /// So many steps with this constant learning rate, on batches of 16, with seed 0, evaluated after the last;
    /// without weight decay and without an anchor.
    pub fn new(steps: u64, lr: f64) -> Self {
        Self {
            steps,
            limit: None,
            lr,
            schedule: Schedule::Constant,
            weight_decay: 0.0,
            decay_toward: DecayToward::Zero,
            batch_size: 16,
            balanced: false,
            seed: 0,
            eval_every: 0,
            patience: 0,
            best_by: BestBy::Score,
            eval_batch_size: 16,
            anchor_every: 0,
            guards: Guards::default(),
        }
    }

    /// Whether weights decay towards those that the run began with.
    pub fn decays_to_start(&self) -> bool {
        self.weight_decay != 0.0 && self.decay_toward == DecayToward::Start
    }

    /// Whether weights, which decay in this direction if they do, are to do so.
    ///
    /// # Errors
    /// [`TrainError::Setting`] if not.
    pub(crate) fn check_decay(&self, toward: DecayToward) -> Result<(), TrainError> {
        if self.weight_decay == 0.0 || self.decay_toward == toward {
            return Ok(());
        }
        let (value, fix) = match self.decay_toward {
            DecayToward::Start => ("start", "these weights decay towards zero; use zero"),
            DecayToward::Zero => ("zero", "these weights decay towards their start; use start"),
        };
        Err(TrainError::Setting {
            name: "decay-toward",
            value: value.into(),
            fix,
        })
    }

    /// Learning rate of the step after `step` steps.
    pub fn lr_at(&self, step: u64) -> f64 {
        self.lr * self.schedule.factor(step, self.steps)
    }

    /// Whether an evaluation is due after `step` steps, whatever they have spent.
    pub fn evaluates_after(&self, step: u64) -> bool {
        step == self.steps
            || (self.eval_every > 0 && step > 0 && step.is_multiple_of(self.eval_every))
    }

    /// Whether the run is over after `step` steps, with which so much is spent.
    pub fn ends_after(&self, step: u64, with: Spent) -> bool {
        step >= self.steps || self.limit.is_some_and(|limit| limit.is_reached(with))
    }

    /// Whether an evaluation is due after `step` steps, before the last of which so much was spent, and with which so much
    /// is.
    pub fn evaluates_with(&self, step: u64, before: Spent, with: Spent) -> bool {
        let limit = self.limit.as_ref();
        self.evaluates_after(step) || limit.is_some_and(|limit| limit.is_evaluated(before, with))
    }

    /// Whether weights with an anchor are brought back to their originals after `step` steps.
    pub fn anchors_after(&self, step: u64) -> bool {
        self.anchor_every > 0
            && (self.evaluates_after(step) || (step > 0 && step.is_multiple_of(self.anchor_every)))
    }

    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for the first that is not.
    pub fn check(&self) -> Result<(), TrainError> {
        let require = |ok: bool, name, value: &dyn Display, fix| match ok {
            true => Ok(()),
            false => Err(TrainError::Setting {
                name,
                value: value.to_string(),
                fix,
            }),
        };
        let (lr, decay) = (self.lr, self.weight_decay);
        // not with hundreds of zeros
        let short = |x: f64| match x.abs() {
            size if size >= 1e6 => format!("{x:e}"),
            _ => x.to_string(),
        };
        let (lr_text, decay_text) = (short(lr), short(decay));
        let nonnegative = |x: f64| x.is_finite() && x >= 0.0;
        require(
            nonnegative(lr),
            "lr",
            &lr_text,
            "use a number of at least 0, such as 1e-6",
        )?;
        require(
            nonnegative(decay),
            "weight-decay",
            &decay_text,
            "use a number of at least 0",
        )?;
        require(
            lr * decay < 1.0,
            "weight-decay",
            &decay_text,
            "`lr` times `weight-decay` must stay below 1",
        )?;
        let sizes = [
            ("batch-size", self.batch_size),
            ("eval-batch-size", self.eval_batch_size),
        ];
        for (name, size) in sizes {
            require(size > 0, name, &size, "use at least 1")?;
            require(size <= MAX_BATCH, name, &size, "use at most 65536")?;
        }
        Ok(())
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named_as_in_a_file() {
        let mut config = TrainConfig::new(10, -1.0);
        let error = config.check().expect_err("a negative rate").to_string();
        assert!(error.starts_with("`lr = -1`: "), "{error}");
        config.lr = 0.5;
        config.batch_size = 0;
        let error = config.check().expect_err("an empty batch").to_string();
        assert_eq!(error, "`batch-size = 0`: use at least 1");
        config.batch_size = usize::MAX;
        let error = config.check().expect_err("too large a batch").to_string();
        let exact = format!("`batch-size = {}`: use at most 65536", usize::MAX);
        assert_eq!(error, exact);
        config.batch_size = 1;
        config.weight_decay = 2.0;
        let error = config.check().expect_err("too much decay").to_string();
        assert!(error.starts_with("`weight-decay = 2`: "), "{error}");
        config.weight_decay = 1.0;
        assert!(config.check().is_ok());
    }
}
