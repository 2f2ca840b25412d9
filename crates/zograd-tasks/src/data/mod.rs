//! Rows of data sets, from files or from memory.

mod csv_rows;
mod encoding;
mod error;
mod files;
mod format;
mod json_lines;
mod json_list;
mod long_numbers;
mod parquet_pages;
mod parquet_rows;
mod shares;
mod source;

use crate::Row;
pub use error::DataError;
pub use format::Format;
pub use long_numbers::long_numbers_as_texts;
use serde::{Deserialize, Serialize};
pub use shares::Shares;
use source::{Shard, Source};
use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// The most that is read from the standard input, which is kept in memory.
const MAX_INPUT_BYTES: u64 = 1 << 30;

/// How many rows are parsed at a time where all are looked at.
const CHUNK: usize = 1 << 14;

/// A part of a data set as it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Rows for training and demonstrations, and for development where that has none of its own.
    Train,
    /// Rows for development, in a file that was divided in three.
    Dev,
    /// Rows to test on (the test splits of these data sets have no labels).
    Validation,
}

impl Split {
    /// `train` or `validation`, as in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Validation => "validation",
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
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
    splits: Vec<(Split, Source)>,
    /// How one source was divided, if it was.
    shares: Option<Shares>,
}

/// What of a data set is going to be read, and how one file becomes several splits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opening<'a> {
    /// The splits that are looked for; others need not be there.
    pub splits: &'a [Split],
    /// The shares of the splits in a single file. Without them a file of which one split is asked for is that split, all
    /// of it; of which several are asked for, it is divided by [`Shares::default`].
    pub shares: Option<Shares>,
    /// The fields that decide where a row of a single file belongs; all, if none are named.
    pub by: &'a [String],
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
        let opening = Opening {
            splits,
            ..Opening::default()
        };
        Self::open_as(folder, &opening)
    }

    /// The data set at a path, which may also be one file of any [`Format`], a folder with one such file, or `-`, the
    /// standard input. One file is one split, or is divided ([`Shares`]).
    ///
    /// # Errors
    /// As [`open`](Self::open), and whatever is wrong with a row of a file that is to be divided.
    pub fn open_as(path: impl AsRef<Path>, opening: &Opening<'_>) -> Result<Self, DataError> {
        let path = path.as_ref();
        if path == Path::new("-") {
            return Self::of_one("standard input".into(), standard_input()?, opening);
        }
        let name = path.display().to_string();
        if path.is_file() {
            return Self::of_one(name, files::one(path)?, opening);
        }
        if let Some(file) = files::only_file(path) {
            return Self::of_one(file.display().to_string(), files::one(&file)?, opening);
        }
        if opening.shares.is_some() {
            let train = files::find(path, Split::Train)?;
            if files::find(path, Split::Validation).is_ok() {
                return Err(DataError::DividedAlready {
                    folder: path.to_owned(),
                });
            }
            return Self::of_one(name, Source::new(train), opening);
        }
        let find = |&split| Ok((split, Source::new(files::find(path, split)?)));
        Ok(Self {
            name,
            splits: opening.splits.iter().map(find).collect::<Result<_, _>>()?,
            shares: None,
        })
    }

    /// Whether the rows at a path are all in one place, which is one split or is divided: one file, a folder with a
    /// single file whose name is no split's, or the standard input.
    pub fn is_one(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        !path.is_dir() || files::only_file(path).is_some()
    }

    /// The splits of one source.
    fn of_one(name: String, source: Source, opening: &Opening<'_>) -> Result<Self, DataError> {
        let shares = match (opening.shares, opening.splits) {
            (None, [split]) => {
                return Ok(Self {
                    name,
                    splits: vec![(*split, source)],
                    shares: None,
                });
            }
            (shares, _) => shares.unwrap_or_default(),
        };
        let mut numbers: [Vec<usize>; 3] = Default::default();
        let all = source.count()?;
        for start in (0..all).step_by(CHUNK) {
            let chunk: Vec<usize> = (start..all.min(start + CHUNK)).collect();
            for row in source.rows(&chunk)?.1 {
                // names that no row has would put all rows into one split
                if row.number() == 0 && opening.by.iter().all(|field| row.value(field).is_err()) {
                    for field in opening.by {
                        row.value(field)?;
                    }
                }
                numbers[shares.split_of(&row, opening.by) as usize].push(row.number());
            }
        }
        let mut splits = Vec::new();
        for split in [Split::Train, Split::Dev, Split::Validation] {
            let numbers = std::mem::take(&mut numbers[split as usize]);
            if !numbers.is_empty() {
                splits.push((split, source.only(numbers)));
            } else if opening.splits.contains(&split) {
                return Err(DataError::EmptyPart {
                    dataset: name,
                    split,
                    rows: all,
                });
            }
        }
        Ok(Self {
            name,
            splits,
            shares: Some(shares),
        })
    }

    /// A data set in memory: JSON lines for each split, as in a `.jsonl` file. `name` stands for
    /// the folder in messages.
    pub fn from_json_lines(
        name: &str,
        train: impl Into<Cow<'static, str>>,
        validation: impl Into<Cow<'static, str>>,
    ) -> Self {
        let source = |split: Split, lines: Cow<'static, str>| {
            let bytes = match lines {
                Cow::Borrowed(lines) => Cow::Borrowed(lines.as_bytes()),
                Cow::Owned(lines) => Cow::Owned(lines.into_bytes()),
            };
            let name = format!("{name}/{split}");
            let format = Format::Json;
            let shard = Shard::Memory {
                name,
                bytes: bytes.into(),
                format,
            };
            (split, Source::new(vec![shard]))
        };
        Self {
            name: name.to_owned(),
            splits: vec![
                source(Split::Train, train.into()),
                source(Split::Validation, validation.into()),
            ],
            shares: None,
        }
    }

    /// What it is called in messages: the path of the folder or file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How the one file that it is was divided, if it was.
    pub fn shares(&self) -> Option<Shares> {
        self.shares
    }

    /// The splits that were found.
    pub fn splits(&self) -> impl Iterator<Item = Split> {
        self.splits.iter().map(|(split, _)| *split)
    }

    /// Whether it has this split.
    pub fn has(&self, split: Split) -> bool {
        self.splits().any(|found| found == split)
    }

    /// The format of a split, and of a table of texts what separates its cells; none of a split that was not looked for.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn format(&self, split: Split) -> Result<Option<(Format, Option<char>)>, DataError> {
        self.source(split).map(Source::format).transpose()
    }

    /// The files of a split, in order; none for a data set in memory.
    pub fn files(&self, split: Split) -> Vec<&Path> {
        self.source(split).map_or(Vec::new(), Source::files)
    }

    /// Number of rows of a split, never 0. Nothing is kept: lines or the entries of a list are counted, or the number is
    /// read from the Parquet footer.
    ///
    /// # Errors
    /// [`DataError::EmptySplit`], and [`DataError::Read`] or [`DataError::Parquet`] for a file that
    /// cannot be read.
    pub fn count(&self, split: Split) -> Result<usize, DataError> {
        let rows = self.source(split).map_or(Ok(0), Source::count)?;
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
        let (passed, found) = match self.source(split) {
            Some(source) => source.rows(numbers)?,
            None => (0, Vec::new()),
        };
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

    /// Looks at all rows of a split, in their order, of which few are in memory at a time.
    ///
    /// # Errors
    /// As [`rows`](Self::rows), and what `look` says.
    pub fn each<E: From<DataError>>(
        &self,
        split: Split,
        mut look: impl FnMut(Row) -> Result<(), E>,
    ) -> Result<(), E> {
        let all = self.count(split)?;
        for start in (0..all).step_by(CHUNK) {
            for row in self.range(split, start..start + CHUNK)? {
                look(row)?;
            }
        }
        Ok(())
    }

    fn source(&self, split: Split) -> Option<&Source> {
        let mut found = self.splits.iter().filter(|(name, _)| *name == split);
        found.next().map(|(_, source)| source)
    }
}

/// All of the standard input, which can be read but once and is kept.
fn standard_input() -> Result<Source, DataError> {
    static INPUT: OnceLock<Arc<[u8]>> = OnceLock::new();
    let name = "standard input";
    let unreadable = |source| DataError::Read {
        path: name.to_owned(),
        source,
    };
    let bytes = match INPUT.get() {
        Some(bytes) => bytes.clone(),
        None => {
            let mut bytes = Vec::new();
            let mut input = std::io::stdin().lock().take(MAX_INPUT_BYTES + 1);
            input.read_to_end(&mut bytes).map_err(unreadable)?;
            INPUT.get_or_init(|| bytes.into()).clone()
        }
    };
    if bytes.is_empty() {
        let why = "it is empty, and the rows are to come from there";
        return Err(unreadable(std::io::Error::other(why)));
    }
    if bytes.len() as u64 > MAX_INPUT_BYTES {
        let why = format!("it has more than {MAX_INPUT_BYTES} bytes; give it as a file");
        return Err(unreadable(std::io::Error::other(why)));
    }
    let format = Format::of_bytes(&bytes);
    Ok(Source::new(vec![Shard::Memory {
        name: name.to_owned(),
        bytes,
        format,
    }]))
}
