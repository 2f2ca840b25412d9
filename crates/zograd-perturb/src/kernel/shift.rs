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
}
