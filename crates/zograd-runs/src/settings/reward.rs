//! What written answers are worth.

use super::names::names;
use super::objective::ObjectiveName;
use super::owner::Owner;
use crate::error::{Blame, Result, refuse};
use crate::reward_program::RewardProgram;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use zograd_select::{Choice, Setting};
use zograd_tasks::rewards::{
    ExactMatch, JsonObject, Length, Numeric, Pattern, Reward, WordOverlap,
};

/// Seconds without a line after which a program is given up.
const TIMEOUT: f64 = 60.0;

/// The most seconds that can be asked for: a day.
const MAX_TIMEOUT: f64 = 86_400.0;

names! {
    /// A rule for what an answer is worth.
    pub enum RewardRule {
        ExactMatch = "exact-match", "1 for a right answer; case, articles and punctuation do not count";
        F1 = "f1", "Word overlap with the right answer it fits best";
        Numeric = "numeric", "1 for the right number, behind #### or the last one, as in GSM8K";
        Regex = "regex", "1 if `reward-pattern` is found";
        Json = "json", "Share of `reward-keys` that a JSON object has, each with its type";
        Length = "length", "Nearness to `reward-length` characters";
    }
}

/// What written answers are worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RewardOptions {
    /// The rule.
    pub reward: Option<RewardRule>,
    /// A program in its place.
    pub reward_command: Option<String>,
    /// Seconds that it may be silent.
    pub reward_timeout: Option<f64>,
    /// A regular expression.
    pub reward_pattern: Option<String>,
    /// Keys of a JSON object, with their types.
    pub reward_keys: Option<String>,
    /// Characters of an answer.
    pub reward_length: Option<usize>,
}

impl Owner for RewardOptions {
    const NAME: &'static str = "`objective = reward`";
    const HEADING: &'static str = "Rewards";
    const SETTINGS: &'static [Setting] = &[
        Setting::choice(
            "reward",
            "RULE",
            "What a written answer is worth",
            RewardRule::CHOICES,
        ),
        Setting::text(
            "reward-command",
            "PROGRAM",
            "A command line for the shell that says what answers are worth: it is given a JSON line an answer \
             ({\"row\": .., \"text\": ..}) and answers a number a line",
        ),
        Setting::number(
            "reward-timeout",
            "S",
            "Seconds without a line after which the program is given up",
        )
        .or("60"),
        Setting::text(
            "reward-pattern",
            "REGEX",
            "The regular expression of `reward = regex`",
        ),
        Setting::text(
            "reward-keys",
            "KEYS",
            "The keys of `reward = json`: KEY:TYPE, with commas between several; types are text, number, whole, truth, \
             list, object and any",
        )
        .or("any JSON object"),
        Setting::count(
            "reward-length",
            "N",
            "The characters of `reward = length`",
        ),
    ];
}

impl RewardOptions {
    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Fills in what was left open, and refuses what cannot be.
    ///
    /// # Errors
    /// No reward or two, a rule without what it needs or with what it does not, a value out of range.
    pub(crate) fn complete(&mut self) -> Result<()> {
        match (&self.reward, &self.reward_command) {
            (None, None) => refuse!(
                "what answers are worth is not said: give `reward` (a rule) or `reward-command` (a program)"
            ),
            (Some(_), Some(_)) => refuse!("`reward`, `reward-command`: give one of them"),
            (None, Some(command)) => {
                if command.trim().is_empty() {
                    refuse!("`reward-command`: it is empty");
                }
                let timeout = *self.reward_timeout.get_or_insert(TIMEOUT);
                if !(timeout > 0.0 && timeout <= MAX_TIMEOUT) {
                    refuse!(
                        "`reward-timeout = {timeout}`: use a number above 0 and at most {MAX_TIMEOUT}"
                    );
                }
            }
            (Some(rule), None) => {
                if self.reward_timeout.is_some() {
                    refuse!("`reward-timeout`: `reward = {rule}` has none; `reward-command` has");
                }
            }
        }
        let of_rules = [
            (
                "reward-pattern",
                self.reward_pattern.is_some(),
                RewardRule::Regex,
            ),
            ("reward-keys", self.reward_keys.is_some(), RewardRule::Json),
            (
                "reward-length",
                self.reward_length.is_some(),
                RewardRule::Length,
            ),
        ];
        for (key, is_given, rule) in of_rules {
            if is_given && self.reward != Some(rule) {
                refuse!("`{key}`: only with `reward = {rule}`");
            }
        }
        self.build().map(|_| ())
    }

    /// The reward; a program is started when it is first asked.
    ///
    /// # Errors
    /// A rule without what it needs.
    pub(crate) fn build(&self) -> Result<Arc<dyn Reward>> {
        let Some(rule) = self.reward else {
            let command = self.reward_command.clone().unwrap_or_default();
            let limit = Duration::from_secs_f64(self.reward_timeout.unwrap_or(TIMEOUT));
            return Ok(Arc::new(RewardProgram::new(command, limit)));
        };
        Ok(match rule {
            RewardRule::ExactMatch => Arc::new(ExactMatch),
            RewardRule::F1 => Arc::new(WordOverlap),
            RewardRule::Numeric => Arc::new(Numeric),
            RewardRule::Regex => match &self.reward_pattern {
                None => refuse!("`reward = regex`: give the regular expression (`reward-pattern`)"),
                Some(pattern) => {
                    Arc::new(Pattern::new(pattern).about(format!("`reward-pattern = {pattern}`"))?)
                }
            },
            RewardRule::Json => {
                let keys = self.reward_keys.as_deref().unwrap_or_default();
                let object = keys.parse::<JsonObject>();
                Arc::new(object.about(format!("`reward-keys = {keys}`"))?)
            }
            RewardRule::Length => match self.reward_length {
                None => {
                    refuse!("`reward = length`: give the number of characters (`reward-length`)")
                }
                Some(length) => {
                    Arc::new(Length::new(length).about(format!("`reward-length = {length}`"))?)
                }
            },
        })
    }

    /// What it is, for people.
    pub(crate) fn in_words(&self) -> String {
        match self.reward {
            Some(rule) => format!("{} {rule}", ObjectiveName::Reward),
            None => format!("{} of a program", ObjectiveName::Reward),
        }
    }
}
