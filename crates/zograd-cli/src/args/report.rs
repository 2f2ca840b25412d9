//! `zograd report` and `zograd presets`.

use clap::Args;
use std::path::PathBuf;

/// `zograd report`
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// Run folders, or folders of sweeps
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The page: one HTML file that needs no other [default: report.html, numbered if taken, if nothing else is asked for]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write runs.csv, steps.csv and evals.csv into this folder
    #[arg(long, value_name = "DIR")]
    pub csv: Option<PathBuf>,
    /// Write event files of TensorBoard into this folder, one below it for each run
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Write the charts into this folder as SVG
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// Write the charts into this folder as PNG
    #[arg(long, value_name = "DIR")]
    pub png: Option<PathBuf>,
    /// Print the table of results as JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// `zograd presets`
#[derive(Args, Clone, Debug)]
pub struct PresetsArgs {
    /// Only presets whose name contains these words, such as `13b/gv`
    #[arg(value_name = "FILTER", default_value = "")]
    pub filter: String,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}
