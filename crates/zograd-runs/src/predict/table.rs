//! Rows as a file that others read: CSV, JSON lines or Parquet.

use super::columns::{Each, columns, in_words};
use super::parquet_table;
use crate::error::{Blame, Result, RunError, refuse};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableFormat {
    Csv,
    Tsv,
    JsonLines,
    Parquet,
}

impl TableFormat {
    /// By the ending of a file's name.
    ///
    /// # Errors
    /// It is none of these.
    pub fn of(out: &Path) -> Result<Self> {
        let ending = out.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Ok(Self::Csv),
            Some("tsv") => Ok(Self::Tsv),
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("parquet") => Ok(Self::Parquet),
            _ => refuse!(
                "`out = {}`: its name says what is written: let it end in .csv, .tsv, .jsonl or .parquet",
                out.display()
            ),
        }
    }
}

/// Writes the rows: the whole file or none of it.
///
/// # Errors
/// They cannot be read, or the file cannot be written.
pub(super) fn write(out: &Path, format: TableFormat, each: Each<'_>) -> Result<()> {
    // an error of rows does not pass through one of the system
    let failed: RefCell<Option<RunError>> = RefCell::new(None);
    let written = zograd_files::replace(out, |partial| {
        let file = File::create_new(partial)?;
        let result = match format {
            TableFormat::JsonLines => json_lines(file, each),
            TableFormat::Csv => cells(file, b',', each),
            TableFormat::Tsv => cells(file, b'\t', each),
            TableFormat::Parquet => parquet_table::write(file, each),
        };
        result.map_err(|error| {
            let text = error.to_string();
            failed.replace(Some(error));
            std::io::Error::other(text)
        })
    });
    match failed.into_inner() {
        Some(error) => Err(error),
        None => written.while_running(),
    }
}

fn json_lines(file: File, each: Each<'_>) -> Result<()> {
    let mut to = BufWriter::new(file);
    each(&mut |row| {
        let line = row.json().while_running()?;
        writeln!(to, "{line}").while_running()
    })?;
    to.flush().while_running()
}

fn cells(file: File, separator: u8, each: Each<'_>) -> Result<()> {
    let names = columns(each)?;
    let mut to = csv::WriterBuilder::new()
        .delimiter(separator)
        .from_writer(file);
    to.write_record(names.iter().map(|column| &column.name))
        .while_running()?;
    each(&mut |row| {
        let row = row.fields().while_running()?;
        let cells = names
            .iter()
            .map(|column| row.get(&column.name).map(in_words).unwrap_or_default());
        to.write_record(cells).while_running()
    })?;
    to.flush().while_running()
}
