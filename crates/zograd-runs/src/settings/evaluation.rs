//! What an evaluation on its own has settings for.

use super::names::names;
use super::owner::Owner;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zograd_select::{Choice, Setting};
use zograd_tasks::Split;

names! {
    /// A split of a data set.
    pub enum SplitName {
        Train = "train", "The train rows";
        Dev = "dev", "The development rows of a file that was divided in three";
        Validation = "validation", "The validation rows";
    }
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Dev => Self::Dev,
            SplitName::Validation => Self::Validation,
        }
    }
}

/// What is measured, and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Measurement {
    /// Folder of an adapter of the model.
    pub adapter: Option<PathBuf>,
    /// Which rows.
    pub rows: Option<SplitName>,
    /// How many of them.
    pub test_examples: Option<usize>,
    /// Demonstrations before each prompt.
    pub shots: Option<usize>,
    /// Calibrate by surface form competition.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sfc: bool,
    /// The same, after demonstrations.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub icl_sfc: bool,
    /// Beams of a search for written answers.
    pub beams: Option<usize>,
    /// Seed of the draws.
    pub seed: Option<u64>,
    /// The file for the predictions, a JSON line each.
    pub predictions: Option<PathBuf>,
}

/// What is laid over the model.
pub(super) const ADAPTER: Setting = Setting::path(
    "adapter",
    "DIR",
    "Folder of a LoRA or prefix adapter of the model, such as RUN/best, or one of PEFT's (LoRA)",
);

/// How answers are written.
pub(super) const BEAMS: Setting = Setting::count(
    "beams",
    "N",
    "Write answers by a search with this many beams (tasks with written answers)",
)
.or("greedily");

impl Owner for Measurement {
    const NAME: &'static str = "evaluations";
    const HEADING: &'static str = "Input";
    const SETTINGS: &'static [Setting] = &[
        ADAPTER,
        Setting::choice("rows", "SPLIT", "Which rows", SplitName::CHOICES).or("validation"),
        Setting::count(
            "test-examples",
            "N",
            "How many of them, drawn with the seed",
        )
        .or("all"),
        Setting::count(
            "shots",
            "N",
            "Demonstrations before each prompt (in-context learning), drawn from the train rows",
        )
        .or("0"),
        Setting::switch(
            "sfc",
            "Calibrate by surface form competition: a candidate's score is what it gains by the input",
        ),
        Setting::switch(
            "icl-sfc",
            "The same, with the demonstrations also before the prompts without input",
        ),
        BEAMS,
        Setting::count("seed", "N", "Seed of the draws").or("0"),
        Setting::path(
            "predictions",
            "FILE",
            "Write one JSON line per example: index, prediction, and the label and the candidates' scores, or the right \
             answers and their overlap; rows then need not say what is right",
        ),
    ];
}
