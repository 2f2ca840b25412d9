//! Fewer points than steps: a chart is a few hundred pixels wide.

use zograd_runs::experiment::Curve;

/// Bins along the x axis.
const BINS: usize = 300;

/// The lowest and the highest point of every bin, in the order they came.
pub fn envelope(points: &[(f64, f64)]) -> Curve {
    binned(points, |bin| {
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (low, high) = (bin.iter().min_by(by_y), bin.iter().max_by(by_y));
        let mut ends: Curve = [low, high].into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends
    })
}

/// The last point of every bin.
pub fn thin(points: &[(f64, f64)]) -> Curve {
    binned(points, |bin| bin.last().copied().into_iter().collect())
}

fn binned(points: &[(f64, f64)], pick: impl Fn(&[(f64, f64)]) -> Curve) -> Curve {
    if points.len() <= 2 * BINS {
        return points.to_vec();
    }
    points
        .chunks(points.len().div_ceil(BINS))
        .flat_map(pick)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_curves_keep_their_extremes_and_their_end() {
        let mut points: Curve = (0..20_000).map(|i| (f64::from(i), 1.0)).collect();
        points[777].1 = 9.0;
        points[778].1 = -9.0;
        let raw = envelope(&points);
        assert!(raw.len() <= 2 * BINS);
        assert!(raw.contains(&(777.0, 9.0)) && raw.contains(&(778.0, -9.0)));
        assert!(raw.is_sorted_by(|a, b| a.0 <= b.0));
        assert_eq!(thin(&points).last(), points.last());
        assert_eq!(thin(&points[..100]), points[..100]);
    }
}
