//! The losses of a run of any length, in bounded memory.

/// Points that are kept at most; an even number.
const MOST: usize = 4000;

/// (forward passes, loss) of the steps so far. When there are too many, neighbours are merged into their means, and
/// from then on as many steps make one point.
#[derive(Clone, Debug, Default)]
pub struct Points {
    merged: Vec<(f64, f64)>,
    /// Steps a point, less one.
    more: usize,
    /// The sum of the steps that do not make a point yet, and their number.
    open: (f64, f64),
    waiting: usize,
}

impl Points {
    /// Adds a step; a loss that is not finite is left out.
    pub fn push(&mut self, forwards: u64, loss: f64) {
        if !loss.is_finite() {
            return;
        }
        self.open.0 += forwards as f64;
        self.open.1 += loss;
        self.waiting += 1;
        if self.waiting <= self.more {
            return;
        }
        let n = self.waiting as f64;
        self.merged.push((self.open.0 / n, self.open.1 / n));
        (self.open, self.waiting) = ((0.0, 0.0), 0);
        if self.merged.len() == MOST {
            let pairs = self.merged.as_chunks::<2>().0.iter();
            self.merged = pairs
                .map(|[a, b]| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0))
                .collect();
            self.more = 2 * self.more + 1;
        }
    }

    /// The points.
    pub fn as_slice(&self) -> &[(f64, f64)] {
        &self.merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_become_means_of_equal_weight() {
        let mut points = Points::default();
        for step in 0..20_000u64 {
            points.push(2 * step, step as f64);
        }
        points.push(0, f64::NAN);
        let kept = points.as_slice();
        assert!((MOST / 2..MOST).contains(&kept.len()), "{}", kept.len());
        assert_eq!(kept[0], (7.0, 3.5));
        for ((_, a), (forwards, b)) in kept.iter().zip(&kept[1..]) {
            assert_eq!((b - a, *forwards), (8.0, 2.0 * b));
        }
    }
}
