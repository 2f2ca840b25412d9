//! The inner loops, compiled once per instruction set and chosen at run time.
//!
//! Plain loops over slices that the compiler vectorises; the fused multiply-adds are spelled out, so
//! wider instructions change the speed and not the bits. Without a hardware fused multiply-add (x86-64
//! older than 2013) `mul_add` calls the mathematics library: slow, still the same bits.

use super::Weight;
use crate::NoiseKind;
use crate::noise::{MAGNITUDE_MASK, NormalTable, normal_table};

/// An instruction set to run the inner loops with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accumulator {
    /// Whatever the program was compiled for.
    Baseline,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Accumulator {
    /// The best this machine has. (The standard library caches the detection.)
    pub(super) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }

    /// `sums[i] <- fma(c, z[i], sums[i])` with the noise that `bits` encode.
    pub(super) fn add(self, kind: NoiseKind, bits: &[u8], c: f32, sums: &mut [f32]) {
        let table = normal_table();
        match self {
            Self::Baseline => add(kind, table, bits, c, sums),
            // SAFETY: these variants come from `detect` or `available`, which checked the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { add_avx2(kind, table, bits, c, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { add_avx512(kind, table, bits, c, sums) },
        }
    }

    /// `weights[i] <- weights[i] + fma(-shrink, weights[i], sums[i])`.
    pub(super) fn apply<W: Weight>(self, weights: &mut [W], shrink: f32, sums: &[f32]) {
        match self {
            Self::Baseline => apply(weights, shrink, sums),
            // SAFETY: these variants come from `detect` or `available`, which checked the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { apply_avx2(weights, shrink, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { apply_avx512(weights, shrink, sums) },
        }
    }

    /// Every instruction set this machine can run.
    #[cfg(test)]
    pub(super) fn available() -> Vec<Self> {
        let mut sets = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self::Avx2);
            }
            if Self::detect() == Self::Avx512 {
                sets.push(Self::Avx512);
            }
        }
        sets
    }
}

#[inline(always)]
fn add(kind: NoiseKind, table: &NormalTable, bits: &[u8], c: f32, sums: &mut [f32]) {
    match kind {
        NoiseKind::Gaussian => {
            for (sum, bits) in sums.iter_mut().zip(bits.chunks_exact(2)) {
                let bits = u16::from_le_bytes([bits[0], bits[1]]);
                let magnitude = table[usize::from(bits & MAGNITUDE_MASK)];
                let z = f32::from_bits(magnitude | u32::from(bits & !MAGNITUDE_MASK) << 16);
                *sum = c.mul_add(z, *sum);
            }
        }
        // fma(c, +1 or -1, sum) is sum + c or sum - c
        NoiseKind::Rademacher => {
            let words = bits.chunks_exact(4);
            for (sums, word) in sums.chunks_mut(32).zip(words) {
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let sign = (word >> i) << 31;
                    *sum += f32::from_bits(c.to_bits() ^ sign);
                }
            }
        }
    }
}

#[inline(always)]
fn apply<W: Weight>(weights: &mut [W], shrink: f32, sums: &[f32]) {
    for (w, delta) in weights.iter_mut().zip(sums) {
        *w = w.moved(shrink, *delta);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn add_avx2(kind: NoiseKind, table: &NormalTable, bits: &[u8], c: f32, sums: &mut [f32]) {
    add(kind, table, bits, c, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn add_avx512(kind: NoiseKind, table: &NormalTable, bits: &[u8], c: f32, sums: &mut [f32]) {
    add(kind, table, bits, c, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn apply_avx2<W: Weight>(weights: &mut [W], shrink: f32, sums: &[f32]) {
    apply(weights, shrink, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn apply_avx512<W: Weight>(weights: &mut [W], shrink: f32, sums: &[f32]) {
    apply(weights, shrink, sums);
}
