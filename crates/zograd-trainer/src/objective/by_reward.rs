use super::{Objective, Scored};
use std::sync::Arc;
use zograd_models::Sampling;
use zograd_tasks::Prompt;
use zograd_tasks::rewards::Reward;

/// Minus the mean [`Reward`] of the answers that the model writes: a loss without a gradient.
///
/// The model writes its answers in every evaluation of a step. Where two of them are worth the same the step measures no
/// difference, changes nothing, and is counted as flat.
#[derive(Clone, Debug)]
pub struct ByReward {
    reward: Arc<dyn Reward>,
    sampling: Option<Sampling>,
}

impl ByReward {
    /// Of answers that are decoded as those of evaluations.
    pub fn new(reward: Arc<dyn Reward>) -> Self {
        Self {
            reward,
            sampling: None,
        }
    }

    /// Of answers that are drawn in this way ([`Objective::sampling`]).
    #[must_use]
    pub fn sampled(mut self, sampling: Sampling) -> Self {
        self.sampling = Some(sampling);
        self
    }
}

impl Objective for ByReward {
    fn candidates(&self, _prompt: &Prompt) -> Vec<usize> {
        vec![]
    }

    fn needs_answers(&self) -> bool {
        true
    }

    fn sampling(&self) -> Option<&Sampling> {
        self.sampling.as_ref()
    }

    fn reward(&self) -> Option<&dyn Reward> {
        Some(self.reward.as_ref())
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let reward = |example: &Scored<'_>| example.reward.and_then(Result::ok);
        let rewards = batch.iter().map(|e| reward(e).unwrap_or(f64::NAN));
        -rewards.sum::<f64>() / batch.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::tests::{prompt, scored};
    use zograd_tasks::rewards::{ExactMatch, RewardFailure};

    #[test]
    fn is_minus_the_mean_reward() {
        let asked = prompt(1, 0);
        let worth = |reward| Scored {
            reward,
            ..scored(&asked, &[])
        };
        let objective = ByReward::new(Arc::new(ExactMatch));
        let batch = [worth(Some(Ok(1.0))), worth(Some(Ok(-4.0)))];
        assert_eq!(objective.loss(&batch), 1.5);
        for none in [None, Some(Err(RewardFailure::Ended))] {
            assert!(
                objective
                    .loss(&[worth(Some(Ok(1.0))), worth(none)])
                    .is_nan()
            );
        }
    }
}
