//! What answering rows has settings for.

use super::evaluation::{ADAPTER, BEAMS};
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
        ADAPTER,
        Setting::path(
            "out",
            "FILE",
            "Where the rows go with their predictions: a file that ends in .csv, .tsv, .jsonl or .parquet, or - for JSON \
             lines on the standard output. An unfinished file (FILE.unfinished) is gone on with",
        ),
        BEAMS,
    ];
}
