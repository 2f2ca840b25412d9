use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate changes over a run. The paper and MeZO use a constant one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// The same at every step.
    #[default]
    Constant,
    /// Falls linearly to 0 at the end of the run.
    Linear,
    /// Falls along half a cosine to 0 at the end of the run.
    Cosine,
}

impl Schedule {
    /// Factor on the learning rate at `step` (from 0) of `steps`: a pure function, so that a resumed run
    /// goes on where it was.
    pub fn factor(self, step: u64, steps: u64) -> f64 {
        let progress = step as f64 / steps.max(1) as f64;
        match self {
            Self::Constant => 1.0,
            Self::Linear => (1.0 - progress).max(0.0),
            // not the system's cosine, whose last bit differs between systems: a log is read with the same rates
            Self::Cosine => 0.5 * (1.0 + libm::cos(PI * progress.min(1.0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule::*;

    /// Where glibc's cosine differs in the last bit.
    #[test]
    fn value_stability() {
        for (step, bits) in [
            (115, 0x3fee_f794_28fa_7171u64),
            (123, 0x3fee_d1fc_0940_8222),
            (184, 0x3fed_6683_cd57_6c73),
        ] {
            assert_eq!(Cosine.factor(step, 1000).to_bits(), bits, "{step}");
        }
    }

    #[test]
    fn start_at_one_and_fall_to_zero() {
        for schedule in [Constant, Linear, Cosine] {
            assert_eq!(schedule.factor(0, 100), 1.0);
            assert!((1..=100).all(|s| schedule.factor(s, 100) <= schedule.factor(s - 1, 100)));
        }
        assert_eq!(Constant.factor(100, 100), 1.0);
        assert_eq!(Linear.factor(50, 100), 0.5);
        assert!((Cosine.factor(50, 100) - 0.5).abs() < 1e-12);
        assert_eq!(Linear.factor(100, 100), 0.0);
        assert!(Cosine.factor(100, 100).abs() < 1e-12);
    }
}
