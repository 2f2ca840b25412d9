//! The inner loops, compiled once per instruction set and chosen at run time.
//!
//! Plain loops over slices that the compiler vectorises (but for Gaussian noise with AVX-512, whose
//! look-ups it would not keep in registers); the fused multiply-adds are spelled out, so wider instructions change the speed and not the bits. Without a hardware fused multiply-add (x86-64
//! older than 2013) `mul_add` calls the mathematics library: slow, still the same bits.

use super::Weight;
#[cfg(target_arch = "x86_64")]
use super::gaussian_avx512;
use crate::NoiseKind;
use crate::noise::Normals;

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

    /// `sums[i] <- fma(c, z[i], sums[i])` for every `c` in turn, with the noise that `bits` encode.
    pub(super) fn add<const N: usize>(
        self,
        kind: NoiseKind,
        bits: &[u8],
        c: [f32; N],
        sums: &mut [f32],
    ) {
        let normals = Normals::get();
        match self {
            Self::Baseline => add(kind, normals, bits, c, sums),
            // SAFETY: these variants come from `detect` or `available`, which checked the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { add_avx2(kind, normals, bits, c, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { add_avx512(kind, normals, bits, c, sums) },
        }
    }

    /// `weights[i] <- weights[i] + (fma(-shrink, weights[i], sums[i]) - anchor)`.
    pub(super) fn apply<W: Weight>(
        self,
        weights: &mut [W],
        shrink: f32,
        anchor: f32,
        sums: &[f32],
    ) {
        match self {
            Self::Baseline => apply(weights, shrink, anchor, sums),
            // SAFETY: these variants come from `detect` or `available`, which checked the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { apply_avx2(weights, shrink, anchor, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { apply_avx512(weights, shrink, anchor, sums) },
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
fn add<const N: usize>(
    kind: NoiseKind,
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    sums: &mut [f32],
) {
    match kind {
        NoiseKind::Gaussian => {
            for (sum, bits) in sums.iter_mut().zip(bits.as_chunks().0) {
                let z = normals.at(u16::from_le_bytes(*bits));
                *sum = c.iter().fold(*sum, |sum, c| c.mul_add(z, sum));
            }
        }
        // fma(c, +1 or -1, sum) is sum + c or sum - c
        NoiseKind::Rademacher => {
            for (sums, word) in sums.chunks_mut(32).zip(bits.as_chunks().0) {
                let word = u32::from_le_bytes(*word);
                for (i, sum) in sums.iter_mut().enumerate() {
                    let sign = (word >> i) << 31;
                    let signed = |c: f32| f32::from_bits(c.to_bits() ^ sign);
                    *sum = c.iter().fold(*sum, |sum, c| sum + signed(*c));
                }
            }
        }
    }
}

#[inline(always)]
fn apply<W: Weight>(weights: &mut [W], shrink: f32, anchor: f32, sums: &[f32]) {
    for (w, sum) in weights.iter_mut().zip(sums) {
        *w = w.moved(shrink, anchor, *sum);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn add_avx2<const N: usize>(
    kind: NoiseKind,
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    sums: &mut [f32],
) {
    add(kind, normals, bits, c, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn add_avx512<const N: usize>(
    kind: NoiseKind,
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    sums: &mut [f32],
) {
    match kind {
        NoiseKind::Gaussian => gaussian_avx512::add(normals, bits, c, sums),
        NoiseKind::Rademacher => add(kind, normals, bits, c, sums),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn apply_avx2<W: Weight>(weights: &mut [W], shrink: f32, anchor: f32, sums: &[f32]) {
    apply(weights, shrink, anchor, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn apply_avx512<W: Weight>(weights: &mut [W], shrink: f32, anchor: f32, sums: &[f32]) {
    apply(weights, shrink, anchor, sums);
}
