use super::TrainSummary;
use crate::StepRecord;
use serde::{Deserialize, Serialize};

/// What ends a run where its number of steps is not known before: the step that reaches it is the last.
///
/// ```
/// use zograd_trainer::{Limit, Spent};
///
/// let limit = Limit::tokens(1000).evaluated(4);
/// let [before, after] = [240, 260].map(|tokens| Spent { tokens, seconds: 1.0 });
/// assert!(limit.is_evaluated(before, after) && !limit.is_reached(after));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limit {
    /// What must not be spent.
    pub of: Allowance,
    /// Evaluate so many times along the run, whenever as large a part of it is spent; 0: by steps alone.
    #[serde(default)]
    pub evaluations: u64,
}

/// What a run may spend.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Allowance {
    /// Tokens that go through the layers in training.
    Tokens(u64),
    /// Seconds of training, evaluations not counted.
    Seconds(f64),
}

/// What a run has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Tokens.
    pub tokens: u64,
    /// Seconds.
    pub seconds: f64,
}

impl Spent {
    /// Up to the end of this step.
    pub fn with(step: &StepRecord) -> Self {
        Self {
            tokens: step.tokens,
            seconds: step.seconds,
        }
    }

    /// By the steps of this run; nothing before the first, whatever was paid then.
    pub fn by(run: &TrainSummary) -> Self {
        match run.steps {
            0 => Self::default(),
            _ => Self {
                tokens: run.tokens,
                seconds: run.seconds,
            },
        }
    }
}

impl Limit {
    /// So many tokens.
    pub fn tokens(tokens: u64) -> Self {
        Self::new(Allowance::Tokens(tokens))
    }

    /// So many seconds.
    pub fn seconds(seconds: f64) -> Self {
        Self::new(Allowance::Seconds(seconds))
    }

    fn new(of: Allowance) -> Self {
        Self { of, evaluations: 0 }
    }

    /// The same, evaluated so many times on the way.
    #[must_use]
    pub fn evaluated(self, evaluations: u64) -> Self {
        Self {
            evaluations,
            ..self
        }
    }

    /// Whether all of it is spent.
    pub fn is_reached(&self, spent: Spent) -> bool {
        self.share(spent) >= 1.0
    }

    /// Whether an evaluation is due after a step before which so much was spent, and with which so much is.
    pub fn is_evaluated(&self, before: Spent, with: Spent) -> bool {
        let parts = |spent| (self.share(spent) * self.evaluations as f64).floor();
        parts(with) > parts(before) || self.is_reached(with)
    }

    fn share(&self, spent: Spent) -> f64 {
        match self.of {
            Allowance::Tokens(most) => spent.tokens as f64 / most as f64,
            Allowance::Seconds(most) => spent.seconds / most,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long the steps are, every part is evaluated once, and the last step is.
    #[test]
    fn parts_are_evaluated_once() {
        for (limit, step) in [(100, 7), (100, 1), (100, 60), (100, 200)] {
            let rule = Limit::tokens(limit).evaluated(10);
            let at = |tokens| Spent {
                tokens,
                seconds: 0.0,
            };
            let (mut spent, mut evaluated) = (0, Vec::new());
            while !rule.is_reached(at(spent)) {
                if rule.is_evaluated(at(spent), at(spent + step)) {
                    evaluated.push(spent + step);
                }
                spent += step;
            }
            assert_eq!(evaluated.last(), Some(&spent));
            let parts = evaluated.iter().map(|tokens| tokens * 10 / limit);
            let parts: Vec<u64> = parts.collect();
            assert!(parts.windows(2).all(|pair| pair[0] < pair[1]), "{parts:?}");
            assert!(spent >= limit && spent - step < limit);
        }
        // by steps alone there is none but the last
        let rule = Limit::seconds(1.0);
        let at = |seconds| Spent { tokens: 0, seconds };
        assert!(!rule.is_evaluated(at(0.0), at(0.99)) && rule.is_evaluated(at(0.5), at(1.0)));
    }
}
