//! Tables of texts: CSV and TSV, with a first line of names. The separator is the one that stands in this line most often.

use super::json_lines::MAX_LINE_BYTES;
use super::{DataError, encoding};
use crate::Row;
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fmt::Display;
use std::io::{BufRead, Error, Read};
use std::rc::Rc;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What may stand between two cells, by preference.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The most names a first line may have: each row has all of them.
const MAX_COLUMNS: usize = 10_000;

const UNCLOSED: &str = "a quotation mark that is opened in this row is not closed before the end of the file";

pub(super) fn count(reader: impl BufRead, name: &impl Display) -> Result<usize, DataError> {
    let mut table = Table::open(reader, name.to_string())?;
    let mut rows = 0;
    while table.next()? {
        rows += 1;
    }
    Ok(rows)
}

/// See [`Shard::read`](super::Shard::read).
pub(super) fn read(
    reader: impl BufRead,
    name: &impl Display,
    first: usize,
    wanted: &[usize],
    rows: &mut Vec<Row>,
) -> Result<usize, DataError> {
    let mut table = Table::open(reader, name.to_string())?;
    let mut wanted = wanted.iter().peekable();
    let mut passed = 0;
    while let Some(&&next) = wanted.peek() {
        if !table.next()? {
            break;
        }
        if first + passed == next {
            wanted.next();
            rows.push(table.row(next)?);
        }
        passed += 1;
    }
    Ok(passed)
}

/// What stands between the cells of a table that begins so.
pub(super) fn separator(begin: &[u8]) -> u8 {
    let begin = begin.strip_prefix(BYTE_ORDER_MARK).unwrap_or(begin);
    if let Some(said) = said(begin) {
        return said;
    }
    let (mut counts, mut quoted) = ([0usize; SEPARATORS.len()], false);
    for &byte in begin {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            byte if !quoted => {
                let found = SEPARATORS.iter().position(|separator| *separator == byte);
                if let Some(k) = found {
                    counts[k] += 1;
                }
            }
            _ => {}
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let first = counts.iter().position(|count| *count == most);
    SEPARATORS[first.unwrap_or(0)]
}

/// The separator in Excel's first line `sep=;`.
fn said(begin: &[u8]) -> Option<u8> {
    match begin.strip_prefix(b"sep=")? {
        [said, b'\n', ..] | [said, b'\r', b'\n', ..] => Some(*said),
        _ => None,
    }
}

/// A table that is being read.
struct Table<R: Read> {
    name: String,
    reader: Reader<Bounded<R>>,
    names: Vec<String>,
    record: ByteRecord,
    /// How many bytes the row that is being read may still have.
    left: Rc<Cell<u64>>,
    /// Whether the quotation marks so far do not come in pairs.
    is_odd: Rc<Cell<bool>>,
    separator: u8,
    /// A line that stands before the names.
    lines_before: u64,
}

impl<R: BufRead> Table<R> {
    fn open(mut input: R, name: String) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Read {
            path: name.clone(),
            source,
        };
        let begin = input.fill_buf().map_err(unreadable)?;
        encoding::check_begin(begin, &name)?;
        let separator = separator(begin);
        let marked = begin.starts_with(BYTE_ORDER_MARK);
        let behind_mark = begin.strip_prefix(BYTE_ORDER_MARK).unwrap_or(begin);
        let is_said = said(behind_mark).is_some();
        if marked {
            input.consume(BYTE_ORDER_MARK.len());
        }
        if is_said {
            let mut line = Vec::new();
            let unreadable = |source| DataError::Read {
                path: name.clone(),
                source,
            };
            // it was looked at just now, and is short
            input.read_until(b'\n', &mut line).map_err(unreadable)?;
        }
        let left = Rc::new(Cell::new(MAX_LINE_BYTES));
        let is_odd = Rc::new(Cell::new(false));
        let bounded = Bounded {
            input,
            left: left.clone(),
            is_odd: is_odd.clone(),
        };
        let mut table = Self {
            reader: ReaderBuilder::new()
                .delimiter(separator)
                .has_headers(false)
                .from_reader(bounded),
            name,
            names: Vec::new(),
            record: ByteRecord::new(),
            left,
            is_odd,
            separator,
            lines_before: u64::from(is_said),
        };
        if table.next()? {
            table.names = table.header()?;
        }
        Ok(table)
    }

    /// The names in the first line.
    fn header(&self) -> Result<Vec<String>, DataError> {
        if self.record.len() > MAX_COLUMNS {
            return Err(self.wrong(format!("it has more than {MAX_COLUMNS} columns")));
        }
        let mut names: Vec<String> = Vec::with_capacity(self.record.len());
        for (k, cell) in self.record.iter().enumerate() {
            let name = match self.text(cell)?.trim() {
                "" => format!("column {}", k + 1),
                name => name.to_owned(),
            };
            if names.contains(&name) {
                let reason = format!("two columns are called {name:?} in the first line; rename one of them");
                return Err(self.wrong(reason));
            }
            names.push(name);
        }
        Ok(names)
    }

    /// Reads the next row, if there is one.
    fn next(&mut self) -> Result<bool, DataError> {
        self.left.set(MAX_LINE_BYTES);
        let begin = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {
                let end = self.reader.position().line();
                let is_last = self.reader.is_done();
                // the mark that was never closed took all the lines behind it along
                if is_last && self.is_odd.get() && end > begin + 1 {
                    return Err(self.wrong(UNCLOSED.to_owned()));
                }
                Ok(true)
            }
            Ok(false) => Ok(false),
            Err(error) => Err(self.wrong_record(error)),
        }
    }

    fn wrong_record(&self, error: csv::Error) -> DataError {
        let line = error.position().map(csv::Position::line);
        let place = |line: Option<u64>| match line {
            Some(line) => format!("{}:{}", self.name, line + self.lines_before),
            None => self.name.clone(),
        };
        match error.into_kind() {
            ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => {
                let reason = match self.is_odd.get() && self.reader.is_done() {
                    true => UNCLOSED.to_owned(),
                    false => format!(
                        "the row has {len} cells and the first line {expected_len} (a text with the separator {:?} in it \
                         needs quotation marks around it)",
                        char::from(self.separator),
                    ),
                };
                DataError::Table {
                    location: place(line),
                    reason,
                }
            }
            ErrorKind::Io(source) => DataError::Read {
                path: self.name.clone(),
                source,
            },
            _ => DataError::Table {
                location: place(line),
                reason: "it is no table of texts".into(),
            },
        }
    }

    fn row(&self, number: usize) -> Result<Row, DataError> {
        let mut fields = Map::with_capacity(self.names.len());
        for (name, cell) in self.names.iter().zip(&self.record) {
            fields.insert(name.clone(), Value::String(self.text(cell)?));
        }
        Ok(Row::new(number, self.location(), fields).untyped())
    }

    fn text(&self, cell: &[u8]) -> Result<String, DataError> {
        match std::str::from_utf8(cell) {
            // as in texts that Python reads
            Ok(text) => Ok(text.replace("\r\n", "\n")),
            Err(_) => Err(encoding::not_utf8(cell, self.location(), &self.name)),
        }
    }

    /// The file and line of the row that was read.
    fn location(&self) -> String {
        let line = self.record.position().map_or(1, csv::Position::line);
        format!("{}:{}", self.name, line + self.lines_before)
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::Table {
            location: self.location(),
            reason,
        }
    }
}

/// Ends where a row is longer than any should be, and keeps an eye on quotation marks.
struct Bounded<R> {
    input: R,
    left: Rc<Cell<u64>>,
    is_odd: Rc<Cell<bool>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let why = format!("a row is longer than {MAX_LINE_BYTES} bytes (is a quotation mark not closed?)");
            return Err(Error::new(std::io::ErrorKind::FileTooLarge, why));
        }
        let read = self.input.read(buffer)?;
        self.left.set(left.saturating_sub(read as u64));
        let marks = buffer[..read].iter().filter(|byte| **byte == b'"').count();
        self.is_odd.set(self.is_odd.get() ^ (marks % 2 == 1));
        Ok(read)
    }
}
