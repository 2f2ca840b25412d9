use crate::EvalRecord;
use serde::{Deserialize, Serialize};

/// What the best weights are chosen by, on the development examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BestBy {
    /// The score, and of equal ones the loss.
    #[default]
    Score,
    /// The loss alone, as the scripts of MeZO and MeZO-GV do.
    Loss,
}

impl BestBy {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `this` is better than `best`, if there is one; never with a loss that is not finite.
    pub fn prefers(self, this: &EvalRecord, best: Option<&EvalRecord>) -> bool {
        let rank = |record: &EvalRecord| match self {
            Self::Score => (record.dev_score.value(), -record.dev_loss),
            Self::Loss => (None, -record.dev_loss),
        };
        this.dev_loss.is_finite() && best.is_none_or(|best| rank(this) > rank(best))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DevScore;
    use zograd_tasks::metrics::Metric;

    #[test]
    fn score_and_loss_may_choose_differently() {
        let at = |score: f64, loss: f64| {
            let score = DevScore::new(Metric::Accuracy, score);
            EvalRecord::new(1, 2, score, loss)
        };
        let better = |by: BestBy, this: (f64, f64), best: (f64, f64)| {
            by.prefers(&at(this.0, this.1), Some(&at(best.0, best.1)))
        };
        assert!(better(BestBy::Score, (0.9, 0.5), (0.8, 0.4)));
        assert!(!better(BestBy::Loss, (0.9, 0.5), (0.8, 0.4)));
        assert!(better(BestBy::Loss, (0.7, 0.3), (0.8, 0.4)));
        assert!(better(BestBy::Score, (0.8, 0.3), (0.8, 0.4)));
        for by in [BestBy::Score, BestBy::Loss] {
            assert!(!better(by, (0.8, 0.4), (0.8, 0.4)));
            assert!(!by.prefers(&at(1.0, f64::NAN), None));
            assert!(by.prefers(&at(0.0, 9.0), None));
        }
    }
}
