//! The inner loops: weights and sums in registers, the bits in L1.

use super::stream::Stream;
use super::weight::{Moving, Tile};
use super::{Shift, Weight};
use crate::noise::{HIGH, LOW};
use crate::vector::Vector;
use crate::{NoiseKind, NoisePass};

/// Weights of a tile.
pub(super) const TILE: usize = 64;

/// Moves the `n`-th tile of the groups that the streams have read, and makes its opposite, if that is wanted.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn add<W: Weight, V: Vector>(
    mut tile: Moving<'_, W>,
    n: usize,
    streams: &[Stream],
    pass: &NoisePass<'_>,
) {
    let shift = Shift::of(pass);
    let mut left = [[0.0; 16]; 4];
    // SAFETY: the instructions are there.
    unsafe {
        match pass.kind {
            NoiseKind::Gaussian => add_gaussian::<W, V>(tile.again(), n, streams, shift, &mut left),
            NoiseKind::Rademacher => add_signs::<W, V>(tile.again(), n, streams, shift, &mut left),
        }
    }
    W::move_tile(tile, shift, &left);
}

/// The `n`-th tile of a group, with Gaussian noise.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn add_gaussian<W: Weight, V: Vector>(
    mut tile: Moving<'_, W>,
    n: usize,
    streams: &[Stream],
    shift: Shift,
    left: &mut Tile<f32>,
) {
    for lane in (0..16).step_by(V::LANES) {
        // SAFETY: the instructions are there, and `lane` is one.
        unsafe {
            let mut sums = [V::splat_float(shift.base); 4];
            for stream in streams {
                let bytes = V::load(&stream.group.0[n % 16], lane).looked_up(&LOW, &HIGH);
                let normals = [
                    bytes.byte_times_2_24::<0>(),
                    bytes.byte_times_2_24::<1>(),
                    bytes.byte_times_2_24::<2>(),
                    bytes.byte_times_2_24::<3>(),
                ];
                add_multiple::<V>(&mut sums, normals, stream.first);
                if let Some(second) = stream.second {
                    add_multiple::<V>(&mut sums, normals, second);
                }
            }
            W::move_lanes::<V>(tile.again(), lane, shift, sums, left);
        }
    }
}

/// `fma(c, normal, sum)`.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn add_multiple<V: Vector>(sums: &mut [V::Floats; 4], normals: [V::Floats; 4], c: f32) {
    // SAFETY: the instructions are there.
    unsafe {
        let c = V::splat_float(c);
        for (sum, normal) in sums.iter_mut().zip(normals) {
            *sum = V::fma(c, normal, *sum);
        }
    }
}

/// The `n`-th tile of a group, with Rademacher noise.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn add_signs<W: Weight, V: Vector>(
    mut tile: Moving<'_, W>,
    n: usize,
    streams: &[Stream],
    shift: Shift,
    left: &mut Tile<f32>,
) {
    for lane in (0..16).step_by(V::LANES) {
        // SAFETY: the instructions are there, and `lane` is one.
        unsafe {
            let mut sums = [V::splat_float(shift.base); 4];
            for stream in streams {
                let row = &stream.group.0[n / 8 % 16];
                let bits = V::load(row, lane).shifted_down(4 * (n % 8) as u32);
                add_flipped(&mut sums, bits, stream.first);
                if let Some(second) = stream.second {
                    add_flipped(&mut sums, bits, second);
                }
            }
            W::move_lanes::<V>(tile.again(), lane, shift, sums, left);
        }
    }
}

/// `fma(c, +1 or -1, sum)`, which is `sum + c` or `sum - c`.
///
/// # Safety
/// The processor has the instructions of `V`.
#[inline(always)]
unsafe fn add_flipped<V: Vector>(sums: &mut [V::Floats; 4], bits: V, c: f32) {
    // SAFETY: the instructions are there.
    unsafe {
        let c = V::splat_float(c);
        sums[0] = V::plus(sums[0], bits.flipped::<0>(c));
        sums[1] = V::plus(sums[1], bits.flipped::<1>(c));
        sums[2] = V::plus(sums[2], bits.flipped::<2>(c));
        sums[3] = V::plus(sums[3], bits.flipped::<3>(c));
    }
}
