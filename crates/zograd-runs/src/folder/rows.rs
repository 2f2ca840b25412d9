//! Which rows a run uses: `examples.json` in its folder.

use serde::Serialize;
use zograd_tasks::{Sample, Split, Splits};

/// The rows of each kind, in the order they were drawn.
#[derive(Debug, Serialize)]
pub struct ExampleRows {
    /// What they were drawn with.
    seed: u64,
    train: Rows,
    dev: Rows,
    test: Rows,
}

/// Row numbers, from 0, in a split of the data set.
#[derive(Debug, Serialize)]
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
}

/// The row numbers of samples.
pub fn numbers(samples: &[Sample]) -> Vec<usize> {
    samples.iter().map(|sample| sample.row).collect()
}
