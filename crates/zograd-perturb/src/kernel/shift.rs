use crate::NoisePass;

/// What a pass does to a weight besides the noise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    pub(super) shrink: f32,
    /// Added to a weight before its share is taken.
    pub(super) dither: f32,
    /// Where the sums begin.
    pub(super) base: f32,
}

impl Shift {
    pub(super) fn of(pass: &NoisePass<'_>) -> Self {
        Self {
            shrink: pass.shrink,
            dither: pass.dither,
            base: pass.base(),
        }
    }

    /// The sum of the opposite terms: exact, since all roundings of a sum are the same on both sides of the base, and a 0
    /// has no sign.
    #[inline(always)]
    pub(super) fn opposite(self, sum: f32) -> f32 {
        self.base - (sum - self.base)
    }
}
