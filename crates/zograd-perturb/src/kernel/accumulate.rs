//! The inner loops, compiled once per instruction set and chosen at run time.
//!
//! Plain loops over slices that the compiler vectorises (but for Gaussian noise with AVX-512, whose look-ups it would
//! not keep in registers); the fused multiply-adds are spelled out, so wider instructions change the speed and not the
//! bits. Without a hardware fused multiply-add (x86-64 older than 2013) `mul_add` calls the mathematics library: slow,
//! still the same bits.

#[cfg(target_arch = "x86_64")]
use super::gaussian_avx512;
use super::{Shift, Weight};
use crate::NoiseKind;
use crate::noise::Normals;

/// An instruction set to run the inner loops with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accumulator {
    /// Whatever the program was compiled for; on aarch64 that is NEON and its fused multiply-add, which every such
    /// processor has.
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

    /// A pass with noise of one seed: [`Self::apply`] with the sums that [`Self::add`] makes of bases, which
    /// stay in registers.
    pub(super) fn add_one<W: Weight, const N: usize>(
        self,
        kind: NoiseKind,
        bits: &[u8],
        c: [f32; N],
        shift: Shift,
        weights: &mut [W],
    ) {
        let normals = Normals::get();
        match self {
            Self::Baseline => add_one(kind, normals, bits, c, shift, weights),
            // SAFETY: these variants come from `detect` or `available`, which checked the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { add_one_avx2(kind, normals, bits, c, shift, weights) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { add_one_avx512(kind, normals, bits, c, shift, weights) },
        }
    }

    /// `weights[i] <- weights[i] + (fma(-shrink, weights[i] + dither, sums[i]) - base)`.
    pub(super) fn apply<W: Weight>(self, weights: &mut [W], shift: Shift, sums: &[f32]) {
        match self {
            Self::Baseline => apply(weights, shift, sums),
            // SAFETY: these variants come from `detect` or `available`, which checked the features.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { apply_avx2(weights, shift, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { apply_avx512(weights, shift, sums) },
        }
    }

    /// Every instruction set this machine can run.
    #[cfg(test)]
    pub(super) fn available() -> Vec<Self> {
        [
            Some(Self::Baseline),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"))
                .then_some(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            (Self::detect() == Self::Avx512).then_some(Self::Avx512),
        ]
        .into_iter()
        .flatten()
        .collect()
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
            with_signs(sums, bits, |sum, sign| {
                *sum = c.iter().fold(*sum, |sum, c| sum + signed(*c, sign));
            });
        }
    }
}

#[inline(always)]
fn add_one<W: Weight, const N: usize>(
    kind: NoiseKind,
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    shift: Shift,
    weights: &mut [W],
) {
    match kind {
        NoiseKind::Gaussian => {
            for (w, bits) in weights.iter_mut().zip(bits.as_chunks().0) {
                let z = normals.at(u16::from_le_bytes(*bits));
                let sum = c.iter().fold(shift.base, |sum, c| c.mul_add(z, sum));
                *w = w.moved(shift, sum);
            }
        }
        NoiseKind::Rademacher => {
            with_signs(weights, bits, |w, sign| {
                let sum = c.iter().fold(shift.base, |sum, c| sum + signed(*c, sign));
                *w = w.moved(shift, sum);
            });
        }
    }
}

/// Hands out every element with its bit, as the sign of an f32.
#[inline(always)]
fn with_signs<T>(elements: &mut [T], bits: &[u8], each: impl Fn(&mut T, u32)) {
    let words = bits
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word));
    // a fixed number of elements a word, so that the loop becomes vectors
    let (whole, rest) = elements.as_chunks_mut::<32>();
    let rest_word = words.clone().nth(whole.len());
    for (elements, word) in whole.iter_mut().zip(words) {
        for (i, element) in elements.iter_mut().enumerate() {
            each(element, (word >> i) << 31);
        }
    }
    for (i, element) in rest.iter_mut().enumerate() {
        each(element, (rest_word.unwrap_or(0) >> i) << 31);
    }
}

#[inline(always)]
fn signed(c: f32, sign: u32) -> f32 {
    f32::from_bits(c.to_bits() ^ sign)
}

#[inline(always)]
fn apply<W: Weight>(weights: &mut [W], shift: Shift, sums: &[f32]) {
    for (w, sum) in weights.iter_mut().zip(sums) {
        *w = w.moved(shift, *sum);
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
fn add_one_avx2<W: Weight, const N: usize>(
    kind: NoiseKind,
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    shift: Shift,
    weights: &mut [W],
) {
    add_one(kind, normals, bits, c, shift, weights);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn add_one_avx512<W: Weight, const N: usize>(
    kind: NoiseKind,
    normals: &Normals,
    bits: &[u8],
    c: [f32; N],
    shift: Shift,
    weights: &mut [W],
) {
    match kind {
        NoiseKind::Gaussian => gaussian_avx512::add_one(normals, bits, c, shift, weights),
        NoiseKind::Rademacher => add_one(kind, normals, bits, c, shift, weights),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn apply_avx2<W: Weight>(weights: &mut [W], shift: Shift, sums: &[f32]) {
    apply(weights, shift, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn apply_avx512<W: Weight>(weights: &mut [W], shift: Shift, sums: &[f32]) {
    apply(weights, shift, sums);
}
