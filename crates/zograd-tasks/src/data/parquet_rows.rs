//! Parquet through the crate's record interface, which needs no arrow.

use super::{DataError, parquet_pages};
use crate::Row;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row as Record};
use serde_json::{Map, Number, Value};
use std::fs::File;
use std::path::Path;

pub(super) fn count(path: &Path) -> Result<usize, DataError> {
    guarded(path, || {
        let rows = open(path)?.metadata().file_metadata().num_rows();
        row_count(rows).map_err(|source| damaged(path, source))
    })
}

/// See [`Shard::read`](super::Shard::read). Row groups without wanted rows are not decoded.
pub(super) fn read(
    path: &Path,
    first: usize,
    wanted: &[usize],
    rows: &mut Vec<Row>,
) -> Result<usize, DataError> {
    guarded(path, || decode(path, first, wanted, rows))
}

/// The library's reader of records asserts that the levels of a value are those of its column, which a
/// damaged page or schema contradicts: its panics are errors here.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, DataError>) -> Result<T, DataError> {
    zograd_files::guarded(read)
        .unwrap_or_else(|panic| Err(damaged(path, ParquetError::General(panic))))
}

fn decode(
    path: &Path,
    first: usize,
    wanted: &[usize],
    rows: &mut Vec<Row>,
) -> Result<usize, DataError> {
    let file = open(path)?;
    let raw = open_raw(path)?;
    let mut wanted = wanted.iter().peekable();
    let mut passed = 0;
    for (group, metadata) in file.metadata().row_groups().iter().enumerate() {
        let group_rows = row_count(metadata.num_rows()).map_err(|source| damaged(path, source))?;
        let start = first.saturating_add(passed);
        let end = start.saturating_add(group_rows);
        if wanted.peek().is_some_and(|&&next| next < end) {
            parquet_pages::check(&raw, metadata.columns())
                .map_err(|error| damaged(path, ParquetError::General(error.to_string())))?;
            let reader = file
                .get_row_group(group)
                .map_err(|source| damaged(path, source))?;
            let records = RowIter::from_row_group(None, reader.as_ref())
                .map_err(|source| damaged(path, source))?;
            for (number, record) in (start..end).zip(records) {
                let Some(&&next) = wanted.peek() else { break };
                let record = record.map_err(|source| damaged(path, source))?;
                if number == next {
                    wanted.next();
                    let location = format!("{} row {}", path.display(), number - first);
                    rows.push(Row::new(number, location, object(&record)));
                }
            }
        }
        passed = passed.saturating_add(group_rows);
    }
    Ok(passed)
}

fn open(path: &Path) -> Result<SerializedFileReader<File>, DataError> {
    SerializedFileReader::new(open_raw(path)?).map_err(|source| damaged(path, source))
}

fn open_raw(path: &Path) -> Result<File, DataError> {
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

/// The value as JSON lines would hold it. Dates, times and decimals, which no task reads, become
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
        Field::Decimal(_)
        | Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => field.to_string().into(),
    }
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
