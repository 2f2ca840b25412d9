use super::{Reward, RewardError, RuleError, has_right_answer};
use crate::Question;
use crate::metrics::f1;

/// The word overlap of an answer with the right one it fits best, from 0 to 1 ([`f1`]).
#[derive(Clone, Copy, Debug, Default)]
pub struct WordOverlap;

impl Reward for WordOverlap {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        Ok(f1(answer, &question.answers))
    }

    fn needs_right_answers(&self) -> bool {
        true
    }

    fn check(&self, question: &Question) -> Result<(), RuleError> {
        has_right_answer(question)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewards::tests::{question, rewards};

    #[test]
    fn the_answer_that_fits_best_counts() {
        let found = rewards(&WordOverlap, &["a red car", "bus"], &["car in red", "bus"]);
        assert_eq!(found, [0.8, 1.0]);
        let none = WordOverlap.check(&question(&[]));
        assert_eq!(none, Err(RuleError::NoRightAnswer));
    }
}
