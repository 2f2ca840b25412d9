//! A GGUF file, written a piece of a tensor at a time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use half::{bf16, f16};

use super::metadata::Metadata;
use super::quantised::q8_0;
use super::tensor_type::WrittenType;
use super::value::{Array, Value};
use super::{ALIGNMENT, MAGIC};
use crate::write::StoredTensor;

/// Writes a file of version 3, little-endian: the metadata in the order of its keys, then the tensors as they come.
/// Values are brought to the type they are written in a piece at a time.
///
/// # Errors
/// The metadata sets another alignment than 32; a tensor of [`WrittenType::Q8_0`] has rows that are no whole blocks, or
/// fewer than two dimensions; a tensor has more than four; a piece has other values than its tensor's shape says; the
/// file exists; or what the system says.
pub fn write_gguf(
    metadata: &Metadata,
    tensors: &[(String, WrittenType, StoredTensor)],
    path: &Path,
) -> io::Result<()> {
    if metadata.get("general.alignment").is_some() {
        return Err(invalid(
            "general.alignment is the writer's to choose".to_owned(),
        ));
    }
    let mut header = Vec::new();
    header.extend(MAGIC);
    header.extend(3u32.to_le_bytes());
    header.extend((tensors.len() as u64).to_le_bytes());
    header.extend((metadata.iter().len() as u64).to_le_bytes());
    for (key, value) in metadata.iter() {
        text(key, &mut header);
        put(value, &mut header);
    }
    let mut offset = 0;
    for (name, written, tensor) in tensors {
        let bytes = size(name, *written, &tensor.shape)?;
        text(name, &mut header);
        header.extend((tensor.shape.len() as u32).to_le_bytes());
        for size in tensor.shape.iter().rev() {
            header.extend((*size as u64).to_le_bytes());
        }
        header.extend(written.number().to_le_bytes());
        header.extend(u64::to_le_bytes(offset));
        offset += bytes.next_multiple_of(ALIGNMENT);
    }
    pad(&mut header);

    let mut file = BufWriter::new(File::create_new(path)?);
    file.write_all(&header)?;
    for (name, written, tensor) in tensors {
        let expected = size(name, *written, &tensor.shape)?;
        let mut bytes = 0;
        for piece in (tensor.data)() {
            let values: Vec<f32> = piece.iter().collect();
            let encoded = encode(*written, &values);
            bytes += encoded.len() as u64;
            file.write_all(&encoded)?;
        }
        if bytes != expected {
            return Err(invalid(format!(
                "{name} was to have {expected} bytes and has {bytes}"
            )));
        }
        let padding = bytes.next_multiple_of(ALIGNMENT) - bytes;
        file.write_all(&vec![0; padding as usize])?;
    }
    file.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

/// Bytes of a tensor.
fn size(name: &str, written: WrittenType, shape: &[usize]) -> io::Result<u64> {
    let (values, bytes) = written.block();
    let row = shape.last().copied().unwrap_or(1);
    if shape.len() > 4 {
        return Err(invalid(format!("{name} has more than four dimensions")));
    }
    if row % values != 0 || (values > 1 && shape.len() < 2) {
        return Err(invalid(format!(
            "{name} of shape {shape:?} has no rows of whole blocks of {values}"
        )));
    }
    Ok((shape.iter().product::<usize>() / values * bytes) as u64)
}

fn encode(written: WrittenType, values: &[f32]) -> Vec<u8> {
    let values = values.iter();
    match written {
        WrittenType::F32 => values.flat_map(|x| x.to_le_bytes()).collect(),
        WrittenType::F16 => values
            .flat_map(|x| f16::from_f32(*x).to_le_bytes())
            .collect(),
        WrittenType::BF16 => values
            .flat_map(|x| bf16::from_f32(*x).to_le_bytes())
            .collect(),
        // pieces are whole rows, and these are whole blocks
        WrittenType::Q8_0 => {
            let blocks = values.as_slice().as_chunks().0.iter();
            blocks.flat_map(q8_0::quantise).collect()
        }
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A value with the number of its type in front.
fn put(value: &Value, out: &mut Vec<u8>) {
    let mut plain = |number: u32, bytes: &[u8]| {
        out.extend(number.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::U8(x) => plain(0, &x.to_le_bytes()),
        Value::I8(x) => plain(1, &x.to_le_bytes()),
        Value::U16(x) => plain(2, &x.to_le_bytes()),
        Value::I16(x) => plain(3, &x.to_le_bytes()),
        Value::U32(x) => plain(4, &x.to_le_bytes()),
        Value::I32(x) => plain(5, &x.to_le_bytes()),
        Value::F32(x) => plain(6, &x.to_le_bytes()),
        Value::Bool(x) => plain(7, &[u8::from(*x)]),
        Value::Text(x) => {
            plain(8, &[]);
            text(x, out);
        }
        Value::Array(x) => {
            plain(9, &[]);
            put_array(x, out);
        }
        Value::U64(x) => plain(10, &x.to_le_bytes()),
        Value::I64(x) => plain(11, &x.to_le_bytes()),
        Value::F64(x) => plain(12, &x.to_le_bytes()),
    }
}

fn put_array(array: &Array, out: &mut Vec<u8>) {
    fn numbers<T: Copy, const N: usize>(
        number: u32,
        values: &[T],
        bytes: fn(T) -> [u8; N],
        out: &mut Vec<u8>,
    ) {
        head(number, values.len(), out);
        out.extend(values.iter().flat_map(|value| bytes(*value)));
    }
    fn head(number: u32, count: usize, out: &mut Vec<u8>) {
        out.extend(number.to_le_bytes());
        out.extend((count as u64).to_le_bytes());
    }
    match array {
        Array::U8(values) => numbers(0, values, u8::to_le_bytes, out),
        Array::I8(values) => numbers(1, values, i8::to_le_bytes, out),
        Array::U16(values) => numbers(2, values, u16::to_le_bytes, out),
        Array::I16(values) => numbers(3, values, i16::to_le_bytes, out),
        Array::U32(values) => numbers(4, values, u32::to_le_bytes, out),
        Array::I32(values) => numbers(5, values, i32::to_le_bytes, out),
        Array::F32(values) => numbers(6, values, f32::to_le_bytes, out),
        Array::Bool(values) => numbers(7, values, |flag| [u8::from(flag)], out),
        Array::Text(values) => {
            head(8, values.len(), out);
            values.iter().for_each(|value| text(value, out));
        }
        Array::Array(values) => {
            head(9, values.len(), out);
            values.iter().for_each(|value| put_array(value, out));
        }
        Array::U64(values) => numbers(10, values, u64::to_le_bytes, out),
        Array::I64(values) => numbers(11, values, i64::to_le_bytes, out),
        Array::F64(values) => numbers(12, values, f64::to_le_bytes, out),
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}
