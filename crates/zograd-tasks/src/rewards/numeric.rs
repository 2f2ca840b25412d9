use super::{Reward, RewardError, RuleError, has_right_answer, one_if};
use crate::Question;
use regex::Regex;
use std::sync::LazyLock;

/// 1 for an answer whose number equals that of a right answer, else 0: GSM8K's rule. The number of a text is the one
/// behind the last `####`, or else the last of all; commas between thousands, a currency before it and a full stop behind
/// it do not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numeric;

impl Reward for Numeric {
    fn reward(&self, question: &Question, answer: &str) -> Result<f64, RewardError> {
        let found = number(answer);
        let mut right = question.answers.iter().filter_map(|right| number(right));
        Ok(one_if(
            found.is_some_and(|found| right.any(|right| right == found)),
        ))
    }

    fn needs_right_answers(&self) -> bool {
        true
    }

    fn check(&self, question: &Question) -> Result<(), RuleError> {
        has_right_answer(question)?;
        match question.answers.iter().find(|a| number(a).is_none()) {
            Some(answer) => Err(RuleError::NoNumber {
                answer: answer.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// The number of a text.
fn number(text: &str) -> Option<f64> {
    let marked = text.rsplit_once("####").map(|(_, behind)| behind);
    match marked {
        Some(behind) => numbers(behind).next(),
        None => numbers(text).last(),
    }
}

/// All numbers of a text, in their order.
fn numbers(text: &str) -> impl Iterator<Item = f64> {
    NUMBER.find_iter(text).filter_map(move |found| {
        let before = text[..found.start()].chars().next_back();
        let written = found.as_str().replace([',', '$'], "");
        // of `3-5` the second is 5
        let number = match before.is_some_and(char::is_alphanumeric) {
            true => written.trim_start_matches('-'),
            false => &written,
        };
        number.parse().ok()
    })
}

static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"-?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|-?\.\d+";
    Regex::new(number).expect("a regular expression")
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewards::tests::{question, rewards};

    #[test]
    fn numbers_are_found_as_people_write_them() {
        for (text, expected) in [
            ("She has 3 + 4 = 7 apples.", Some(7.0)),
            ("about $1,234.50.", Some(1234.5)),
            ("9 #### -12 dollars, or 13", Some(-12.0)),
            ("#### 1 #### 2", Some(2.0)),
            ("from 3-5", Some(5.0)),
            ("it is -5", Some(-5.0)),
            ("minus: -$5", Some(-5.0)),
            ("0.50", Some(0.5)),
            ("just .5", Some(0.5)),
            ("####", None),
            ("none", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn equal_numbers_count_however_they_are_written() {
        let right = ["They need 2 * 600 = 1200 bricks.\n#### 1,200"];
        let answers = [
            "so 1200",
            "1200.0",
            "1200 bricks for 3 walls",
            "12000",
            "",
            "many",
        ];
        let found = rewards(&Numeric, &right, &answers);
        assert_eq!(found, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_right_answer_without_a_number_is_refused() {
        assert_eq!(Numeric.check(&question(&["#### 3"])), Ok(()));
        assert_eq!(Numeric.check(&question(&[])), Err(RuleError::NoRightAnswer));
        let error = Numeric.check(&question(&["three"])).expect_err("refused");
        assert!(error.to_string().contains("\"three\" has no number"));
    }
}
