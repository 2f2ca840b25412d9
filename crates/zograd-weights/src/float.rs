//! The float types of files.

use burn::tensor::DType;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};

use crate::decode::Encoding;

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
}

impl Encoding for Float {
    fn block(self) -> (usize, usize) {
        (1, self.size())
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
