//! Which rows a run uses: `examples.json` in its folder.

use super::files::EXAMPLES;
use crate::error::{Blame, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use zograd_tasks::{Sample, Split, Splits};

/// The largest list that is read: a hundred million rows.
const MAX_BYTES: u64 = 1 << 30;

/// The rows of each kind, in the order they were drawn.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExampleRows {
    /// What they were drawn with.
    seed: u64,
    train: Rows,
    dev: Rows,
    test: Rows,
}

/// Row numbers, from 0, in a split of the data set.
#[derive(Debug, Serialize, Deserialize)]
struct Rows {
    split: Split,
    rows: Vec<usize>,
}

impl ExampleRows {
    /// The rows of these splits; those for development are from `dev`.
    pub fn new(seed: u64, splits: &Splits, dev: Split) -> Self {
        let rows = |split, samples: &[Sample]| Rows {
            split,
            rows: numbers(samples),
        };
        Self {
            seed,
            train: rows(Split::Train, &splits.train),
            dev: rows(dev, &splits.dev),
            test: rows(Split::Validation, &splits.test),
        }
    }

    /// Those of the run in this folder.
    ///
    /// # Errors
    /// The list cannot be read.
    pub(crate) fn read(run: &Path) -> Result<Self> {
        let path = run.join(EXAMPLES);
        let text = zograd_files::read_text(&path, MAX_BYTES).about_file(&path)?;
        serde_json::from_str(&text).about_file(&path)
    }

    /// What the run learnt from (train), or chose its weights by (dev): the split they are from, and their numbers there. What
    /// a run is tested on is drawn anew by whoever tests.
    pub(crate) fn of(&self, kind: Split) -> Option<(Split, &[usize])> {
        match kind {
            Split::Train => Some((self.train.split, &self.train.rows)),
            Split::Dev => Some((self.dev.split, &self.dev.rows)),
            _ => None,
        }
    }
}

/// The row numbers of samples.
pub fn numbers(samples: &[Sample]) -> Vec<usize> {
    samples.iter().map(|sample| sample.row).collect()
}
