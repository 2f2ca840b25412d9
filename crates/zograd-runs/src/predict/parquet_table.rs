//! Rows as Parquet: values and lists of values as what they are, all else as texts in JSON.

use super::columns::{Column, Each, Holds, Kind, columns, in_words};
use crate::error::{Blame, Result};
use parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};
use std::fs::File;
use std::sync::Arc;

/// Rows of a group.
const GROUP: usize = 8192;

/// Writes all rows.
///
/// # Errors
/// They cannot be read, or the file cannot be written.
pub(super) fn write(file: File, each: Each<'_>) -> Result<()> {
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
    let field = |column: &Column| match column.holds {
        Holds::One(kind) => value(&column.name, kind),
        // the form that the format asks for
        Holds::Lists(kind) => {
            let items = Type::group_type_builder("list")
                .with_repetition(Repetition::REPEATED)
                .with_fields(vec![value("element", kind)?]);
            let list = Type::group_type_builder(&column.name)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(Some(LogicalType::List))
                .with_fields(vec![Arc::new(items.build()?)]);
            list.build().map(Arc::new)
        }
    };
    let fields = columns.iter().map(field).collect::<Result<_, _>>()?;
    let schema = Type::group_type_builder("rows").with_fields(fields);
    schema.build().map(Arc::new)
}

/// A value of this kind, or none.
fn value(name: &str, kind: Kind) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Truths => (PhysicalType::BOOLEAN, None),
        Kind::Wholes => (PhysicalType::INT64, None),
        Kind::Numbers => (PhysicalType::DOUBLE, None),
        Kind::Nothing | Kind::Texts => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let value = Type::primitive_type_builder(name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical);
    value.build().map(Arc::new)
}

/// The values of a column, and where they stand in its rows.
struct Levels<'a> {
    kind: Kind,
    /// How far each is there: 1 for a value that is, and in a list, which may be empty (1) or hold nothing (2), 3.
    definition: Vec<i16>,
    /// Whether each is one more of the same list.
    repetition: Option<Vec<i16>>,
    there: Vec<&'a Value>,
}

impl<'a> Levels<'a> {
    fn of(column: &Column, rows: &'a [Map<String, Value>]) -> Self {
        let values = rows.iter().map(|row| row.get(&column.name));
        let values = values.map(|value| value.filter(|value| !value.is_null()));
        let mut levels = Self {
            kind: Kind::Nothing,
            definition: Vec::new(),
            repetition: None,
            there: Vec::new(),
        };
        match column.holds {
            Holds::One(kind) => {
                levels.kind = kind;
                for value in values {
                    levels.definition.push(i16::from(value.is_some()));
                    levels.there.extend(value);
                }
            }
            Holds::Lists(kind) => {
                levels.kind = kind;
                let mut repetition = Vec::new();
                for value in values {
                    let items = value
                        .and_then(Value::as_array)
                        .map_or(&[][..], |items| items);
                    if items.is_empty() {
                        levels.definition.push(i16::from(value.is_some()));
                        repetition.push(0);
                    }
                    for (k, item) in items.iter().enumerate() {
                        levels.definition.push(if item.is_null() { 2 } else { 3 });
                        repetition.push(i16::from(k > 0));
                        levels
                            .there
                            .extend(Some(item).filter(|item| !item.is_null()));
                    }
                }
                levels.repetition = Some(repetition);
            }
        }
        levels
    }
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
        let Levels {
            kind,
            definition,
            repetition,
            there,
        } = Levels::of(column, rows);
        let (definition, repetition) = (Some(&definition[..]), repetition.as_deref());
        let there = there.into_iter();
        match kind {
            Kind::Truths => {
                let truths: Vec<bool> = there.filter_map(Value::as_bool).collect();
                to.typed::<BoolType>()
                    .write_batch(&truths, definition, repetition)?;
            }
            Kind::Wholes => {
                let wholes: Vec<i64> = there.filter_map(Value::as_i64).collect();
                to.typed::<Int64Type>()
                    .write_batch(&wholes, definition, repetition)?;
            }
            Kind::Numbers => {
                let numbers: Vec<f64> = there.filter_map(Value::as_f64).collect();
                to.typed::<DoubleType>()
                    .write_batch(&numbers, definition, repetition)?;
            }
            Kind::Nothing | Kind::Texts => {
                let texts = there.map(|value| ByteArray::from(in_words(value).into_bytes()));
                let texts: Vec<ByteArray> = texts.collect();
                to.typed::<ByteArrayType>()
                    .write_batch(&texts, definition, repetition)?;
            }
        }
        to.close()?;
    }
    Ok(())
}
