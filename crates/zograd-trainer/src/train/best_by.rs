use crate::{EvalRecord, Evaluation};
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

    /// Whether `this` is better than the best so far; never with a loss that is not finite.
    pub(super) fn prefers(self, this: &Evaluation, best: Option<&EvalRecord>) -> bool {
        let rank = |score: f64, loss: f64| match self {
            Self::Score => (score, -loss),
            Self::Loss => (-loss, 0.0),
        };
        this.loss.is_finite()
            && best.is_none_or(|best| {
                rank(this.score, this.loss) > rank(best.dev_score.value(), best.dev_loss)
            })
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
        let seen = |score: f64, loss: f64| Evaluation {
            metric: Metric::Accuracy,
            score,
            exact_match: None,
            loss,
            examples: 1,
            non_finite: 0,
            predictions: vec![],
        };
        let better = |by: BestBy, this: (f64, f64), best: (f64, f64)| {
            by.prefers(&seen(this.0, this.1), Some(&at(best.0, best.1)))
        };
        assert!(better(BestBy::Score, (0.9, 0.5), (0.8, 0.4)));
        assert!(!better(BestBy::Loss, (0.9, 0.5), (0.8, 0.4)));
        assert!(better(BestBy::Loss, (0.7, 0.3), (0.8, 0.4)));
        assert!(better(BestBy::Score, (0.8, 0.3), (0.8, 0.4)));
        for by in [BestBy::Score, BestBy::Loss] {
            assert!(!better(by, (0.8, 0.4), (0.8, 0.4)));
            assert!(!by.prefers(&seen(1.0, f64::NAN), None));
            assert!(by.prefers(&seen(0.0, 9.0), None));
        }
    }
}
