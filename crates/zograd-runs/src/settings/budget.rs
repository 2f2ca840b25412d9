//! How long to run, in what steps, on how much at a time.

use super::owner::Owner;
use super::rate::LearningRate;
use crate::error::{Blame, Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_select::{Choice, Setting};
use zograd_trainer::{BestBy, DecayToward, Guards, Limit, Schedule};

/// Forward passes of the built-in run: about a minute on two cores.
const BUILT_IN_FORWARDS: u64 = 4800;

/// Examples of a step.
const BATCH_SIZE: usize = 16;

/// Evaluations along a run.
const EVALUATIONS: u64 = 10;

/// Ways to say how long a run is, of which one is given.
pub(crate) const LENGTHS: [&str; 5] = ["steps", "forwards", "examples", "tokens", "seconds"];

/// What the steps of a method cost.
#[derive(Clone, Debug)]
pub(super) struct StepCost {
    /// Forward passes of a step.
    pub forwards: u64,
    /// Forward passes before the first one.
    pub before: u64,
    /// The settings that ask for them.
    pub before_by: String,
    /// Examples of each of them.
    pub batch_size: u64,
}

/// How large the steps are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StepSizes {
    /// Learning rate.
    pub lr: Option<LearningRate>,
    /// Forward passes that it is measured with, if it is.
    pub lr_forwards: Option<u64>,
    /// How it changes.
    pub schedule: Option<Schedule>,
    /// Weight decay.
    pub weight_decay: Option<f64>,
    /// Where it goes.
    pub decay_toward: Option<DecayToward>,
}

const SCHEDULES: &[Choice] = &[
    Choice {
        name: "constant",
        help: "As it is",
    },
    Choice {
        name: "linear",
        help: "Falling to 0 in a line",
    },
    Choice {
        name: "cosine",
        help: "Falling to 0 as half a wave",
    },
];

const DECAY_TOWARD: &[Choice] = &[
    Choice {
        name: "zero",
        help: "Weights become smaller",
    },
    Choice {
        name: "start",
        help: "Weights stay near those before the first step, against forgetting: 4 bytes a weight in a file, and a pass more \
               over the weights in each step (zeroth-order methods)",
    },
];

impl Owner for StepSizes {
    const NAME: &'static str = "methods with steps";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::number_or(
            "lr",
            "LR",
            LearningRate::AUTO,
            "Learning rate: what these methods are most sensitive to; try a few. auto: measured from the losses of some \
             probes before the first step, which count (zeroth-order methods)",
        )
        .or("1e-6, in the built-in run 2e-5; 5e-5 with lora, 5e-3 with prefix, 1e-4 with head; adam, adamw, tail: 1e-5; 1e-4 with lora, 1e-3 with prefix, 1e-4 with head"),
        Setting::count(
            "lr-forwards",
            "N",
            "Forward passes that lr = auto measures with, which count: an even number from 8 to 32. Without lr it asks for auto",
        )
        .or("32, at most a tenth of the budget where that is 8 or more"),
        Setting::choice(
            "schedule",
            "NAME",
            "How the learning rate changes",
            SCHEDULES,
        )
        .or("constant; linear with lr = auto"),
        Setting::number(
            "weight-decay",
            "L",
            "Weight decay, not on biases and layer norms",
        )
        .or("0"),
        Setting::choice(
            "decay-toward",
            "WHERE",
            "Where weight decay goes",
            DECAY_TOWARD,
        )
        .or("zero"),
    ];
}

/// How long to run, and what to do when a step goes wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Budget {
    /// Number of steps.
    pub steps: Option<u64>,
    /// Number of forward passes instead.
    pub forwards: Option<u64>,
    /// Number of examples in them instead.
    pub examples: Option<u64>,
    /// Number of tokens in them instead.
    pub tokens: Option<u64>,
    /// Seconds of training instead.
    pub seconds: Option<f64>,
    /// What to do about a step that is not as it should be.
    pub guard: Option<String>,
    /// Steps between evaluations.
    pub eval_every: Option<u64>,
    /// Forward passes between them instead.
    pub eval_every_forwards: Option<u64>,
    /// Evaluations without a better one that end the run.
    pub patience: Option<u64>,
    /// What the best weights are chosen by.
    pub best_by: Option<BestBy>,
}

const BEST_BY: &[Choice] = &[
    Choice {
        name: "score",
        help: "The score, and of equal ones the loss",
    },
    Choice {
        name: "loss",
        help: "The loss, as the scripts of MeZO and MeZO-GV do",
    },
];

impl Owner for Budget {
    const NAME: &'static str = "methods with steps";
    const HEADING: &'static str = "Run";
    const SETTINGS: &'static [Setting] = &[
        Setting::count("steps", "N", "Number of steps")
            .or("1000; in the built-in run as many as 4800 forwards give"),
        Setting::count(
            "forwards",
            "N",
            "Number of forward passes instead: as many steps as fit, to compare methods at equal cost",
        ),
        Setting::count(
            "examples",
            "N",
            "Number of examples instead, each counted as often as it goes through the model (forward passes times the batch \
             size): as many steps as fit",
        ),
        Setting::count(
            "tokens",
            "N",
            "Number of tokens instead that go through the layers: the step that reaches it is the last",
        ),
        Setting::number(
            "seconds",
            "S",
            "Seconds of training instead, evaluations not counted: the step that reaches them is the last",
        ),
        Setting::text(
            "guard",
            "EVENT=POLICY",
            "What to do about a step that is not as it should be: EVENT=POLICY, with commas between several. Events: \
             non-finite-loss, non-finite-update, update-too-far, reward-ended, reward-late, reward-unreadable, \
             reward-not-finite (skip, stop); loss-explosion, exploding-gradient \
             (go-on, skip, shrink, stop); flat-loss, vanishing-gradient, update-below-grid (go-on, skip, stop)",
        )
        .or("skip those that can only be skipped or stopped for, go on after the others; all are counted"),
        Setting::count(
            "eval-every",
            "N",
            "Evaluate on the development examples every N steps; 0: only at the end",
        )
        .or("a tenth of the run"),
        Setting::count(
            "eval-every-forwards",
            "N",
            "Evaluate every N forward passes of training instead",
        ),
        Setting::count(
            "patience",
            "N",
            "End early, after N evaluations in a row that are no better than the best one before them",
        )
        .or("no end before the last step"),
        Setting::choice(
            "best-by",
            "WHAT",
            "What the best weights are chosen by, on the development examples",
            BEST_BY,
        )
        .or("score"),
    ];
}

impl Budget {
    /// How many steps of this cost, which are not known before where the budget is in tokens or seconds; one in forward
    /// passes or examples is in steps from here on.
    ///
    /// # Errors
    /// Too little for one step, the same thing said twice.
    pub(super) fn resolve(&mut self, cost: &StepCost, built_in: bool) -> Result<()> {
        let given = self.lengths();
        if let [first, second, ..] = given[..] {
            refuse!("`{first}`, `{second}`: give one of them");
        }
        if self.tokens == Some(0) {
            refuse!("`tokens = 0`: use at least 1");
        }
        if let Some(seconds) = self.seconds.filter(|s| !(s.is_finite() && *s > 0.0)) {
            refuse!("`seconds = {seconds}`: use a number above 0");
        }
        let limited = self.tokens.is_some() || self.seconds.is_some();
        if !limited {
            self.steps = Some(self.in_steps(cost, built_in)?);
        }
        (self.forwards, self.examples) = (None, None);
        let every = match (self.eval_every, self.eval_every_forwards.take()) {
            (Some(_), Some(_)) => refuse!("`eval-every`, `eval-every-forwards`: give one of them"),
            (_, Some(0)) => {
                refuse!("`eval-every-forwards = 0`: use at least 1, or `eval-every = 0`")
            }
            (None, Some(forwards)) => Some(forwards.div_ceil(cost.forwards)),
            (None, None) => self.steps.map(|steps| steps.div_ceil(EVALUATIONS)),
            (every, None) => every,
        };
        self.eval_every = every;
        if self.patience == Some(0) {
            refuse!("`patience = 0`: use at least 1");
        }
        if self.patience.is_some() && every == Some(0) {
            refuse!(
                "`patience`: without evaluations there is nothing to wait for; use `eval-every` of at least 1"
            );
        }
        Ok(())
    }

    /// The lengths that were given, by their keys.
    fn lengths(&self) -> Vec<&'static str> {
        let given = [
            self.steps.is_some(),
            self.forwards.is_some(),
            self.examples.is_some(),
            self.tokens.is_some(),
            self.seconds.is_some(),
        ];
        let given = LENGTHS.into_iter().zip(given);
        given.filter(|(_, is)| *is).map(|(key, _)| key).collect()
    }

    /// The number of steps of a budget that says it.
    fn in_steps(&self, cost: &StepCost, built_in: bool) -> Result<u64> {
        let (per_step, before) = (cost.forwards, cost.before);
        let fit = |forwards: u64| forwards.saturating_sub(before) / per_step;
        let (key, n, unit, steps) = match (self.steps, self.forwards, self.examples) {
            (Some(0), ..) => refuse!("`steps = 0`: use at least 1"),
            (Some(steps), ..) => return Ok(steps),
            (None, Some(n), _) => ("forwards", n, 1, fit(n)),
            (None, None, Some(n)) => {
                let unit = cost.batch_size;
                ("examples", n, unit, fit(n / unit))
            }
            (None, None, None) if built_in => {
                ("forwards", BUILT_IN_FORWARDS, 1, fit(BUILT_IN_FORWARDS))
            }
            (None, None, None) => return Ok(1000),
        };
        match steps {
            0 if before > 0 => refuse!(
                "`{key} = {n}`: {} {key} are made before the first step ({}), and one step of this method takes {}",
                before * unit,
                cost.before_by,
                per_step * unit
            ),
            0 => refuse!(
                "`{key} = {n}`: one step of this method takes {} {key}",
                per_step * unit
            ),
            steps => Ok(steps),
        }
    }

    /// What ends the run, if not a number of steps.
    pub(super) fn limit(&self) -> Option<Limit> {
        let tokens = self.tokens.map(Limit::tokens);
        let limit = tokens.or_else(|| self.seconds.map(Limit::seconds))?;
        Some(limit.evaluated(match self.eval_every {
            Some(_) => 0,
            None => EVALUATIONS,
        }))
    }

    pub(super) fn guards(&self) -> Result<Guards> {
        match &self.guard {
            Some(text) => text.parse::<Guards>().or_input(),
            None => Ok(Guards::default()),
        }
    }
}

/// What every run has: examples of a step, and the seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Draw {
    /// Examples of a step.
    pub batch_size: Option<usize>,
    /// Seed of everything that is drawn.
    pub seed: Option<u64>,
}

impl Owner for Draw {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Method";
    const SETTINGS: &'static [Setting] = &[
        Setting::count("batch-size", "B", "Examples of a step").or("16"),
        Setting::count(
            "seed",
            "N",
            "Seed of the noise, the order and the draw of the examples",
        )
        .or("0"),
    ];
}

impl Draw {
    pub(super) fn complete(&mut self) -> Result<()> {
        self.batch_size = Some(at_least_one(
            "batch-size",
            self.batch_size.unwrap_or(BATCH_SIZE),
        )?);
        self.seed.get_or_insert(0);
        Ok(())
    }
}

/// How evaluations are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct EvalOptions {
    /// Examples of a forward.
    pub eval_batch_size: Option<usize>,
}

impl Owner for EvalOptions {
    const NAME: &'static str = "every run";
    const HEADING: &'static str = "Run";
    const SETTINGS: &'static [Setting] = &[Setting::count(
        "eval-batch-size",
        "N",
        "Examples of a forward when evaluating",
    )
    .or("32")];
}

impl EvalOptions {
    /// The number of examples.
    ///
    /// # Errors
    /// None, or too many to be meant.
    pub fn batch_size(&self) -> Result<usize> {
        match self.eval_batch_size.unwrap_or(32) {
            n @ 1..=65536 => Ok(n),
            n => refuse!("`eval-batch-size = {n}`: use 1 to 65536"),
        }
    }
}

pub(super) fn at_least_one(key: &str, value: usize) -> Result<usize> {
    match value {
        0 => refuse!("`{key} = 0`: use at least 1"),
        n => Ok(n),
    }
}
