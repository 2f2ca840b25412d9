//! One JSON object a line. Blank lines and a byte order mark are passed over.

use super::{DataError, encoding, long_numbers_as_texts};
use crate::Row;
use crate::row::type_name;
use serde_json::Value;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, ErrorKind, Read};
use std::path::Path;

/// Larger than the default of 8 KiB: rows with passages are some KiB each.
const BUFFER_BYTES: usize = 1 << 16;

/// The longest line: a thousand times the longest row of the published data sets. A parsed line takes many
/// times its size.
pub(super) const MAX_LINE_BYTES: u64 = 16 << 20;

pub(super) fn open(path: &Path) -> Result<BufReader<File>, DataError> {
    match zograd_files::open(path) {
        Ok(file) => Ok(BufReader::with_capacity(BUFFER_BYTES, file)),
        Err(source) => Err(DataError::Read {
            path: path.display().to_string(),
            source,
        }),
    }
}

pub(super) fn count(reader: impl BufRead, name: &impl Display) -> Result<usize, DataError> {
    let mut lines = Lines::new(reader, name);
    let mut rows = 0;
    while lines.next()?.is_some() {
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
    let mut lines = Lines::new(reader, name);
    let mut wanted = wanted.iter().peekable();
    let mut passed = 0;
    while let Some(&&next) = wanted.peek() {
        let Some((line, bytes)) = lines.next()? else {
            break;
        };
        if first + passed == next {
            wanted.next();
            rows.push(parse(next, format!("{name}:{line}"), bytes)?);
        }
        passed += 1;
    }
    Ok(passed)
}

fn parse(number: usize, location: String, bytes: &[u8]) -> Result<Row, DataError> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(fields)) => {
            let row = Row::new(number, location, fields);
            let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
            Ok(match long_numbers_as_texts(text) {
                Some(_) => row.written_as(text),
                None => row,
            })
        }
        Ok(other) => Err(DataError::NotAnObject {
            location,
            found: type_name(&other),
        }),
        Err(_) if std::str::from_utf8(bytes).is_err() => {
            let name = location
                .rsplit_once(':')
                .map_or("", |(name, _)| name)
                .to_owned();
            Err(encoding::not_utf8(bytes, location, &name))
        }
        Err(source) => Err(DataError::NotJson { location, source }),
    }
}

/// Lines that are not blank, with their numbers from 1.
struct Lines<'a, R, N> {
    reader: R,
    name: &'a N,
    line: usize,
    bytes: Vec<u8>,
}

impl<'a, R: BufRead, N: Display> Lines<'a, R, N> {
    fn new(reader: R, name: &'a N) -> Self {
        Self {
            reader,
            name,
            line: 0,
            bytes: Vec::new(),
        }
    }

    fn next(&mut self) -> Result<Option<(usize, &[u8])>, DataError> {
        loop {
            self.bytes.clear();
            let mut line = self.reader.by_ref().take(MAX_LINE_BYTES + 1);
            let read = line.read_until(b'\n', &mut self.bytes);
            let read = read.map_err(|source| DataError::Read {
                path: self.name.to_string(),
                source,
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if read as u64 > MAX_LINE_BYTES {
                return Err(DataError::Read {
                    path: format!("{}:{}", self.name, self.line),
                    source: Error::new(
                        ErrorKind::FileTooLarge,
                        format!("the line is longer than {MAX_LINE_BYTES} bytes"),
                    ),
                });
            }
            if self.line == 1 && self.bytes.starts_with(b"\xef\xbb\xbf") {
                self.bytes.drain(..3);
            }
            if !self.bytes.trim_ascii().is_empty() {
                return Ok(Some((self.line, &self.bytes)));
            }
        }
    }
}
