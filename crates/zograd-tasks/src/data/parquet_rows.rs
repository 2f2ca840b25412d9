//! Parquet through the crate's record interface, which needs no arrow.

use super::parquet_pages::Input;
use super::{DataError, parquet_pages};
use crate::Row;
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use parquet::schema::types::TypePtr;
use serde_json::{Map, Number, Value};
use std::collections::HashSet;
use std::fs::File;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

/// Where a file is.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// On a disk.
    Disk(&'a Path),
    /// In memory, under this name.
    Memory(&'a str, &'a Arc<[u8]>),
}

impl Place<'_> {
    /// What it is called.
    fn name(&self) -> &Path {
        match self {
            Self::Disk(path) => path,
            Self::Memory(name, _) => Path::new(name),
        }
    }

    fn open(self) -> Result<Box<dyn FileReader>, DataError> {
        let opened: Result<Box<dyn FileReader>, ParquetError> = match self {
            Self::Disk(path) => {
                SerializedFileReader::new(open(path)?).map(|file| Box::new(file) as _)
            }
            Self::Memory(_, bytes) => SerializedFileReader::new(Bytes::from_owner(bytes.clone()))
                .map(|file| Box::new(file) as _),
        };
        let file = opened.map_err(|source| damaged(self.name(), source))?;
        let columns = file.metadata().file_metadata().schema().get_fields();
        match twice(columns).map(str::to_owned) {
            None => Ok(file),
            Some(name) => Err(DataError::Table {
                location: self.name().display().to_string(),
                reason: format!("two columns are called {name:?}; rename one of them"),
            }),
        }
    }

    /// Its bytes as they are.
    fn raw(&self) -> Result<Box<dyn Input + '_>, DataError> {
        Ok(match self {
            Self::Disk(path) => Box::new(open(path)?),
            Self::Memory(_, bytes) => Box::new(Cursor::new(&***bytes)),
        })
    }
}

/// A name that two of the columns have.
fn twice(columns: &[TypePtr]) -> Option<&str> {
    let mut names = HashSet::new();
    let mut all = columns.iter().map(|column| column.name());
    all.find(|name| !names.insert(*name))
}

pub(super) fn count(place: Place<'_>) -> Result<usize, DataError> {
    guarded(place, || {
        let rows = place.open()?.metadata().file_metadata().num_rows();
        row_count(rows).map_err(|source| damaged(place.name(), source))
    })
}

/// See [`Shard::read`](super::Shard::read). Row groups without wanted rows are not decoded.
pub(super) fn read(
    place: Place<'_>,
    first: usize,
    wanted: &[usize],
    rows: &mut Vec<Row>,
) -> Result<usize, DataError> {
    guarded(place, || decode(place, first, wanted, rows))
}

/// The library's reader of records asserts that the levels of a value are those of its column, which a
/// damaged page or schema contradicts: its panics are errors here.
fn guarded<T>(
    place: Place<'_>,
    read: impl FnOnce() -> Result<T, DataError>,
) -> Result<T, DataError> {
    zograd_files::guarded(read)
        .unwrap_or_else(|panic| Err(damaged(place.name(), ParquetError::General(panic))))
}

fn decode(
    place: Place<'_>,
    first: usize,
    wanted: &[usize],
    rows: &mut Vec<Row>,
) -> Result<usize, DataError> {
    let damaged = |source| damaged(place.name(), source);
    let file = place.open()?;
    let mut raw = place.raw()?;
    let mut wanted = wanted.iter().peekable();
    let mut passed = 0;
    for (group, metadata) in file.metadata().row_groups().iter().enumerate() {
        let group_rows = row_count(metadata.num_rows()).map_err(damaged)?;
        let start = first.saturating_add(passed);
        let end = start.saturating_add(group_rows);
        if wanted.peek().is_some_and(|&&next| next < end) {
            parquet_pages::check(raw.as_mut(), metadata.columns())
                .map_err(|error| damaged(ParquetError::General(error.to_string())))?;
            let reader = file.get_row_group(group).map_err(damaged)?;
            let records = RowIter::from_row_group(None, reader.as_ref()).map_err(damaged)?;
            for (number, record) in (start..end).zip(records) {
                let Some(&&next) = wanted.peek() else { break };
                let record = record.map_err(damaged)?;
                if number == next {
                    wanted.next();
                    let name = place.name().display();
                    let location = format!("{name} row {}", number - first);
                    rows.push(Row::new(number, location, object(&record)));
                }
            }
        }
        passed = passed.saturating_add(group_rows);
    }
    Ok(passed)
}

fn open(path: &Path) -> Result<File, DataError> {
    zograd_files::open(path).map_err(|source| DataError::Read {
        path: path.display().to_string(),
        source,
    })
}

fn damaged(path: &Path, source: ParquetError) -> DataError {
    DataError::Parquet {
        path: path.to_owned(),
        source,
    }
}

fn row_count(rows: i64) -> Result<usize, ParquetError> {
    usize::try_from(rows).map_err(|_| ParquetError::General(format!("it claims {rows} rows")))
}

fn object(record: &Record) -> Map<String, Value> {
    record
        .get_column_iter()
        .map(|(name, field)| (name.clone(), value(field)))
        .collect()
}

/// The value as JSON lines would hold it. Dates, times and decimals with a fraction, which no task reads, become
/// texts, and numbers that JSON lacks (NaN) become null.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(x) => Value::Bool(*x),
        Field::Byte(x) => (*x).into(),
        Field::Short(x) => (*x).into(),
        Field::Int(x) => (*x).into(),
        Field::Long(x) => (*x).into(),
        Field::UByte(x) => (*x).into(),
        Field::UShort(x) => (*x).into(),
        Field::UInt(x) => (*x).into(),
        Field::ULong(x) => (*x).into(),
        Field::Float16(x) => float(f64::from(*x)),
        Field::Float(x) => float(f64::from(*x)),
        Field::Double(x) => float(*x),
        Field::Str(text) => Value::String(text.clone()),
        // texts written without the UTF-8 annotation
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned().into(),
        Field::Group(record) => Value::Object(object(record)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => map
            .entries()
            .iter()
            .map(|(key, entry)| (text(key), value(entry)))
            .collect::<Map<_, _>>()
            .into(),
        Field::Decimal(_) => decimal(field.to_string()),
        Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => field.to_string().into(),
    }
}

/// A decimal as it is written: one without places for a fraction, which ends with its point, is a whole number, or a text
/// if 64 bits do not hold it, as [`long_numbers_as_texts`](super::long_numbers_as_texts) has it.
fn decimal(written: String) -> Value {
    let Some(whole) = written.strip_suffix('.') else {
        return written.into();
    };
    let signed = whole.parse::<i64>().map(Value::from);
    let number = signed.or_else(|_| whole.parse::<u64>().map(Value::from));
    number.unwrap_or_else(|_| whole.into())
}

fn float(x: f64) -> Value {
    Number::from_f64(x).map_or(Value::Null, Value::Number)
}

/// A map's key: JSON has only texts.
fn text(key: &Field) -> String {
    match value(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}
