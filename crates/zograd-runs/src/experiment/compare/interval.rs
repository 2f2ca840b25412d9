//! How sure a median over a few seeds is.

use serde::Serialize;
use zograd_perturb::Seed;

/// Times that the values are drawn again.
const RESAMPLES: u64 = 4000;

/// The median of some runs, and where it lies with 95% by the bootstrap: of so many draws of as many runs, with repetition,
/// 2.5% have a lower median than `low` and 2.5% a higher one than `high` (Efron's percentile interval). It is wide and rough
/// for a few seeds, and nothing at all for one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Interval {
    /// How many values.
    pub runs: usize,
    /// Their median.
    pub median: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// That of `values`; none if there are none. The same values give the same interval.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let median_of = median(values.clone())?;
        let n = values.len() as u64;
        let draws = Seed::new(0);
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .filter_map(|resample| {
                let picks = draws.child(resample);
                let picked = (0..n).map(|k| values[(picks.child(k).value() % n) as usize]);
                median(picked.collect())
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[(share * (medians.len() - 1) as f64).round() as usize];
        Some(Self {
            runs: values.len(),
            median: median_of,
            low: at(0.025),
            high: at(0.975),
        })
    }

    /// Median and interval in another unit, with so many decimals: `61.2 (58.0 to 63.1)`.
    pub fn text(&self, decimals: usize, unit: f64) -> String {
        let [median, low, high] = [self.median, self.low, self.high].map(|x| x * unit);
        match low == high {
            true => format!("{median:.decimals$}"),
            false => format!("{median:.decimals$} ({low:.decimals$} to {high:.decimals$})"),
        }
    }
}

/// The middle value, or the mean of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let upper = *values.get(n / 2)?;
    Some(match n % 2 {
        1 => upper,
        _ => f64::midpoint(values[n / 2 - 1], upper),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        // never reached: half of the runs did not
        assert_eq!(
            median(vec![1.0, f64::INFINITY, f64::INFINITY]),
            Some(f64::INFINITY)
        );
    }

    #[test]
    fn one_value_has_no_width_and_many_have_that_of_their_order_statistics() {
        let one = Interval::of([0.5]).expect("a value");
        assert_eq!((one.median, one.low, one.high), (0.5, 0.5, 0.5));
        assert_eq!(one.text(1, 100.0), "50.0");
        // of 101 even steps the median's standard error is about 101 / (2 sqrt(101)) = 5.0: the interval is 50 ± 10
        let many = Interval::of((0..=100).map(f64::from)).expect("values");
        assert_eq!(many.median, 50.0);
        for (end, expected) in [(many.low, 40.0), (many.high, 60.0)] {
            assert!((end - expected).abs() <= 3.0, "{end} for {expected}");
        }
        assert_eq!(Interval::of((0..=100).map(f64::from)), Some(many));
    }
}
