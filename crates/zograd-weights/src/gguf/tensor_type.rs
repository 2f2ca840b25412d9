//! The numbers that types of tensors have in files.

use super::quantised::Quantised;
use crate::decode::Encoding;
use crate::entry::Stored;
use crate::float::Float;

/// How the values of a tensor are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WrittenType {
    /// As f32.
    F32,
    /// As f16.
    F16,
    /// As bf16.
    BF16,
    /// As [`Quantised::Q8_0`], which takes rows of a multiple of 32 values.
    Q8_0,
}

impl WrittenType {
    /// Its number in files.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::BF16 => 30,
            Self::Q8_0 => 8,
        }
    }

    /// Values of a block, and its bytes.
    pub(super) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => Float::F32.block(),
            Self::F16 => Float::F16.block(),
            Self::BF16 => Float::BF16.block(),
            Self::Q8_0 => Quantised::Q8_0.block(),
        }
    }
}

/// The type that a number stands for, and values and bytes of a block where it is read.
pub(super) fn stored(number: u32) -> (Stored, Option<(usize, usize)>) {
    let float = |float: Float| (Stored::Float(float), Some(float.block()));
    let blocks = |blocks: Quantised| (Stored::Quantised(blocks), Some(blocks.block()));
    let named = |name: &str| (Stored::Other(name.to_owned()), None);
    match number {
        0 => float(Float::F32),
        1 => float(Float::F16),
        28 => float(Float::F64),
        30 => float(Float::BF16),
        2 => blocks(Quantised::Q4_0),
        3 => blocks(Quantised::Q4_1),
        6 => blocks(Quantised::Q5_0),
        7 => blocks(Quantised::Q5_1),
        8 => blocks(Quantised::Q8_0),
        10 => blocks(Quantised::Q2_K),
        11 => blocks(Quantised::Q3_K),
        12 => blocks(Quantised::Q4_K),
        13 => blocks(Quantised::Q5_K),
        14 => blocks(Quantised::Q6_K),
        9 => named("Q8_1"),
        15 => named("Q8_K"),
        16 => named("IQ2_XXS"),
        17 => named("IQ2_XS"),
        18 => named("IQ3_XXS"),
        19 => named("IQ1_S"),
        20 => named("IQ4_NL"),
        21 => named("IQ3_S"),
        22 => named("IQ2_S"),
        23 => named("IQ4_XS"),
        24 => named("I8"),
        25 => named("I16"),
        26 => named("I32"),
        27 => named("I64"),
        29 => named("IQ1_M"),
        34 => named("TQ1_0"),
        35 => named("TQ2_0"),
        39 => named("MXFP4"),
        40 => named("NVFP4"),
        other => named(&format!("the unknown type {other}")),
    }
}
