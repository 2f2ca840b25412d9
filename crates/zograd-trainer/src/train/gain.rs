use super::BestBy;
use crate::EvalRecord;
use serde::{Deserialize, Serialize};
use zograd_tasks::metrics::Metric;

/// A loss so many times that of the untuned model is that of weights that were thrown far away.
const BLOWN_UP: f64 = 3.0;

/// A loss that moved by less than this share of itself, while the score stands still, says nothing.
const NOISE: f64 = 0.005;

/// What a run has gained over the model it began with, on the development examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Gain {
    /// The last weights are better.
    Better,
    /// The score is what it was, at the best step and at the last one, and the loss moved by less than 0.5%.
    Nothing,
    /// The last weights are worse.
    Worse,
    /// They are worse, and their loss is not finite or, unless it is a reward, more than three times that of the untuned
    /// model.
    BlewUp,
}

impl Gain {
    /// From the evaluations of the untuned model, of the best and of the last weights.
    pub(super) fn between(
        untuned: &EvalRecord,
        best: &EvalRecord,
        last: &EvalRecord,
        by: BestBy,
    ) -> Self {
        // minus a reward may be any number, and three times of it says nothing
        let by_reward = untuned.dev_score.metric() == Metric::Reward;
        let moved = (last.dev_loss - untuned.dev_loss).abs();
        let same_score = |this: &EvalRecord| match (this.dev_score.value(), by) {
            (Some(score), BestBy::Score) => Some(score) == untuned.dev_score.value(),
            _ => true,
        };
        if moved <= NOISE * untuned.dev_loss.abs() && same_score(last) && same_score(best) {
            Self::Nothing
        } else if (by.prefers(last, Some(untuned)) || !untuned.dev_loss.is_finite())
            && last.dev_loss.is_finite()
        {
            Self::Better
        } else if last.dev_loss <= BLOWN_UP * untuned.dev_loss
            || by_reward && last.dev_loss.is_finite()
        {
            Self::Worse
        } else {
            Self::BlewUp
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DevScore;

    #[test]
    fn a_gain_is_more_than_noise() {
        let at = |(score, loss): (f64, f64)| {
            EvalRecord::new(1, 2, DevScore::new(Metric::Accuracy, score), loss)
        };
        let found = |by, best, last| Gain::between(&at((0.5, 0.7)), &at(best), &at(last), by);
        for (best, last, by_score, by_loss) in [
            ((0.5, 0.699), (0.5, 0.699), Gain::Nothing, Gain::Nothing),
            ((0.6, 0.699), (0.6, 0.699), Gain::Better, Gain::Nothing),
            // the best step was better, though the last is not
            ((0.6, 0.699), (0.5, 0.699), Gain::Better, Gain::Nothing),
            ((0.5, 0.6), (0.5, 0.6), Gain::Better, Gain::Better),
            ((0.5, 0.7), (0.4, 0.8), Gain::Worse, Gain::Worse),
            ((0.6, 0.7), (0.4, 127.0), Gain::BlewUp, Gain::BlewUp),
            ((0.5, 0.7), (0.5, f64::NAN), Gain::BlewUp, Gain::BlewUp),
            // sure of itself, and right more often
            ((0.9, 2.4), (0.9, 2.4), Gain::Better, Gain::BlewUp),
        ] {
            assert_eq!(found(BestBy::Score, best, last), by_score, "{last:?}");
            assert_eq!(found(BestBy::Loss, best, last), by_loss, "{last:?}");
        }
        // no loss was a number from the beginning on
        let none = at((0.0, f64::NAN));
        for by in [BestBy::Score, BestBy::Loss] {
            assert_eq!(Gain::between(&none, &none, &none, by), Gain::BlewUp);
            let mended = at((0.5, 0.7));
            assert_eq!(Gain::between(&none, &mended, &mended, by), Gain::Better);
        }
    }

    #[test]
    fn a_reward_that_fell_has_not_blown_up() {
        let at =
            |reward: f64| EvalRecord::new(1, 2, DevScore::new(Metric::Reward, reward), -reward);
        for (untuned, last, gain) in [
            (0.7, 0.5, Gain::Worse),
            (0.7, -9.0, Gain::Worse),
            (-0.1, -9.0, Gain::Worse),
            (-9.0, -0.1, Gain::Better),
            (0.7, 0.7, Gain::Nothing),
            (0.7, f64::NAN, Gain::BlewUp),
        ] {
            let found = Gain::between(&at(untuned), &at(untuned), &at(last), BestBy::Score);
            assert_eq!(found, gain, "{untuned} -> {last}");
        }
    }
}
