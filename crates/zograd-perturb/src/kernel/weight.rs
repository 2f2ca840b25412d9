use super::Shift;
use half::{bf16, f16};

/// A type weights are stored in.
pub(crate) trait Weight: Copy + Send + Sync + PartialEq + std::fmt::Debug {
    /// `self + (fma(-shrink, self + dither, sum) - base)`, computed in f32 (f64 for f64), then rounded to the type.
    ///
    /// Not `(1 - shrink) * self + sum`: the decay of a step, lr * lambda, is often below the distance of
    /// 1 to its neighbour in f32.
    fn moved(self, shift: Shift, sum: f32) -> Self;
}

impl Weight for f32 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        self + ((-shift.shrink).mul_add(self + shift.dither, sum) - shift.base)
    }
}

impl Weight for f64 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        let dithered = self + f64::from(shift.dither);
        self + (f64::from(-shift.shrink).mul_add(dithered, f64::from(sum)) - f64::from(shift.base))
    }
}

impl Weight for f16 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        f16::from_f32(self.to_f32().moved(shift, sum))
    }
}

impl Weight for bf16 {
    #[inline(always)]
    fn moved(self, shift: Shift, sum: f32) -> Self {
        bf16::from_f32(self.to_f32().moved(shift, sum))
    }
}
