use super::{Reward, RewardError, RuleError};
use crate::Question;

/// How near the length of an answer comes to a number of characters: 1 for that length, less by the share that is
/// missing or too much, 0 from twice the length on and for an empty answer.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    characters: usize,
}

impl Length {
    /// Of so many characters (Unicode scalar values).
    ///
    /// # Errors
    /// None at all.
    pub fn new(characters: usize) -> Result<Self, RuleError> {
        match characters {
            0 => Err(RuleError::NoLength),
            _ => Ok(Self { characters }),
        }
    }
}

impl Reward for Length {
    fn reward(&self, _question: &Question, answer: &str) -> Result<f64, RewardError> {
        let (found, wanted) = (answer.chars().count() as f64, self.characters as f64);
        Ok((1.0 - (found - wanted).abs() / wanted).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewards::tests::rewards;

    #[test]
    fn characters_are_counted_not_bytes() {
        let four = Length::new(4).expect("a length");
        let answers = [
            "abcd",
            "\u{e9}\u{e9}\u{e9}\u{e9}",
            "abc",
            "abcdef",
            "",
            "123456789",
        ];
        assert_eq!(
            rewards(&four, &[], &answers),
            [1.0, 1.0, 0.75, 0.5, 0.0, 0.0]
        );
        assert!(Length::new(0).is_err());
    }
}
