//! What the losses of a pool are made of before they weigh its candidates.

use crate::{Choice, Setting};
use serde::{Deserialize, Serialize};

/// Numbers without a scale that stand for the losses of a pool: a step is as long wherever these are steep or flat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Shaping {
    /// `(l - mean l) / sigma`, with the standard deviation over all of the pool.
    ZScore,
    /// Their places from -1/2 for the lowest to 1/2 for the highest, equal losses at the mean of their places: what one of
    /// them is far from the others by does not count.
    Ranks,
}

/// Which of them.
pub(super) const SHAPING: Setting = Setting::choice(
    "shaping",
    "HOW",
    "What the losses of a pool are replaced by, so that a step has no scale",
    &[
        Choice {
            name: "z-score",
            help: "Their distances from the mean in standard deviations (evolution strategies)",
        },
        Choice {
            name: "ranks",
            help: "Their places among one another, from -1/2 to 1/2",
        },
    ],
)
.or("the losses as they are");

impl Shaping {
    /// What stands for these losses, which are finite; `None` if they are all equal.
    pub(super) fn of(self, losses: &[f64]) -> Option<Vec<f64>> {
        let first = losses.first()?;
        if losses.iter().all(|loss| loss == first) {
            return None;
        }
        Some(match self {
            Self::ZScore => z_scores(losses),
            Self::Ranks => ranks(losses),
        })
    }
}

fn z_scores(losses: &[f64]) -> Vec<f64> {
    let n = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / n;
    let squares = losses.iter().map(|loss| (loss - mean).powi(2));
    let sigma = (squares.sum::<f64>() / n).sqrt();
    losses.iter().map(|loss| (loss - mean) / sigma).collect()
}

fn ranks(losses: &[f64]) -> Vec<f64> {
    let last = (losses.len() - 1) as f64;
    let place = |loss: &f64| {
        let lower = losses.iter().filter(|other| *other < loss).count() as f64;
        let equal = losses.iter().filter(|other| *other == loss).count() as f64;
        (lower + (equal - 1.0) / 2.0) / last - 0.5
    };
    losses.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_and_offset_do_not_count() {
        let losses = [3.0, 1.0, 2.0, 1.0];
        let scaled = losses.map(|loss| 8.0 * loss - 40.0);
        for shaping in [Shaping::ZScore, Shaping::Ranks] {
            let found = shaping.of(&losses).expect("they differ");
            let again = shaping.of(&scaled).expect("they differ");
            let same = found.iter().zip(&again).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(same, "{found:?} {again:?}");
            assert!(found.iter().sum::<f64>().abs() < 1e-12);
            assert_eq!(shaping.of(&[0.25; 3]), None);
        }
        // mean 7/4, variance 11/16
        let z = Shaping::ZScore.of(&losses).expect("they differ");
        assert!((z[0] - 1.25 / (11.0f64 / 16.0).sqrt()).abs() < 1e-12);
        let ranks = Shaping::Ranks.of(&losses).expect("they differ");
        let expected = [0.5, -1.0 / 3.0, 1.0 / 6.0, -1.0 / 3.0];
        let close = |(a, b): (&f64, f64)| (a - b).abs() < 1e-12;
        assert!(ranks.iter().zip(expected).all(close), "{ranks:?}");
    }
}
