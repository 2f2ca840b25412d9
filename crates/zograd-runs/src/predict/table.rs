//! Rows as a file that others read: CSV, JSON lines or Parquet.

use super::answered::Line;
use crate::error::{Blame, Result, RunError, refuse};
use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

/// Rows of a group of a Parquet file.
const GROUP: usize = 8192;

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

/// Hands out all rows, one after the other.
pub(super) type Each<'a> = &'a dyn Fn(&mut dyn FnMut(Line) -> Result<()>) -> Result<()>;

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
            TableFormat::Parquet => parquet(file, each),
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

/// A value as a cell has it.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Nothing yet.
    Nothing,
    Truths,
    Wholes,
    Numbers,
    Texts,
}

struct Column {
    name: String,
    holds: Holds,
}

/// The columns of all rows, in the order they come up.
fn columns(each: Each<'_>) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    each(&mut |row| {
        let row = row.fields().while_running()?;
        for (k, (name, value)) in row.iter().enumerate() {
            if known.insert(name.clone()) {
                columns.push(Column {
                    name: name.clone(),
                    holds: Holds::Nothing,
                });
            }
            // most rows have the same fields in the same order
            let at = match columns.get(k) {
                Some(column) if column.name == *name => Some(k),
                _ => columns.iter().position(|column| column.name == *name),
            };
            if let Some(column) = at.and_then(|at| columns.get_mut(at)) {
                column.holds = both(column.holds, value);
            }
        }
        Ok(())
    })?;
    Ok(columns)
}

fn both(holds: Holds, value: &Value) -> Holds {
    let found = match value {
        Value::Null => return holds,
        Value::Bool(_) => Holds::Truths,
        Value::Number(number) if number.is_i64() => Holds::Wholes,
        // a number of 64 bits would lose digits as one of 53
        Value::Number(number) if number.is_u64() => Holds::Texts,
        Value::Number(_) => Holds::Numbers,
        Value::String(_) | Value::Array(_) | Value::Object(_) => Holds::Texts,
    };
    match (holds, found) {
        (Holds::Nothing, found) => found,
        (holds, found) if holds == found => holds,
        (Holds::Wholes | Holds::Numbers, Holds::Wholes | Holds::Numbers) => Holds::Numbers,
        _ => Holds::Texts,
    }
}

fn parquet(file: File, each: Each<'_>) -> Result<()> {
    let columns = columns(each)?;
    let schema = schema(&columns).while_running()?;
    let properties = Arc::new(WriterProperties::builder().build());
    let mut to = SerializedFileWriter::new(file, schema, properties).while_running()?;
    let mut rows = Vec::new();
    let mut flush = |rows: &mut Vec<Map<String, Value>>| -> Result<()> {
        if !rows.is_empty() {
            let mut group = to.next_row_group().while_running()?;
            write_group(&mut group, &columns, rows).while_running()?;
            group.close().while_running()?;
            rows.clear();
        }
        Ok(())
    };
    each(&mut |row| {
        rows.push(row.fields().while_running()?);
        match rows.len() {
            GROUP => flush(&mut rows),
            _ => Ok(()),
        }
    })?;
    flush(&mut rows)?;
    to.close().while_running()?;
    Ok(())
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.holds {
            Holds::Truths => (PhysicalType::BOOLEAN, None),
            Holds::Wholes => (PhysicalType::INT64, None),
            Holds::Numbers => (PhysicalType::DOUBLE, None),
            Holds::Nothing | Holds::Texts => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let field = Type::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        field.build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("rows").with_fields(fields);
    schema.build().map(Arc::new)
}

fn write_group(
    group: &mut SerializedRowGroupWriter<'_, File>,
    columns: &[Column],
    rows: &[Map<String, Value>],
) -> Result<(), ParquetError> {
    for column in columns {
        let Some(mut to) = group.next_column()? else {
            break;
        };
        let values = rows
            .iter()
            .map(|row| row.get(&column.name).filter(|value| !value.is_null()));
        let values: Vec<Option<&Value>> = values.collect();
        let levels: Vec<i16> = values
            .iter()
            .map(|value| i16::from(value.is_some()))
            .collect();
        let there = values.into_iter().flatten();
        let levels = Some(&levels[..]);
        match column.holds {
            Holds::Truths => {
                let truths: Vec<bool> = there.filter_map(Value::as_bool).collect();
                to.typed::<BoolType>().write_batch(&truths, levels, None)?;
            }
            Holds::Wholes => {
                let wholes: Vec<i64> = there.filter_map(Value::as_i64).collect();
                to.typed::<Int64Type>().write_batch(&wholes, levels, None)?;
            }
            Holds::Numbers => {
                let numbers: Vec<f64> = there.filter_map(Value::as_f64).collect();
                to.typed::<DoubleType>()
                    .write_batch(&numbers, levels, None)?;
            }
            Holds::Nothing | Holds::Texts => {
                let texts = there.map(|value| ByteArray::from(in_words(value).into_bytes()));
                let texts: Vec<ByteArray> = texts.collect();
                to.typed::<ByteArrayType>()
                    .write_batch(&texts, levels, None)?;
            }
        }
        to.close()?;
    }
    Ok(())
}
