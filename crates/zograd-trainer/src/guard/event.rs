use super::Policy;
use serde::{Deserialize, Serialize};
use std::fmt;
use zograd_select::SkipReason;
use zograd_tasks::rewards::RewardFailure;

/// Something about a step that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// A loss was NaN or infinite.
    NonFiniteLoss,
    /// The losses were finite, the update is not.
    NonFiniteUpdate,
    /// The update is longer than exact steps have room for.
    UpdateTooFar,
    /// The mean loss is 3 times that of the last 100 steps.
    LossExplosion,
    /// The losses are equal to the last bit: the slope is exactly 0.
    FlatLoss,
    /// The losses differ by no more than their rounding: the slope is noise.
    VanishingGradient,
    /// Most of the update is finer than the grid of the weights, and is rounded away.
    UpdateBelowGrid,
    /// The projected gradient is 10 times the mean magnitude of the last 100 steps.
    ExplodingGradient,
    /// Whoever tells rewards has ended.
    RewardEnded,
    /// A reward did not come in time.
    RewardLate,
    /// What came for a reward is no number.
    RewardUnreadable,
    /// A reward is NaN or infinite.
    RewardNotFinite,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NonFiniteLoss,
        Self::NonFiniteUpdate,
        Self::UpdateTooFar,
        Self::LossExplosion,
        Self::FlatLoss,
        Self::VanishingGradient,
        Self::UpdateBelowGrid,
        Self::ExplodingGradient,
        Self::RewardEnded,
        Self::RewardLate,
        Self::RewardUnreadable,
        Self::RewardNotFinite,
    ];

    /// The name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => "non-finite-loss",
            Self::NonFiniteUpdate => "non-finite-update",
            Self::UpdateTooFar => "update-too-far",
            Self::LossExplosion => "loss-explosion",
            Self::FlatLoss => "flat-loss",
            Self::VanishingGradient => "vanishing-gradient",
            Self::UpdateBelowGrid => "update-below-grid",
            Self::ExplodingGradient => "exploding-gradient",
            Self::RewardEnded => "reward-ended",
            Self::RewardLate => "reward-late",
            Self::RewardUnreadable => "reward-unreadable",
            Self::RewardNotFinite => "reward-not-finite",
        }
    }

    /// What to change when it happens often, in a run whose weights are f32 or coarser.
    pub fn advice(self, is_f32: bool) -> &'static str {
        match self {
            Self::NonFiniteLoss => {
                "lower `lr`, or `eps` if there is one; f16 overflows first, bf16 and f32 do not"
            }
            Self::NonFiniteUpdate | Self::UpdateTooFar => "lower `lr`",
            Self::LossExplosion => "lower `lr`, or start again from an earlier step",
            Self::FlatLoss if is_f32 => "raise `eps`",
            Self::FlatLoss => "raise `eps`, or use `dtype = f32`",
            Self::VanishingGradient => "raise `eps`: the losses differ by rounding alone",
            Self::UpdateBelowGrid => {
                "raise `lr`, or use `arithmetic = plain`: exact steps round most of the update away"
            }
            Self::ExplodingGradient => "lower `lr`, raise `batch-size`, or let `guard` shrink it",
            Self::RewardEnded => {
                "see what `reward-command` says on its standard error; it is to go on for as long as there are lines"
            }
            Self::RewardLate => "raise `reward-timeout`, or have `reward-command` flush every line",
            Self::RewardUnreadable => {
                "have `reward-command` answer one number a line and nothing else"
            }
            Self::RewardNotFinite => {
                "have `reward-command` answer a finite number, whatever it is given"
            }
        }
    }

    /// Whether it comes of steps that are too long.
    pub fn is_of_long_steps(&self) -> bool {
        matches!(
            self,
            Self::NonFiniteLoss
                | Self::NonFiniteUpdate
                | Self::UpdateTooFar
                | Self::LossExplosion
                | Self::ExplodingGradient
        )
    }

    /// What is done about it unless a user says otherwise: what cannot be applied is skipped, everything else is as
    /// in the published method, noticed and no more.
    pub fn usual_policy(self) -> Policy {
        match self {
            Self::NonFiniteLoss | Self::NonFiniteUpdate | Self::UpdateTooFar => Policy::Skip,
            _ if self.is_of_reward() => Policy::Skip,
            _ => Policy::GoOn,
        }
    }

    /// Whether it happens to the rewards of answers only.
    pub fn is_of_reward(self) -> bool {
        matches!(
            self,
            Self::RewardEnded | Self::RewardLate | Self::RewardUnreadable | Self::RewardNotFinite
        )
    }

    pub(super) fn accepts(self, policy: Policy) -> bool {
        match self {
            Self::NonFiniteLoss
            | Self::NonFiniteUpdate
            | Self::UpdateTooFar
            | Self::RewardEnded
            | Self::RewardLate
            | Self::RewardUnreadable
            | Self::RewardNotFinite => {
                matches!(policy, Policy::Skip | Policy::Stop)
            }
            Self::FlatLoss | Self::VanishingGradient | Self::UpdateBelowGrid => {
                policy != Policy::Shrink
            }
            Self::LossExplosion | Self::ExplodingGradient => true,
        }
    }

    pub(crate) fn skip_reason(self) -> SkipReason {
        match self {
            // without a reward there is no loss
            Self::NonFiniteLoss
            | Self::RewardEnded
            | Self::RewardLate
            | Self::RewardUnreadable
            | Self::RewardNotFinite => SkipReason::NonFiniteLoss,
            Self::NonFiniteUpdate => SkipReason::NonFiniteUpdate,
            Self::UpdateTooFar => SkipReason::UpdateTooFar,
            Self::LossExplosion => SkipReason::LossExplosion,
            Self::FlatLoss | Self::VanishingGradient | Self::UpdateBelowGrid => {
                SkipReason::VanishingGradient
            }
            Self::ExplodingGradient => SkipReason::ExplodingGradient,
        }
    }

    /// What was not as it should be about a step without rewards.
    pub(crate) fn of_reward(failure: RewardFailure) -> Self {
        match failure {
            RewardFailure::Ended => Self::RewardEnded,
            RewardFailure::Late => Self::RewardLate,
            RewardFailure::NotFinite => Self::RewardNotFinite,
            // of those there may be more one day
            _ => Self::RewardUnreadable,
        }
    }

    /// What was not as it should be about a step that was skipped for this reason.
    pub(crate) fn of_skip(reason: SkipReason) -> Self {
        match reason {
            SkipReason::NonFiniteLoss => Self::NonFiniteLoss,
            SkipReason::UpdateTooFar => Self::UpdateTooFar,
            SkipReason::LossExplosion => Self::LossExplosion,
            SkipReason::VanishingGradient => Self::VanishingGradient,
            SkipReason::ExplodingGradient => Self::ExplodingGradient,
            // of those there may be more one day
            _ => Self::NonFiniteUpdate,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_skips_are_told_apart() {
        for event in Event::ALL {
            let json = serde_json::to_value(event).expect("JSON");
            assert_eq!(json, event.name());
            assert_eq!(
                Event::of_skip(event.skip_reason()).skip_reason(),
                event.skip_reason()
            );
            // settings as in a file: the command makes flags of them
            for is_f32 in [true, false] {
                let advice = event.advice(is_f32);
                assert!(!advice.contains("--"), "{event}");
                // nobody is told to use what is used
                assert!(!(is_f32 && advice.contains("dtype")), "{event}");
            }
        }
    }
}
