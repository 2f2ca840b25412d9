//! Flags of `zograd data`.

use super::settings::{Flags, HasSettings};
use clap::Args;
use std::path::PathBuf;
use zograd_runs::{Given, Keys, Result, RunError, Runs};

/// `zograd data`
#[derive(Clone, Debug)]
pub enum Data {}

impl HasSettings for Data {
    fn keys() -> Keys {
        Runs::inspection_keys()
    }
}

/// Its arguments.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  zograd data reviews.csv                                       the fields, and what they hold
  zograd data reviews.csv --text review --label sentiment       classes, duplicates, the first prompt
  zograd data reviews.csv --text review --label sentiment --model DIR   lengths in tokens, what would be cut")]
pub struct DataArgs {
    /// The rows: a CSV, TSV, JSON, JSONL or Parquet file, a folder, or - for the standard input (as --data)
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub flags: Flags<Data>,
}

impl DataArgs {
    /// What was given.
    ///
    /// # Errors
    /// A path that is no UTF-8, rows that are named twice or not at all.
    pub fn given(&self) -> Result<Given> {
        let given = self.flags.with_file()?;
        match (&self.file, given.get("data")) {
            (Some(_), Some(_)) => Err(RunError::input("`data`: the rows are named twice")),
            (None, None) => Err(RunError::input("name the file or folder with the rows")),
            (None, Some(_)) => Ok(given),
            (Some(file), None) => {
                let name = file.to_str();
                let name = name.ok_or_else(|| RunError::input("`data`: the path is no UTF-8"))?;
                Ok(given.with("data", name))
            }
        }
    }
}
