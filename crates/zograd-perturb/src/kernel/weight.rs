use half::{bf16, f16};

/// A type weights are stored in.
pub(crate) trait Weight: Copy + Send + Sync + PartialEq + std::fmt::Debug {
    /// `self + (fma(-shrink, self, sum) - base)`, computed in f32 (f64 for f64), then rounded to the type.
    ///
    /// Not `(1 - shrink) * self + sum`: the decay of a step, lr * lambda, is often below the distance of
    /// 1 to its neighbour in f32.
    fn moved(self, shrink: f32, base: f32, sum: f32) -> Self;
}

impl Weight for f32 {
    #[inline(always)]
    fn moved(self, shrink: f32, base: f32, sum: f32) -> Self {
        self + ((-shrink).mul_add(self, sum) - base)
    }
}

impl Weight for f64 {
    #[inline(always)]
    fn moved(self, shrink: f32, base: f32, sum: f32) -> Self {
        self + (f64::from(-shrink).mul_add(self, f64::from(sum)) - f64::from(base))
    }
}

impl Weight for f16 {
    #[inline(always)]
    fn moved(self, shrink: f32, base: f32, sum: f32) -> Self {
        f16::from_f32(self.to_f32().moved(shrink, base, sum))
    }
}

impl Weight for bf16 {
    #[inline(always)]
    fn moved(self, shrink: f32, base: f32, sum: f32) -> Self {
        bf16::from_f32(self.to_f32().moved(shrink, base, sum))
    }
}
