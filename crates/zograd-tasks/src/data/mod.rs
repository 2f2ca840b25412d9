//! Rows of data sets, from files or from memory.

mod error;
mod files;
mod json_lines;
mod json_list;
mod parquet_pages;
mod parquet_rows;

use crate::Row;
pub use error::DataError;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::io::BufRead;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A part of a data set as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Rows for training, development and demonstrations.
    Train,
    /// Rows to test on (the test splits of these data sets have no labels).
    Validation,
}

impl Split {
    /// `train` or `validation`, as in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One file of a split, or a text that stands for one.
#[derive(Clone, Debug)]
enum Shard {
    JsonLines(PathBuf),
    Parquet(PathBuf),
    Text {
        name: String,
        lines: Cow<'static, str>,
    },
}

impl Shard {
    fn count(&self) -> Result<usize, DataError> {
        match self {
            Self::JsonLines(path) => json_rows(json_lines::open(path)?, &path.display(), None),
            Self::Text { name, lines } => json_rows(lines.as_bytes(), name, None),
            Self::Parquet(path) => parquet_rows::count(path),
        }
    }

    /// Appends the rows whose numbers, counted from `first`, are in `wanted` (ascending), and
    /// returns the number of rows passed, at least up to the last wanted one.
    fn read(
        &self,
        first: usize,
        wanted: &[usize],
        rows: &mut Vec<Row>,
    ) -> Result<usize, DataError> {
        match self {
            Self::JsonLines(path) => {
                let reader = json_lines::open(path)?;
                json_rows(reader, &path.display(), Some((first, wanted, rows)))
            }
            Self::Text { name, lines } => {
                json_rows(lines.as_bytes(), name, Some((first, wanted, rows)))
            }
            Self::Parquet(path) => parquet_rows::read(path, first, wanted, rows),
        }
    }
}

/// Reads rows of one JSON object a line, or of a list of objects; without `asked` counts them.
fn json_rows(
    mut reader: impl BufRead,
    name: &impl fmt::Display,
    asked: Option<(usize, &[usize], &mut Vec<Row>)>,
) -> Result<usize, DataError> {
    let is_list = json_list::begins(&mut reader).map_err(|source| DataError::Read {
        path: name.to_string(),
        source,
    })?;
    match (is_list, asked) {
        (true, None) => json_list::count(reader, name),
        (false, None) => json_lines::count(reader, name),
        (true, Some((first, wanted, rows))) => json_list::read(reader, name, first, wanted, rows),
        (false, Some((first, wanted, rows))) => json_lines::read(reader, name, first, wanted, rows),
    }
}

/// A data set: a train and a validation split of [`Row`]s, read when asked for.
///
/// Only rows that are asked for are parsed, so a large file costs little when a run needs a
/// thousand rows of it.
#[derive(Clone, Debug)]
pub struct Dataset {
    name: String,
    /// The splits that were looked for.
    splits: Vec<(Split, Vec<Shard>)>,
}

impl Dataset {
    /// The data set in a folder. For each split the first of these that exists, in the folder
    /// itself or else in its subfolder `data`, is taken (SPLIT is `train` or `validation`):
    ///
    /// 1. `SPLIT.jsonl` or `SPLIT.json`: one JSON object a line, or a list of objects, UTF-8;
    /// 2. `SPLIT.parquet`;
    /// 3. `SPLIT-00000-of-00002.parquet` and so on, also with a hash behind the numbers: all shards, in order;
    /// 4. the files of the folder `SPLIT` (`train/0000.parquet`), by name.
    ///
    /// Rows for validation may also be called `valid`, `val` or `dev`. Where a split is there in several
    /// forms, a warning says which one is read; [`files`](Self::files) tells what was found.
    ///
    /// # Errors
    /// [`DataError::FolderMissing`], [`DataError::SplitMissing`], [`DataError::ShardMissing`],
    /// [`DataError::ShardTwice`] and [`DataError::Read`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_splits(folder, &[Split::Train, Split::Validation])
    }

    /// The same, but only these splits: the others need not be there.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_splits(folder: impl AsRef<Path>, splits: &[Split]) -> Result<Self, DataError> {
        let folder = folder.as_ref();
        let find = |&split| Ok((split, files::find(folder, split)?));
        Ok(Self {
            name: folder.display().to_string(),
            splits: splits.iter().map(find).collect::<Result<_, _>>()?,
        })
    }

    /// A data set in memory: JSON lines for each split, as in a `.jsonl` file. `name` stands for
    /// the folder in messages.
    pub fn from_json_lines(
        name: &str,
        train: impl Into<Cow<'static, str>>,
        validation: impl Into<Cow<'static, str>>,
    ) -> Self {
        let shard = |split: Split, lines| {
            let name = format!("{name}/{split}");
            (split, vec![Shard::Text { name, lines }])
        };
        Self {
            name: name.to_owned(),
            splits: vec![
                shard(Split::Train, train.into()),
                shard(Split::Validation, validation.into()),
            ],
        }
    }

    /// The files of a split, in order; none for a data set in memory.
    pub fn files(&self, split: Split) -> Vec<&Path> {
        self.shards(split)
            .iter()
            .filter_map(|shard| match shard {
                Shard::JsonLines(path) | Shard::Parquet(path) => Some(path.as_path()),
                Shard::Text { .. } => None,
            })
            .collect()
    }

    /// Number of rows of a split, never 0. Nothing is kept: lines or the entries of a list are counted, or the number is
    /// read from the Parquet footer.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`], and [`DataError::Read`] or [`DataError::Parquet`] for a file that
    /// cannot be read.
    pub fn count(&self, split: Split) -> Result<usize, DataError> {
        let mut rows = 0usize;
        for shard in self.shards(split) {
            rows = rows.saturating_add(shard.count()?);
        }
        if rows == 0 {
            return Err(DataError::EmptySplit {
                dataset: self.name.clone(),
                split,
            });
        }
        Ok(rows)
    }

    /// The rows with these numbers, in this order.
    ///
    /// # Errors
    /// [`DataError::RowOutOfRange`], and whatever is wrong with a file or a line up to the last row
    /// asked for.
    pub fn rows(&self, split: Split, numbers: &[usize]) -> Result<Vec<Row>, DataError> {
        let mut wanted = numbers.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut found = Vec::with_capacity(wanted.len());
        let mut passed = 0usize;
        for shard in self.shards(split) {
            if found.len() == wanted.len() {
                break;
            }
            let more = shard.read(passed, &wanted[found.len()..], &mut found)?;
            passed = passed.saturating_add(more);
        }
        numbers
            .iter()
            .map(|&number| {
                found
                    .binary_search_by_key(&number, Row::number)
                    .map(|at| found[at].clone())
                    .map_err(|_| DataError::RowOutOfRange {
                        dataset: self.name.clone(),
                        split,
                        row: number,
                        rows: passed,
                    })
            })
            .collect()
    }

    /// The rows of a range, less what lies behind the end of the split.
    ///
    /// # Errors
    /// As [`count`](Self::count) and [`rows`](Self::rows).
    pub fn range(&self, split: Split, range: Range<usize>) -> Result<Vec<Row>, DataError> {
        let end = range.end.min(self.count(split)?);
        self.rows(split, &(range.start..end).collect::<Vec<_>>())
    }

    /// The files of a split; none of one that was not looked for.
    fn shards(&self, split: Split) -> &[Shard] {
        let found = self.splits.iter().find(|(name, _)| *name == split);
        found.map_or(&[], |(_, shards)| shards)
    }
}
