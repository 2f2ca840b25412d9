//! The pass over a tensor as CubeCL kernels: sums in registers, one read and one write of each weight.
//!
//! Neighbouring units work on neighbouring weights, so that the accesses of a plane lie together. [`words`](super::words) says
//! what the buffer `words` of both kernels holds.

// The cube macro writes functions and structures that have no documentation.
#![allow(missing_docs)]
#![allow(
    clippy::too_many_arguments,
    reason = "a kernel takes each buffer and each number that its launch binds, and the cipher the words of its key"
)]

mod chacha8;
pub(super) mod gaussian;
pub(super) mod signs;

use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;

/// What a pass does to a weight besides the noise.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Shift {
    pub(super) shrink: f32,
    pub(super) dither: f32,
    pub(super) base: f32,
}

/// The weight, moved as [`NoisePass`](crate::NoisePass) says.
#[cube]
fn moved<W: Float>(old: W, sum: f32, shift: Shift) -> W {
    let w = f32::cast_from(old);
    W::cast_from(w + (fma(-shift.shrink, w + shift.dither, sum) - shift.base))
}
