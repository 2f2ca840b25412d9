//! Where the rows of a split come from: files or memory, all of their rows or some.

use super::parquet_rows::Place;
use super::{DataError, Format, csv_rows, encoding, json_lines, json_list, parquet_rows};
use crate::Row;
use std::fmt;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One file of a split, or what stands for one in memory.
#[derive(Clone, Debug)]
pub(super) enum Shard {
    File(PathBuf, Format),
    /// What stands for a file in memory.
    Memory {
        name: String,
        bytes: Arc<[u8]>,
        format: Format,
    },
}

impl Shard {
    fn count(&self) -> Result<usize, DataError> {
        match self {
            Self::File(path, Format::Parquet) => parquet_rows::count(Place::Disk(path)),
            Self::Memory {
                name,
                bytes,
                format: Format::Parquet,
            } => parquet_rows::count(Place::Memory(name, bytes)),
            Self::File(path, format) => {
                let reader = json_lines::open(path)?;
                text_rows(reader, *format, &path.display(), None)
            }
            Self::Memory {
                name,
                bytes,
                format,
            } => text_rows(&**bytes, *format, name, None),
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
        let asked = Asked {
            first,
            wanted,
            rows,
        };
        match self {
            Self::File(path, Format::Parquet) => {
                parquet_rows::read(Place::Disk(path), first, wanted, asked.rows)
            }
            Self::Memory {
                name,
                bytes,
                format: Format::Parquet,
            } => parquet_rows::read(Place::Memory(name, bytes), first, wanted, asked.rows),
            Self::File(path, format) => {
                let reader = json_lines::open(path)?;
                text_rows(reader, *format, &path.display(), Some(asked))
            }
            Self::Memory {
                name,
                bytes,
                format,
            } => text_rows(&**bytes, *format, name, Some(asked)),
        }
    }

    /// What separates the cells of a table of texts.
    fn separator(&self) -> Result<Option<char>, DataError> {
        let of = |begin: &[u8]| Some(char::from(csv_rows::separator(begin)));
        match self {
            Self::File(path, Format::Csv) => {
                let mut reader = json_lines::open(path)?;
                let begin = reader.fill_buf().map_err(|source| DataError::Read {
                    path: path.display().to_string(),
                    source,
                })?;
                Ok(of(begin))
            }
            Self::Memory {
                bytes,
                format: Format::Csv,
                ..
            } => Ok(of(bytes)),
            Self::File(..) | Self::Memory { .. } => Ok(None),
        }
    }
}

/// Which rows, and where to put them.
struct Asked<'a> {
    first: usize,
    wanted: &'a [usize],
    rows: &'a mut Vec<Row>,
}

/// Reads rows that are written as text; without `asked` counts them.
fn text_rows(
    mut reader: impl BufRead,
    format: Format,
    name: &impl fmt::Display,
    asked: Option<Asked<'_>>,
) -> Result<usize, DataError> {
    let unreadable = |source| DataError::Read {
        path: name.to_string(),
        source,
    };
    if format == Format::Csv {
        return match asked {
            None => csv_rows::count(reader, name),
            Some(asked) => csv_rows::read(reader, name, asked.first, asked.wanted, asked.rows),
        };
    }
    let begin = reader.fill_buf().map_err(unreadable)?;
    encoding::check_begin(begin, &name.to_string())?;
    let is_list = json_list::begins(&mut reader).map_err(unreadable)?;
    match (is_list, asked) {
        (true, None) => json_list::count(reader, name),
        (false, None) => json_lines::count(reader, name),
        (true, Some(asked)) => json_list::read(reader, name, asked.first, asked.wanted, asked.rows),
        (false, Some(asked)) => {
            json_lines::read(reader, name, asked.first, asked.wanted, asked.rows)
        }
    }
}

/// The rows of a split.
#[derive(Clone, Debug)]
pub(super) struct Source {
    shards: Vec<Shard>,
    /// The numbers of its rows among those of the shards, ascending; all, if none are named.
    only: Option<Arc<[usize]>>,
}

impl Source {
    /// All rows of these.
    pub fn new(shards: Vec<Shard>) -> Self {
        Self { shards, only: None }
    }

    /// Some rows of the same; their numbers ascend.
    pub fn only(&self, numbers: Vec<usize>) -> Self {
        Self {
            shards: self.shards.clone(),
            only: Some(numbers.into()),
        }
    }

    pub fn count(&self) -> Result<usize, DataError> {
        if let Some(only) = &self.only {
            return Ok(only.len());
        }
        let mut rows = 0usize;
        for shard in &self.shards {
            rows = rows.saturating_add(shard.count()?);
        }
        Ok(rows)
    }

    /// How many rows were passed, and those with these numbers, by number, each once; those behind the end are left out.
    pub fn rows(&self, numbers: &[usize]) -> Result<(usize, Vec<Row>), DataError> {
        let mut wanted = numbers.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let Some(only) = &self.only else {
            return self.read(&wanted);
        };
        wanted.retain(|number| *number < only.len());
        let inside: Vec<usize> = wanted.iter().map(|number| only[*number]).collect();
        let (_, found) = self.read(&inside)?;
        let rows = found.into_iter().zip(wanted);
        let rows = rows.map(|(row, number)| row.renumbered(number)).collect();
        Ok((only.len(), rows))
    }

    fn read(&self, wanted: &[usize]) -> Result<(usize, Vec<Row>), DataError> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut passed = 0usize;
        for shard in &self.shards {
            if found.len() == wanted.len() {
                break;
            }
            let more = shard.read(passed, &wanted[found.len()..], &mut found)?;
            passed = passed.saturating_add(more);
        }
        Ok((passed, found))
    }

    /// The files, in order; none of what is in memory.
    pub fn files(&self) -> Vec<&Path> {
        let files = self.shards.iter().filter_map(|shard| match shard {
            Shard::File(path, _) => Some(path.as_path()),
            Shard::Memory { .. } => None,
        });
        files.collect()
    }

    /// The format of the first shard, and what separates its cells.
    pub fn format(&self) -> Result<(Format, Option<char>), DataError> {
        match self.shards.first() {
            Some(shard @ (Shard::File(_, format) | Shard::Memory { format, .. })) => {
                Ok((*format, shard.separator()?))
            }
            None => Ok((Format::Json, None)),
        }
    }
}
