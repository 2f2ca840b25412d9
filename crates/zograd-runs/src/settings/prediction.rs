//! What answering rows has settings for.

use super::owner::Owner;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use zograd_select::Setting;

/// Where the answers go, and what gives them beside the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PredictOptions {
    /// Folder of an adapter of the model.
    pub adapter: Option<PathBuf>,
    /// The file; `-` is the standard output.
    pub out: Option<PathBuf>,
    /// Beams of a search for written answers.
    pub beams: Option<usize>,
}

impl Owner for PredictOptions {
    const NAME: &'static str = "predictions";
    const HEADING: &'static str = "Input";
    const SETTINGS: &'static [Setting] = &[
        Setting::path(
            "adapter",
            "DIR",
            "Folder of a LoRA or prefix adapter of the model, such as RUN/best, or one of PEFT's (LoRA)",
        ),
        Setting::path(
            "out",
            "FILE",
            "Where the rows go with their predictions: a file that ends in .csv, .tsv, .jsonl or .parquet, or - for JSON \
             lines on the standard output. An unfinished file (FILE.unfinished) is gone on with",
        ),
        Setting::count(
            "beams",
            "N",
            "Write answers by a search with this many beams (tasks with written answers)",
        )
        .or("greedily"),
    ];
}
