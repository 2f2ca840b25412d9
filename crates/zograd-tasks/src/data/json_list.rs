//! One JSON list of objects, as `json.dump` and pandas write tables. Rows that nobody asked for are passed over, not
//! kept.

use super::json_lines::MAX_LINE_BYTES;
use super::{DataError, long_numbers_as_texts};
use crate::Row;
use crate::row::type_name;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;
use std::cell::{Cell, RefCell};
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
    let passing = Rc::new(Passing::default());
    passing.begin(false);
    let bounded = Bounded {
        reader,
        passing: passing.clone(),
    };
    let mut parser = serde_json::Deserializer::from_reader(bounded);
    let mut list = List {
        name: name.to_string(),
        first,
        wanted: wanted.iter().peekable(),
        rows,
        passing,
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
    passing: Rc<Passing>,
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
            let number = self.first + self.passed;
            let is_wanted = self.wanted.next_if_eq(&&number).is_some();
            self.passing.begin(is_wanted);
            if !is_wanted {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(());
                }
            } else {
                let location = format!("{} row {}", self.name, self.passed);
                match list.next_element::<Value>()? {
                    None => return Ok(()),
                    Some(Value::Object(fields)) => {
                        let row = Row::new(number, location, fields);
                        let text = self.passing.row();
                        self.rows.push(match long_numbers_as_texts(&text) {
                            Some(_) => row.written_as(&text),
                            None => row,
                        });
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

/// The row that is being read.
#[derive(Default)]
struct Passing {
    /// How many bytes it may still have.
    left: Cell<u64>,
    is_wanted: Cell<bool>,
    /// What was read of it, if it is wanted.
    bytes: RefCell<Vec<u8>>,
}

impl Passing {
    /// What comes next is another row.
    fn begin(&self, is_wanted: bool) {
        self.left.set(MAX_LINE_BYTES);
        self.is_wanted.set(is_wanted);
        self.bytes.borrow_mut().clear();
    }

    /// The object that was read, in one line: the parser asks for byte after byte, and for none behind the last brace. No
    /// text of JSON has a line break in it.
    fn row(&self) -> String {
        let bytes = self.bytes.borrow();
        let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
        let text = text.strip_prefix(',').unwrap_or(text);
        text.split(['\n', '\r']).map(str::trim).collect()
    }
}

/// Ends where a row is longer than any should be: a parsed one takes many times its size.
struct Bounded<R> {
    reader: R,
    passing: Rc<Passing>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.passing.left.get();
        if left == 0 {
            let why = format!("a row is longer than {MAX_LINE_BYTES} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, why));
        }
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.passing.left.set(left - read as u64);
        if self.passing.is_wanted.get() {
            self.passing.bytes.borrow_mut().extend(&buffer[..read]);
        }
        Ok(read)
    }
}
