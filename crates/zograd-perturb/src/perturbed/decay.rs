//! Weight decay on a grid.
//!
//! The decay of a step, `lr * lambda * w`, is often far below the spacing of the grid, and its nearest multiple is 0 at
//! every step. So before it is rounded an offset between minus and plus half a spacing is added, another one at every
//! step: multiples of the golden ratio, modulo 1, which fill that interval more evenly than random numbers. What is
//! rounded off over any number of steps then stays within a few spacings for every weight, and is a function of the
//! number of the step alone.

use crate::family::Streams;
use crate::{AppliedUpdate, Grid, NoisePass, ParameterSpec, PerturbError};

/// The golden ratio's fraction in units of 2^-64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// What an update takes off the weights that decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decay {
    /// The share.
    pub(crate) shrink: f32,
    step: u64,
}

impl Decay {
    /// Takes nothing off.
    pub(crate) const NONE: Self = Self {
        shrink: 0.0,
        step: 0,
    };

    /// That of `update`.
    pub(crate) fn of(update: &AppliedUpdate) -> Result<Self, PerturbError> {
        let shrink = update.lr * update.decay;
        if !shrink.is_finite() {
            return Err(PerturbError::NonFinite(format!("decay {shrink}")));
        }
        Ok(Self {
            shrink: shrink as f32,
            step: update.step,
        })
    }

    /// This share at this step.
    #[cfg(test)]
    pub(super) fn at(shrink: f32, step: u64) -> Self {
        Self { shrink, step }
    }

    /// The pass over the parameter of `spec`, which shrinks if it is one that decays.
    pub(crate) fn pass_over<'a>(
        self,
        spec: &ParameterSpec,
        streams: &'a Streams,
        grid: Option<Grid>,
    ) -> NoisePass<'a> {
        let decay = if spec.decays { self } else { Self::NONE };
        NoisePass {
            made: &streams.made,
            shrink: decay.shrink,
            dither: decay.dither(grid),
            grid,
            ..NoisePass::new(spec.id, streams.kind, &streams.terms)
        }
    }

    pub(crate) fn is_none(self) -> bool {
        self.shrink == 0.0
    }

    /// What is added to a weight before the share is taken.
    fn dither(self, grid: Option<Grid>) -> f32 {
        match grid {
            Some(grid) if !self.is_none() => {
                let dither = self.offset() * grid.spacing() / f64::from(self.shrink);
                // for shares below any use
                dither.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
            }
            _ => 0.0,
        }
    }

    /// From -1/2 to 1/2; 0 at step 0.
    pub(super) fn offset(self) -> f64 {
        let turns = self.step.wrapping_mul(GOLDEN).wrapping_add(1 << 63);
        (turns >> 40) as f64 / f64::from(1 << 24) - 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// These offsets are part of every log with decay: a change is a new version of the format.
    #[test]
    fn value_stability() {
        let offsets = [0, 1, 2, 1000].map(|step| Decay { shrink: 1.0, step }.offset());
        let units = offsets.map(|offset| offset * f64::from(1 << 24));
        assert_eq!(units, [0.0, -6_408_327.0, 3_960_563.0, 570_236.0]);
    }

    /// Any share of a spacing is rounded up as often as it should be, to a few steps, after any number of them.
    ///
    /// 3.25 is the most that is seen here. Proven is 24: by Denjoy and Koksma's inequality a Fibonacci number of steps in a
    /// row is off by at most 2, and a number up to 100,000 is the sum of at most 12 Fibonacci numbers. Without offsets
    /// a share of 0.07 is off by 7,000.
    #[test]
    fn roundings_add_up() {
        for share in [0.0, 0.001, 0.07, 1.0 / 3.0, 0.5, 0.999, 1.25] {
            let mut sum = 0.0;
            for step in 0..100_000u64 {
                let decay = Decay { shrink: 1.0, step };
                sum += (share + decay.offset()).round();
                let exact = share * (step + 1) as f64;
                assert!((sum - exact).abs() <= 4.0, "{share}: {sum} and {exact}");
            }
        }
    }
}
