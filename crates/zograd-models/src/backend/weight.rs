//! The types weights are stored in on the CPU, and their values in f32.

use std::cell::RefCell;
use std::ops::Range;

use faer::MatRef;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Rows of f32 values that begin `stride` values apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub count: usize,
    pub width: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `width` values, one after the other.
    pub fn of(values: &'a [f32], width: usize) -> Self {
        Self {
            values,
            stride: width,
            count: values.len() / width,
            width,
        }
    }

    pub fn row(&self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.width]
    }

    /// Some of the columns.
    pub fn columns(self, columns: Range<usize>) -> Self {
        Self {
            values: &self.values[columns.start..],
            width: columns.len(),
            ..self
        }
    }

    /// `[count, width]`.
    pub fn matrix(&self) -> MatRef<'a, f32> {
        MatRef::from_row_major_slice_with_stride(self.values, self.count, self.width, self.stride)
    }
}

/// A type weights are stored in.
pub(super) trait Weight: Copy + Sync {
    /// Hands `work` some columns of a matrix with rows of `width` weights in f32: where they are if they are f32, else
    /// in memory that every thread has one block of, and keeps.
    fn widened<R>(
        weights: &[Self],
        width: usize,
        columns: Range<usize>,
        work: impl FnOnce(Rows<'_>) -> R,
    ) -> R;
}

impl Weight for f32 {
    fn widened<R>(
        weights: &[f32],
        width: usize,
        columns: Range<usize>,
        work: impl FnOnce(Rows<'_>) -> R,
    ) -> R {
        work(Rows::of(weights, width).columns(columns))
    }
}

impl Weight for f16 {
    fn widened<R>(
        weights: &[f16],
        width: usize,
        columns: Range<usize>,
        work: impl FnOnce(Rows<'_>) -> R,
    ) -> R {
        in_scratch(weights, width, columns, work, |from, to| {
            from.convert_to_f32_slice(to);
        })
    }
}

impl Weight for bf16 {
    fn widened<R>(
        weights: &[bf16],
        width: usize,
        columns: Range<usize>,
        work: impl FnOnce(Rows<'_>) -> R,
    ) -> R {
        in_scratch(weights, width, columns, work, |from, to| {
            for (to, from) in to.iter_mut().zip(from) {
                // the upper half of an f32; not the library's `to_f32`, which looks for NaN and takes twice as long
                *to = f32::from_bits(u32::from(from.to_bits()) << 16);
            }
        })
    }
}

/// How many rows before its turn a row is asked for. Only some columns of each are read, and processors do not see far across
/// the gaps.
const ROWS_AHEAD: usize = 4;

/// Asks the processor to bring these values to its caches.
fn fetch<W>(values: &[W]) {
    // 64 bytes are moved at a time
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(64 / size_of::<W>()) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has SSE. The address is that of a value; nothing is read or written, and what is computed does
        // not depend on it.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = values;
}

fn in_scratch<W, R>(
    weights: &[W],
    width: usize,
    columns: Range<usize>,
    work: impl FnOnce(Rows<'_>) -> R,
    widen: impl Fn(&[W], &mut [f32]),
) -> R {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    let count = weights.len() / width;
    let kept = columns.len();
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < count * kept {
            scratch.resize(count * kept, 0.0);
        }
        let rows = weights.chunks_exact(width).map(|row| &row[columns.clone()]);
        let mut ahead = rows.clone().skip(ROWS_AHEAD);
        for (row, wide) in rows.zip(scratch.chunks_exact_mut(kept)) {
            if let Some(row) = ahead.next() {
                fetch(row);
            }
            widen(row, wide);
        }
        work(Rows::of(&scratch[..count * kept], kept))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widened<W: Weight>(weights: &[W], width: usize, columns: Range<usize>) -> Vec<Vec<f32>> {
        W::widened(weights, width, columns, |rows| {
            (0..rows.count).map(|row| rows.row(row).to_vec()).collect()
        })
    }

    /// Every number there is, with subnormal ones, infinities and NaN.
    #[test]
    fn no_bit_is_lost() {
        let all = || 0..=u16::MAX;
        let halves: Vec<f16> = all().map(f16::from_bits).collect();
        let brains: Vec<bf16> = all().map(bf16::from_bits).collect();
        let wide = widened(&halves, 1 << 12, 0..1 << 12).concat();
        for (half, wide) in halves.iter().zip(wide) {
            assert!(
                half.to_f32() == wide || (half.is_nan() && wide.is_nan()),
                "{half}"
            );
            assert_eq!(half.is_sign_negative(), wide.is_sign_negative(), "{half}");
        }
        let wide = widened(&brains, 1 << 12, 0..1 << 12).concat();
        for (brain, wide) in brains.iter().zip(wide) {
            assert!(
                brain.to_f32() == wide || (brain.is_nan() && wide.is_nan()),
                "{brain}"
            );
            assert_eq!(brain.is_sign_negative(), wide.is_sign_negative(), "{brain}");
        }
    }

    #[test]
    fn columns_are_cut_out() {
        let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let expected = [[1.0, 2.0], [5.0, 6.0], [9.0, 10.0]];
        assert_eq!(widened(&values, 4, 1..3), expected);
        let halves: Vec<f16> = values.iter().map(|x| f16::from_f32(*x)).collect();
        assert_eq!(widened(&halves, 4, 1..3), expected);
        let brains: Vec<bf16> = values.iter().map(|x| bf16::from_f32(*x)).collect();
        assert_eq!(widened(&brains, 4, 1..3), expected);
    }
}
