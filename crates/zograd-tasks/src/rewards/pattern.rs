use super::{Reward, RewardError, RuleError, one_if};
use crate::Question;
use regex::Regex;

/// 1 for an answer in which a regular expression is found, else 0. `^` and `$` are the ends of the answer.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// This one, in the syntax of the regex crate: without look-around and back-references, in time that grows with the
    /// answer's length alone.
    ///
    /// # Errors
    /// It is none, or too large.
    pub fn new(pattern: &str) -> Result<Self, RuleError> {
        let wrong = |error: regex::Error| {
            let text = error.to_string();
            // the parser draws a picture above its reason
            let reason = text.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error:").trim();
            RuleError::Pattern {
                reason: reason.to_owned(),
            }
        };
        Regex::new(pattern).map(Self).map_err(wrong)
    }
}

impl Reward for Pattern {
    fn reward(&self, _question: &Question, answer: &str) -> Result<f64, RewardError> {
        Ok(one_if(self.0.is_match(answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewards::tests::rewards;

    #[test]
    fn it_is_found_anywhere_unless_it_says_where() {
        let digits = Pattern::new(r"\d{2}").expect("a pattern");
        let answers = ["a 42 b", "4 2", ""];
        assert_eq!(rewards(&digits, &[], &answers), [1.0, 0.0, 0.0]);
        let whole = Pattern::new(r"^(yes|no)$").expect("a pattern");
        let answers = ["yes", "yes, no", "no"];
        assert_eq!(rewards(&whole, &[], &answers), [1.0, 0.0, 1.0]);
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (wrong, reason) in [
            ("(", "unclosed group"),
            ("a{2", "unclosed"),
            (r"(?=a)", "look-around"),
            ("a{1000}{1000}{1000}", "size limit"),
        ] {
            let error = Pattern::new(wrong).expect_err(wrong).to_string();
            assert!(error.contains(reason) && !error.contains('\n'), "{error}");
        }
    }
}
