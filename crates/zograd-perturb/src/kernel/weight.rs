use half::{bf16, f16};

/// A type weights are stored in.
pub(crate) trait Weight: Copy + Send + Sync + PartialEq + std::fmt::Debug {
    /// `keep * self + delta`, computed in f32 (f64 for f64), rounded once.
    fn moved(self, keep: f32, delta: f32) -> Self;
}

impl Weight for f32 {
    #[inline(always)]
    fn moved(self, keep: f32, delta: f32) -> Self {
        keep.mul_add(self, delta)
    }
}

impl Weight for f64 {
    #[inline(always)]
    fn moved(self, keep: f32, delta: f32) -> Self {
        f64::from(keep).mul_add(self, f64::from(delta))
    }
}

impl Weight for f16 {
    #[inline(always)]
    fn moved(self, keep: f32, delta: f32) -> Self {
        f16::from_f32(self.to_f32().moved(keep, delta))
    }
}

impl Weight for bf16 {
    #[inline(always)]
    fn moved(self, keep: f32, delta: f32) -> Self {
        bf16::from_f32(self.to_f32().moved(keep, delta))
    }
}
