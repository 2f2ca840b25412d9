//! What written answers are worth: a [`Reward`], and the rules that are built in, a file each.

mod error;
mod exact_match;
mod json_object;
mod length;
mod numeric;
mod pattern;
mod word_overlap;

use crate::Question;
pub use error::{RewardError, RewardFailure, RuleError};
pub use exact_match::ExactMatch;
pub use json_object::{JsonObject, JsonType};
pub use length::Length;
pub use numeric::Numeric;
pub use pattern::Pattern;
use std::fmt::Debug;
pub use word_overlap::WordOverlap;

/// The largest reward there is, either way: sums and squares of rewards are to be numbers, too.
const LARGEST: f64 = 1e30;

/// What an answer is worth: more is better. Training by rewards sees this number and nothing else.
///
/// It has to be a function of the question and the answer, or a resumed run ends elsewhere than one that was never
/// interrupted.
///
/// ```
/// use zograd_tasks::rewards::{Reward, RewardError};
/// use zograd_tasks::Question;
///
/// /// The share of capital letters.
/// #[derive(Debug)]
/// struct Loud;
///
/// impl Reward for Loud {
///     fn reward(&self, _question: &Question, answer: &str) -> Result<f64, RewardError> {
///         let capitals = answer.chars().filter(|c| c.is_uppercase()).count();
///         Ok(capitals as f64 / answer.chars().count().max(1) as f64)
///     }
/// }
/// assert_eq!(Loud.reward(&Question::default(), "YES!"), Ok(0.75));
/// ```
pub trait Reward: Debug + Send + Sync {
    /// The reward of one answer.
    ///
    /// # Errors
    /// It cannot be told. The step that asked is skipped.
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError>;

    /// The rewards of several answers, in their order: for those who tell them faster together.
    ///
    /// # Errors
    /// As [`Reward::reward`].
    fn rewards(&self, answers: &[(&Question, &str)]) -> Result<Vec<f64>, RewardError> {
        let one = |(question, answer): &(&Question, &str)| self.reward(question, answer);
        answers.iter().map(one).collect()
    }

    /// Whether it looks at the right answers, so that rows have to say what is right.
    fn needs_right_answers(&self) -> bool {
        false
    }

    /// Whether it can judge answers to this question: a run asks before its first step.
    ///
    /// # Errors
    /// What the question lacks.
    fn check(&self, _question: &Question) -> Result<(), RuleError> {
        Ok(())
    }
}

/// The rewards of answers, each a finite number or why there is none: what went wrong with one call goes for all of its
/// answers. What exactly was wrong is told to the log of the program (`tracing`).
pub fn told(reward: &dyn Reward, answers: &[(&Question, &str)]) -> Vec<Result<f64, RewardFailure>> {
    let rewards = reward.rewards(answers).and_then(|rewards| {
        let (asked, told) = (answers.len(), rewards.len());
        match asked == told {
            true => Ok(rewards),
            false => Err(RewardError::unreadable(format!(
                "{told} rewards for {asked} answers"
            ))),
        }
    });
    match rewards {
        Ok(rewards) => {
            let finite = |reward: f64| match reward.abs() <= LARGEST {
                true => Ok(reward),
                false => Err(RewardFailure::NotFinite),
            };
            rewards.into_iter().map(finite).collect()
        }
        Err(error) => {
            tracing::warn!("{error}");
            vec![Err(error.failure); answers.len()]
        }
    }
}

/// 1 or 0.
fn one_if(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// Refuses a question that does not say what is right.
fn has_right_answer(question: &Question) -> Result<(), RuleError> {
    match question.answers.is_empty() {
        true => Err(RuleError::NoRightAnswer),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn question(answers: &[&str]) -> Question {
        Question {
            answers: answers.iter().map(|answer| (*answer).into()).collect(),
            ..Question::default()
        }
    }

    /// The rewards of answers to a question with these right answers.
    pub(super) fn rewards(reward: &dyn Reward, right: &[&str], answers: &[&str]) -> Vec<f64> {
        let question = question(right);
        let asked: Vec<(&Question, &str)> = answers.iter().map(|a| (&question, *a)).collect();
        reward.rewards(&asked).expect("rewards")
    }

    #[derive(Debug)]
    struct Says(Result<Vec<f64>, RewardError>);

    impl Reward for Says {
        fn reward(&self, _question: &Question, _answer: &str) -> Result<f64, RewardError> {
            Ok(0.0)
        }

        fn rewards(&self, _answers: &[(&Question, &str)]) -> Result<Vec<f64>, RewardError> {
            self.0.clone()
        }
    }

    #[test]
    fn a_number_for_each_answer_or_why_there_is_none() {
        let question = question(&[]);
        let asked = [(&question, "a"), (&question, "b")];
        let told = |says| told(&Says(says), &asked);
        assert_eq!(told(Ok(vec![1.0, -2.0])), [Ok(1.0), Ok(-2.0)]);
        for bad in [f64::NAN, f64::INFINITY] {
            let expected = [Ok(1.0), Err(RewardFailure::NotFinite)];
            assert_eq!(told(Ok(vec![1.0, bad])), expected);
        }
        let unreadable = [Err(RewardFailure::Unreadable); 2];
        assert_eq!(told(Ok(vec![1.0])), unreadable);
        assert_eq!(told(Ok(vec![1.0; 3])), unreadable);
        let late = RewardError::late("nothing came");
        assert_eq!(told(Err(late)), [Err(RewardFailure::Late); 2]);
    }
}
