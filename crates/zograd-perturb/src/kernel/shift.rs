use crate::NoisePass;

/// What a pass does to a weight besides the noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub(super) shrink: f32,
    /// Where the sums begin.
    pub(super) base: f32,
}

impl Shift {
    pub(super) fn of(pass: &NoisePass<'_>) -> Self {
        Self {
            shrink: pass.shrink,
            base: pass.base(),
        }
    }
}
