//! Stored floats to parameters of another float type, a chunk at a time.

use std::io::{self, Read};

use burn::tensor::{DType, TensorData};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::storage::Storage;

/// Values converted at a time; what a load holds beside the tensor itself.
const CHUNK: usize = 1 << 18;

/// A float type that weight files use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Float {
    /// 16 bits, 11 of them for the digits.
    F16,
    /// 16 bits, with the range of 32.
    BF16,
    /// 32 bits.
    F32,
    /// 64 bits.
    F64,
}

impl Float {
    /// The one of a tensor in memory; `None` if it is of no such type.
    pub fn of(dtype: DType) -> Option<Self> {
        match dtype {
            DType::F16 => Some(Self::F16),
            DType::BF16 => Some(Self::BF16),
            DType::F32 => Some(Self::F32),
            DType::F64 => Some(Self::F64),
            _ => None,
        }
    }

    /// Bytes of one value.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Little-endian bytes to f32; f64 is rounded.
    fn to_f32(self, bytes: &[u8], values: &mut Vec<f32>) {
        values.clear();
        match self {
            Self::F16 | Self::BF16 => {
                let words = bytes.as_chunks().0.iter();
                let bits: Vec<u16> = words.map(|word| u16::from_le_bytes(*word)).collect();
                values.resize(bits.len(), 0.0);
                match self {
                    Self::F16 => bits.reinterpret_cast::<f16>().convert_to_f32_slice(values),
                    _ => bits.reinterpret_cast::<bf16>().convert_to_f32_slice(values),
                }
            }
            Self::F32 => {
                let words = bytes.as_chunks().0.iter();
                values.extend(words.map(|word| f32::from_le_bytes(*word)));
            }
            Self::F64 => {
                let words = bytes.as_chunks().0.iter();
                values.extend(words.map(|word| f64::from_le_bytes(*word) as f32));
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum DecodeError {
    Io(io::Error),
    /// A stored value that is not finite, or not in the target type.
    NotFinite(f32),
}

/// Reads `shape` values of type `stored` and makes them `target`.
pub(crate) fn decode(
    mut bytes: impl Read,
    stored: Float,
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
    stored: Float,
    count: usize,
    largest: f32,
    append: impl Fn(&[f32], &mut Vec<E>),
) -> Result<Vec<E>, DecodeError> {
    let mut out = Vec::with_capacity(count);
    let mut buffer = vec![0; CHUNK.min(count) * stored.size()];
    let mut values = Vec::new();
    while out.len() < count {
        let chunk = &mut buffer[..CHUNK.min(count - out.len()) * stored.size()];
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
