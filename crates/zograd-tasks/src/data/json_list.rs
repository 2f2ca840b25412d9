//! One JSON list of objects, as `json.dump` and pandas write tables. Rows that nobody asked for are passed over, not
//! kept.

use super::DataError;
use super::json_lines::MAX_LINE_BYTES;
use crate::Row;
use crate::row::type_name;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::{BufRead, Error, ErrorKind, Read};
use std::iter::Peekable;
use std::rc::Rc;
use std::slice::Iter;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Whether a text begins as a list. A byte order mark before it is passed over.
pub(super) fn begins(reader: &mut impl BufRead) -> std::io::Result<bool> {
    let begin = reader.fill_buf()?;
    let marked = begin.strip_prefix(BYTE_ORDER_MARK);
    let is_list = marked.unwrap_or(begin).trim_ascii_start().first() == Some(&b'[');
    if is_list && marked.is_some() {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    Ok(is_list)
}

pub(super) fn count(reader: impl BufRead, name: &impl Display) -> Result<usize, DataError> {
    read(reader, name, 0, &[], &mut Vec::new())
}

/// See [`Shard::read`](super::Shard::read).
pub(super) fn read(
    reader: impl BufRead,
    name: &impl Display,
    first: usize,
    wanted: &[usize],
    rows: &mut Vec<Row>,
) -> Result<usize, DataError> {
    let left = Rc::new(Cell::new(MAX_LINE_BYTES));
    let bounded = Bounded {
        reader,
        left: left.clone(),
    };
    let mut parser = serde_json::Deserializer::from_reader(bounded);
    let mut list = List {
        name: name.to_string(),
        first,
        wanted: wanted.iter().peekable(),
        rows,
        left,
        passed: 0,
        no_object: None,
    };
    let parsed = list.deserialize(&mut parser).and_then(|()| parser.end());
    if let Some(error) = list.no_object {
        return Err(error);
    }
    parsed.map_err(|source| DataError::NotJsonList {
        path: list.name,
        source,
    })?;
    Ok(list.passed)
}

/// The rows of a list that are wanted.
struct List<'a> {
    name: String,
    /// Number of the first row.
    first: usize,
    wanted: Peekable<Iter<'a, usize>>,
    rows: &'a mut Vec<Row>,
    /// How many bytes the row that is being read may still have.
    left: Rc<Cell<u64>>,
    passed: usize,
    /// A row that was wanted and is none.
    no_object: Option<DataError>,
}

impl<'de> DeserializeSeed<'de> for &mut List<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for &mut List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            self.left.set(MAX_LINE_BYTES);
            let number = self.first + self.passed;
            if self.wanted.next_if_eq(&&number).is_none() {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(());
                }
            } else {
                let location = format!("{} row {}", self.name, self.passed);
                match list.next_element::<Value>()? {
                    None => return Ok(()),
                    Some(Value::Object(fields)) => {
                        self.rows.push(Row::new(number, location, fields));
                    }
                    Some(other) => {
                        let found = type_name(&other);
                        self.no_object
                            .get_or_insert(DataError::NotAnObject { location, found });
                    }
                }
            }
            self.passed += 1;
        }
    }
}

/// Ends where a row is longer than any should be: a parsed one takes many times its size.
struct Bounded<R> {
    reader: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let why = format!("a row is longer than {MAX_LINE_BYTES} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, why));
        }
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.left.set(left - read as u64);
        Ok(read)
    }
}
