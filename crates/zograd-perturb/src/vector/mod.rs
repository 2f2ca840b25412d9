//! Vector registers: what the loops over noise need of them, for each kind there is.
//!
//! The loops are written once, over [`Vector`], and compiled for each implementation with its instructions enabled
//! ([`Instructions`]). All of them do the same to every lane: integer operations, exact conversions, and f32 operations
//! that are rounded once. So wider registers change the speed and not a bit.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod instructions;
mod loops;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(not(target_arch = "aarch64"))]
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub use instructions::Instructions;
pub(crate) use loops::{Loop, compiled};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon as Baseline;
#[cfg(not(target_arch = "aarch64"))]
pub(crate) use portable::Portable as Baseline;

/// 16 words, or numbers, side by side: as many as the widest registers hold.
pub(crate) type Row<T> = [T; 16];

/// A register of 32-bit words, and one of as many f32.
///
/// `lane` is where in a [`Row`] a register begins: a multiple of [`Self::LANES`], below 16.
///
/// # Safety
/// The functions may be called only where the processor has the instructions of the implementation, and only with
/// lanes as above: this is not checked.
pub(crate) trait Vector: Copy {
    /// Lanes of a register: a divisor of 16.
    const LANES: usize;
    /// The register of f32.
    type Floats: Copy;

    unsafe fn splat(word: u32) -> Self;
    /// 0, 1, 2, and so on.
    unsafe fn lane_numbers() -> Self;
    unsafe fn load(row: &Row<u32>, lane: usize) -> Self;
    unsafe fn store(self, row: &mut Row<u32>, lane: usize);
    /// Modulo 2^32.
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn xor(self, other: Self) -> Self;
    /// The bits of each word, 7, 8, 12 or 16 places up and round.
    unsafe fn rotated<const BY: u32>(self) -> Self;
    /// The bits of each word, `by` places down; `by` is below 32.
    unsafe fn shifted_down(self, by: u32) -> Self;
    /// For each byte of each word the sum of an entry of `low`, at its lower four bits, and one of `high`, at its upper
    /// four bits. The sums fit into bytes.
    unsafe fn looked_up(self, low: &[i8; 16], high: &[i8; 16]) -> Self;
    /// Byte `BYTE` (0..4, the lowest first) of each word, with its sign, times 2^24.
    unsafe fn byte_times_2_24<const BYTE: u32>(self) -> Self::Floats;
    /// `x`, with the other sign where bit `BIT` (0..4) of the word is set.
    unsafe fn flipped<const BIT: u32>(self, x: Self::Floats) -> Self::Floats;

    unsafe fn splat_float(x: f32) -> Self::Floats;
    unsafe fn load_floats(row: &Row<f32>, lane: usize) -> Self::Floats;
    unsafe fn store_floats(x: Self::Floats, row: &mut Row<f32>, lane: usize);
    unsafe fn plus(x: Self::Floats, y: Self::Floats) -> Self::Floats;
    unsafe fn minus(x: Self::Floats, y: Self::Floats) -> Self::Floats;
    /// `a * x + y`, rounded once.
    unsafe fn fma(a: Self::Floats, x: Self::Floats, y: Self::Floats) -> Self::Floats;
}

/// `N` entries from `lane` on. The intrinsics for unaligned loads would do; but where the workspace's checks are on, as in its
/// release builds, they check their pointers each time.
///
/// # Safety
/// `lane + N` is at most 16.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
unsafe fn part<T, const N: usize>(row: &Row<T>, lane: usize) -> &[T; N] {
    // SAFETY: the entries lie in the row.
    unsafe { &*row.as_ptr().add(lane).cast() }
}

/// The same, to write.
///
/// # Safety
/// `lane + N` is at most 16.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
unsafe fn part_mut<T, const N: usize>(row: &mut Row<T>, lane: usize) -> &mut [T; N] {
    // SAFETY: the entries lie in the row.
    unsafe { &mut *row.as_mut_ptr().add(lane).cast() }
}

/// Asks for the cache line at `address` before it is needed. Any address will do.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which does not fault; every x86-64 has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
