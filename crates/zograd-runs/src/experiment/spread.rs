//! Numbers over seeds.

use serde::Serialize;

/// Mean and spread of the values of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many values.
    pub runs: usize,
    /// Their mean.
    pub mean: f64,
    /// Sample standard deviation (divisor n - 1); none for a single value.
    pub standard_deviation: Option<f64>,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// The spread of `values`; none if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
        (!values.is_empty()).then(|| Self {
            runs: values.len(),
            mean,
            standard_deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()),
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }

    /// The spread of the values in another unit.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            mean: self.mean * factor,
            standard_deviation: self.standard_deviation.map(|sd| sd * factor),
            low: self.low * factor,
            high: self.high * factor,
            ..self
        }
    }

    /// Mean, and the standard deviation behind ±, with so many decimals.
    pub fn text(&self, decimals: usize) -> String {
        match self.standard_deviation {
            Some(sd) => format!("{:.decimals$} ± {sd:.decimals$}", self.mean),
            None => format!("{:.decimals$}", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_sample_deviation() {
        let spread = Spread::of([1.0, 2.0, 4.0, 5.0]).expect("values");
        assert_eq!((spread.mean, spread.low, spread.high), (3.0, 1.0, 5.0));
        // squares 4 + 1 + 1 + 4, over 3
        let sd = spread.standard_deviation.expect("four values");
        assert!((sd - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(spread.text(2), "3.00 ± 1.83");
        assert_eq!(Spread::of([0.5]).expect("one").text(1), "0.5");
        assert_eq!(Spread::of([]), None);
    }
}
