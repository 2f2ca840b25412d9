//! How long to run, in what steps, on how much at a time.

use super::owner::Owner;
use super::rate::LearningRate;
use crate::error::{Blame, Result, refuse};
use serde::{Deserialize, Serialize};
use zograd_select::{Choice, Setting};
use zograd_trainer::{BestBy, Guards, Schedule};

/// Forward passes of the built-in run: about a minute on two cores.
const BUILT_IN_FORWARDS: u64 = 4800;

/// Examples of a step.
const BATCH_SIZE: usize = 16;

/// How large the steps are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StepSizes {
    /// Learning rate.
    pub lr: Option<LearningRate>,
    /// How it changes.
    pub schedule: Option<Schedule>,
    /// Weight decay.
    pub weight_decay: Option<f64>,
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
        .or("1e-6, in the built-in run 2e-5; 5e-5 with lora, 5e-3 with prefix, 1e-4 with head; adam, tail: 1e-5, 1e-4, 1e-3, 1e-4"),
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
        .or("a tenth of the steps"),
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
    /// How many steps, if one costs so many forward passes, after so many before the first; from here on the budget is in
    /// steps.
    ///
    /// # Errors
    /// Too little for one step, the same thing said twice.
    pub(super) fn resolve(
        &mut self,
        (per_step, before): (u64, u64),
        built_in: bool,
    ) -> Result<u64> {
        let (asked, forwards) = (self.steps, self.forwards);
        let steps = match (asked, forwards) {
            (Some(_), Some(_)) => refuse!("`steps`, `forwards`: give one of them"),
            (Some(steps), None) => steps,
            (None, Some(forwards)) => forwards.saturating_sub(before) / per_step,
            (None, None) if built_in => BUILT_IN_FORWARDS.saturating_sub(before) / per_step,
            (None, None) => 1000,
        };
        match (steps, forwards) {
            (0, Some(n)) if before > 0 => refuse!(
                "`forwards = {n}`: {before} forwards are made before the first step (`head-fit`, `lr = auto`), and one step of \
                 this method takes {per_step}"
            ),
            (0, Some(n)) => {
                refuse!("`forwards = {n}`: one step of this method takes {per_step} forwards")
            }
            (0, None) => refuse!("`steps = 0`: use at least 1"),
            _ => {}
        }
        (self.steps, self.forwards) = (Some(steps), None);
        let every = match (self.eval_every, self.eval_every_forwards.take()) {
            (Some(_), Some(_)) => refuse!("`eval-every`, `eval-every-forwards`: give one of them"),
            (_, Some(0)) => {
                refuse!("`eval-every-forwards = 0`: use at least 1, or `eval-every = 0`")
            }
            (None, Some(forwards)) => forwards.div_ceil(per_step),
            (every, None) => every.unwrap_or(steps.div_ceil(10)),
        };
        self.eval_every = Some(every);
        if self.patience == Some(0) {
            refuse!("`patience = 0`: use at least 1");
        }
        if self.patience.is_some() && every == 0 {
            refuse!(
                "`patience`: without evaluations there is nothing to wait for; use `eval-every` of at least 1"
            );
        }
        Ok(steps)
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
