use super::{Reward, RewardError, RuleError, has_right_answer, one_if};
use crate::Question;
use crate::metrics::exact_match;

/// 1 for an answer that is one of the right ones, both in SQuAD's normal form
/// ([`normalize_answer`](crate::metrics::normalize_answer)); else 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExactMatch;

impl Reward for ExactMatch {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        Ok(one_if(exact_match(answer, &question.answers)))
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
    use crate::rewards::tests::rewards;

    #[test]
    fn case_articles_and_punctuation_do_not_count() {
        let right = ["The red car", "bus"];
        let found = rewards(&ExactMatch, &right, &["red car.", "a Bus", "red", ""]);
        assert_eq!(found, [1.0, 1.0, 0.0, 0.0]);
    }
}
