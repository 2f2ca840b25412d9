//! Whether the runs in the folder of an experiment are those that belong there, and were made of the same rows.

use super::plan::Point;
use crate::error::{Blame, Result, RunError, refuse};
use crate::folder::{CONFIG, INPUTS, LOG, Origin, RunRecord};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zograd_trainer::trajectory::Trajectory;

/// Refuses the finished run of a point and a seed that is another one's, as where two folders were swapped.
///
/// # Errors
/// Its settings are of another point, or of another seed.
pub(super) fn check(run: &RunRecord, point: &Point, seed: u64) -> Result<()> {
    let number = |key: &str| {
        let value = run.settings.get(key);
        value.and_then(|v| v.as_float().or(v.as_integer().map(|n| n as f64)))
    };
    let is = |key: &str, expected: f64| number(key) == Some(expected);
    let method = run.settings.get("method").and_then(toml::Value::as_str);
    let belongs = method == Some(&point.method)
        && is("lr", point.lr)
        && is("seed", seed as f64)
        && point.eps.is_none_or(|eps| is("eps", eps))
        && point
            .batch_size
            .is_none_or(|size| is("batch-size", size as f64));
    if !belongs {
        refuse!(
            "{}: it is not the run of {point}, seed {seed}: its {CONFIG} says otherwise; put each run back in its place, or \
             remove it to have it made again",
            run.folder.display()
        );
    }
    Ok(())
}

/// What the finished runs of each seed were made of.
#[derive(Default)]
pub(super) struct Origins {
    first: BTreeMap<u64, (PathBuf, Origin)>,
    /// Those of them that have a log, which says what weights they started from.
    logged: Option<(PathBuf, String)>,
}

impl Origins {
    /// Refuses a run that was made of other things than the first one with its seed: numbers of other rows do not stand side
    /// by side.
    ///
    /// # Errors
    /// It is one, or what it was made of cannot be read.
    pub(super) fn check(&mut self, seed: u64, run: &Path) -> Result<()> {
        if !zograd_files::exists(&run.join(INPUTS)) {
            return Ok(());
        }
        self.check_weights(run)?;
        let origin = Origin::read(run).about_file(run)?;
        let Some((other, first)) = self.first.get(&seed) else {
            self.first.insert(seed, (run.to_owned(), origin));
            return Ok(());
        };
        let parts = [
            ("model", &first.model, &origin.model),
            ("task", &first.task, &origin.task),
            ("tokenizer", &first.tokenizer, &origin.tokenizer),
            ("rows", &first.rows, &origin.rows),
            ("prompts", &first.prompts, &origin.prompts),
        ];
        let Some((what, ..)) = parts.iter().find(|(_, a, b)| a != b) else {
            return Ok(());
        };
        Err(not_alike(other, run, what))
    }

    /// The same of the weights that runs started from, whatever their seed.
    fn check_weights(&mut self, run: &Path) -> Result<()> {
        let log = run.join(LOG);
        if !zograd_files::exists(&log) {
            return Ok(());
        }
        let weights = Trajectory::read(&log).about_file(&log)?.header.weights;
        match &self.logged {
            None => self.logged = Some((run.to_owned(), weights)),
            Some((other, first)) if *first != weights => {
                return Err(not_alike(other, run, "model's weights"));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

fn not_alike(run: &Path, other: &Path, what: &str) -> RunError {
    RunError::input(format!(
        "{} and {}: the {what} that they were made of are not the same, so they cannot be compared; give everything back \
         as it was and remove the run that is not to count, or begin anew",
        run.display(),
        other.display()
    ))
}
