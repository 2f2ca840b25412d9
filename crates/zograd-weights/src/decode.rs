//! Stored numbers to parameters of a float type, a chunk at a time.

use std::io::{self, Read};

use burn::tensor::TensorData;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

use crate::storage::Storage;

/// Values converted at a time; what a load holds beside the tensor itself. A multiple of the values of every block.
const CHUNK: usize = 1 << 18;

/// How numbers are stored: in blocks of some bytes, each of some values.
pub(crate) trait Encoding: Copy {
    /// Values of a block, and its bytes.
    fn block(self) -> (usize, usize);

    /// The values of whole blocks, in place of what `values` held.
    fn to_f32(self, bytes: &[u8], values: &mut Vec<f32>);
}

#[derive(Debug)]
pub(crate) enum DecodeError {
    Io(io::Error),
    /// A stored value that is not finite, or not in the target type.
    NotFinite(f32),
}

/// Reads `shape` values, which fill whole blocks, and makes them `target`.
pub(crate) fn decode(
    mut bytes: impl Read,
    stored: impl Encoding,
    shape: &[usize],
    target: Storage,
) -> Result<TensorData, DecodeError> {
    let count = shape.iter().product();
    match target {
        Storage::F16 => {
            let round = |values: &[f32], out: &mut Vec<f16>| {
                let start = out.len();
                out.resize(start + values.len(), f16::ZERO);
                out[start..].convert_from_f32_slice(values);
            };
            let values = collect(&mut bytes, stored, count, f32::from(f16::MAX), round)?;
            Ok(TensorData::new(values, shape.to_vec()))
        }
        Storage::Bf16 => {
            let round = |values: &[f32], out: &mut Vec<bf16>| {
                let start = out.len();
                out.resize(start + values.len(), bf16::ZERO);
                out[start..].convert_from_f32_slice(values);
            };
            let values = collect(&mut bytes, stored, count, f32::from(bf16::MAX), round)?;
            Ok(TensorData::new(values, shape.to_vec()))
        }
        Storage::F32 => {
            let copy = |values: &[f32], out: &mut Vec<f32>| out.extend_from_slice(values);
            let values = collect(&mut bytes, stored, count, f32::MAX, copy)?;
            Ok(TensorData::new(values, shape.to_vec()))
        }
    }
}

fn collect<E>(
    bytes: &mut impl Read,
    stored: impl Encoding,
    count: usize,
    largest: f32,
    append: impl Fn(&[f32], &mut Vec<E>),
) -> Result<Vec<E>, DecodeError> {
    let mut out = Vec::with_capacity(count);
    let (values_each, bytes_each) = stored.block();
    let mut buffer = vec![0; CHUNK.min(count) / values_each * bytes_each];
    let mut values = Vec::new();
    while out.len() < count {
        let blocks = CHUNK.min(count - out.len()) / values_each;
        let chunk = &mut buffer[..blocks * bytes_each];
        bytes.read_exact(chunk).map_err(DecodeError::Io)?;
        stored.to_f32(chunk, &mut values);
        let refused = |value: &&f32| value.is_nan() || value.abs() > largest;
        if let Some(value) = values.iter().find(refused) {
            return Err(DecodeError::NotFinite(*value));
        }
        append(&values, &mut out);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::Float;

    fn bytes<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        values.into_iter().flatten().collect()
    }

    #[test]
    fn every_stored_type_reaches_every_parameter_type() {
        // representable in all of them
        let values = [0.5f32, -2.0, 0.0, 96.0];
        let files = [
            (
                Float::F16,
                bytes(values.map(|x| f16::from_f32(x).to_le_bytes())),
            ),
            (
                Float::BF16,
                bytes(values.map(|x| bf16::from_f32(x).to_le_bytes())),
            ),
            (Float::F32, bytes(values.map(f32::to_le_bytes))),
            (
                Float::F64,
                bytes(values.map(|x| f64::from(x).to_le_bytes())),
            ),
        ];
        for (stored, file) in files {
            for target in Storage::ALL {
                let data = decode(&file[..], stored, &[2, 2], target).expect("finite");
                assert_eq!(data.dtype, target.into());
                let read: Vec<f32> = data.iter().collect();
                assert_eq!(read, values, "{stored:?} to {target:?}");
            }
        }
    }

    #[test]
    fn what_the_target_cannot_hold_is_refused() {
        let file = bytes([1.0f32, 1e6].map(f32::to_le_bytes));
        assert!(decode(&file[..], Float::F32, &[2], Storage::Bf16).is_ok());
        let refused = decode(&file[..], Float::F32, &[2], Storage::F16);
        assert!(matches!(refused, Err(DecodeError::NotFinite(1e6))));
        let file = bytes([f32::NAN].map(f32::to_le_bytes));
        assert!(decode(&file[..], Float::F32, &[1], Storage::F32).is_err());
    }

    #[test]
    fn short_input_is_an_error() {
        let refused = decode(&[0u8; 7][..], Float::F32, &[2], Storage::F32);
        assert!(matches!(refused, Err(DecodeError::Io(_))));
    }
}
