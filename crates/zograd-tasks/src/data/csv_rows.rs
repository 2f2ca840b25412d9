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

const UNCLOSED: &str =
    "a quotation mark that is opened in this row is not closed before the end of the file";

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
    seen: Rc<Seen>,
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
        let seen = Rc::new(Seen::default());
        let bounded = Bounded {
            input,
            left: left.clone(),
            seen: seen.clone(),
            is_behind_return: false,
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
            seen,
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
                let reason = format!(
                    "two columns are called {name:?} in the first line; rename one of them"
                );
                return Err(self.wrong(reason));
            }
            names.push(name);
        }
        Ok(names)
    }

    /// Reads the next row, if there is one.
    fn next(&mut self) -> Result<bool, DataError> {
        self.left.set(MAX_LINE_BYTES);
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => Ok(false),
            // a mark that was never closed took all the lines behind it along
            Ok(true) if self.is_unclosed() && self.line_breaks() > 0 => {
                Err(self.wrong(UNCLOSED.to_owned()))
            }
            Ok(true) => Ok(true),
            Err(error) => Err(self.wrong_record(error)),
        }
    }

    /// Whether the table ends with a quotation mark that was opened and never closed, as far as can be told.
    fn is_unclosed(&self) -> bool {
        self.seen.has_ended.get() && self.seen.is_odd.get()
    }

    fn wrong_record(&self, error: csv::Error) -> DataError {
        match error.into_kind() {
            ErrorKind::UnequalLengths { .. } if self.is_unclosed() => {
                self.wrong(UNCLOSED.to_owned())
            }
            ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => self.wrong(format!(
                "the row has {len} cell{} and the first line {expected_len} (a text with the separator {:?} in it needs \
                 quotation marks around it)",
                if len == 1 { "" } else { "s" },
                char::from(self.separator),
            )),
            ErrorKind::Io(source) => DataError::Read {
                path: self.name.clone(),
                source,
            },
            _ => self.wrong("it is no table of texts".into()),
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
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(encoding::not_utf8(cell, self.location(), &self.name)),
        }
    }

    /// The file and the line at which the row that was read begins. (The reader's own place of a row is that before the
    /// blank lines that it passes over.)
    fn location(&self) -> String {
        let behind = self.reader.position().line();
        let ends_in_line = self.seen.has_ended.get() && self.seen.is_in_line.get();
        let has_end = !ends_in_line && !self.is_unclosed();
        let begin = behind.saturating_sub(self.line_breaks() + u64::from(has_end));
        format!("{}:{}", self.name, begin.max(1) + self.lines_before)
    }

    /// Those inside the cells of the row that was read.
    fn line_breaks(&self) -> u64 {
        let breaks = self.record.as_slice().iter().filter(|byte| **byte == b'\n');
        breaks.count() as u64
    }

    fn wrong(&self, reason: String) -> DataError {
        DataError::Table {
            location: self.location(),
            reason,
        }
    }
}

/// What went by on its way to the reader of cells.
#[derive(Default)]
struct Seen {
    /// Whether the quotation marks do not come in pairs.
    is_odd: Cell<bool>,
    /// Whether something stands behind the last line break.
    is_in_line: Cell<bool>,
    /// Whether it was the end.
    has_ended: Cell<bool>,
}

/// Ends where a row is longer than any should be, keeps an eye on quotation marks, and makes every line break a `\n`, as
/// where Python reads a text.
struct Bounded<R> {
    input: R,
    left: Rc<Cell<u64>>,
    seen: Rc<Seen>,
    /// Whether the last byte was a carriage return, which stands as a line break already.
    is_behind_return: bool,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let left = self.left.get();
            if left == 0 {
                let why = format!(
                    "a row is longer than {MAX_LINE_BYTES} bytes (is a quotation mark not closed?)"
                );
                return Err(Error::new(std::io::ErrorKind::FileTooLarge, why));
            }
            let read = self.input.read(buffer)?;
            self.left.set(left.saturating_sub(read as u64));
            let mut kept = 0;
            for k in 0..read {
                let byte = buffer[k];
                let is_second = byte == b'\n' && self.is_behind_return;
                self.is_behind_return = byte == b'\r';
                if is_second {
                    continue;
                }
                if byte == b'"' {
                    self.seen.is_odd.set(!self.seen.is_odd.get());
                }
                buffer[kept] = if byte == b'\r' { b'\n' } else { byte };
                kept += 1;
            }
            if kept > 0 {
                self.seen.is_in_line.set(buffer[kept - 1] != b'\n');
            }
            self.seen.has_ended.set(read == 0);
            // nothing would mean the end
            if kept > 0 || read == 0 {
                return Ok(kept);
            }
        }
    }
}
