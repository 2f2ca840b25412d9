//! The values that stand for a normal distribution.
//!
//! 8 random bits choose an entry of each of two tables of 16, and the normal is their sum in units of [`UNIT`]. The entries
//! are integers, so that a byte shuffle looks them up and every sum is exact; each table has every entry with both signs,
//! so that all odd moments are exactly 0. The tables were searched for (`tests::search`): the variance is exactly 1, the
//! fourth moment 3 - 4.8e-7, the sixth 15.0007. (With a variance of 1 no integers in units of a power of two have a
//! fourth moment of exactly 3: `k^4` and `k^2` are equal modulo 3, so its numerator, 3 times a power of two, would have
//! to be no multiple of 3.)

/// What the integers count.
pub(crate) const UNIT: f32 = 1.0 / 32.0;

/// The positive halves of the tables, for the lower and the upper four bits.
const HALVES: [[i8; 8]; 2] = [[3, 8, 13, 16, 21, 28, 35, 48], [2, 3, 4, 6, 8, 11, 17, 49]];

/// The entries for the lower four bits.
pub(crate) const LOW: [i8; 16] = both_signs(HALVES[0]);

/// The entries for the upper four bits.
pub(crate) const HIGH: [i8; 16] = both_signs(HALVES[1]);

/// The largest magnitude of any noise.
pub(crate) const LARGEST_NOISE: f64 = (HALVES[0][7] + HALVES[1][7]) as f64 * UNIT as f64;

const fn both_signs(half: [i8; 8]) -> [i8; 16] {
    let mut table = [0; 16];
    let mut k = 0;
    while k < 8 {
        table[k] = half[k];
        table[k + 8] = -half[k];
        k += 1;
    }
    table
}

/// The normal of 8 random bits.
pub(crate) fn normal(bits: u8) -> f32 {
    let sum = LOW[usize::from(bits & 15)] + HIGH[usize::from(bits >> 4)];
    f32::from(sum) * UNIT
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of about this shape do for a normal distribution; all within [`AROUND`] of them are tried.
    const SHAPES: [[i64; 8]; 2] = [[4, 7, 12, 16, 20, 26, 34, 48], [1, 3, 4, 6, 9, 13, 20, 49]];
    const AROUND: i64 = 3;

    /// Of a table with the values of `half` and their negatives: the sum of the squares of `half`, and the fourth and the sixth
    /// cumulant, times 64 and 512. They are integers, and those of a sum of two tables are the sums of theirs. For a
    /// normal distribution all but the first are 0.
    fn cumulants(half: &[i64; 8]) -> [i64; 3] {
        let sum = |p: u32| half.iter().map(|x| x.pow(p)).sum::<i64>();
        let [s2, s4, s6] = [2, 4, 6].map(sum);
        [
            s2,
            8 * s4 - 3 * s2 * s2,
            64 * s6 - 120 * s4 * s2 + 30 * s2.pow(3),
        ]
    }

    /// Hands out all rising tables that begin as `table` does before place `k`, and go on within [`AROUND`] of a shape.
    fn each_table(shape: &[i64; 8], k: usize, table: [i64; 8], each: &mut impl FnMut([i64; 8])) {
        if k == 8 {
            return each(table);
        }
        let least = if k == 0 { 1 } else { table[k - 1] + 1 };
        for entry in (shape[k] - AROUND).max(least)..=shape[k] + AROUND {
            let mut longer = table;
            longer[k] = entry;
            each_table(shape, k + 1, longer, each);
        }
    }

    /// How far the sums of two tables are from the quantiles of a normal distribution, by their mean square.
    fn distance(low: &[i64; 8], high: &[i64; 8]) -> f64 {
        let mut sums: Vec<i64> = low
            .iter()
            .flat_map(|l| high.iter().flat_map(move |h| [l + h, l - h, h - l, -l - h]))
            .collect();
        sums.sort_unstable();
        let difference = |(k, sum): (usize, &i64)| {
            *sum as f64 * f64::from(UNIT) - quantile((k as f64 + 0.5) / sums.len() as f64)
        };
        let squares = sums.iter().enumerate().map(|sum| difference(sum).powi(2));
        squares.sum()
    }

    /// By bisection.
    fn quantile(probability: f64) -> f64 {
        let (mut low, mut high) = (-9.0, 9.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2) < probability {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Of all pairs near the shapes with variance 1 and a sixth moment within 0.001 of 15: those whose fourth moment is
    /// nearest to 3, and of these the one that is nearest to the quantiles.
    fn search() -> [[i64; 8]; 2] {
        let square_sum = 8 * (1.0 / UNIT).powi(2) as i64;
        // 64 times the fourth power of 32, times 1e-5; 512 times the sixth power, times 1e-3
        let (most_of_fourth, most_of_sixth) = (671, 549_755_813);
        let mut highs = Vec::new();
        each_table(&SHAPES[1], 0, [0; 8], &mut |high| {
            highs.push((cumulants(&high), high));
        });
        highs.sort_unstable();
        let mut best = (i64::MAX, f64::INFINITY, [[0; 8]; 2]);
        each_table(&SHAPES[0], 0, [0; 8], &mut |low| {
            let [s2, fourth, sixth] = cumulants(&low);
            let least = [square_sum - s2, -fourth - most_of_fourth, i64::MIN];
            let from = highs.partition_point(|(cumulants, _)| cumulants < &least);
            let near = highs[from..]
                .iter()
                .take_while(|(c, _)| c[0] == square_sum - s2 && c[1] <= -fourth + most_of_fourth);
            for (c, high) in near.filter(|(c, _)| (c[2] + sixth).abs() <= most_of_sixth) {
                let off = (c[1] + fourth).abs();
                if off > best.0 {
                    continue;
                }
                let distance = distance(&low, high);
                if off < best.0 || distance < best.1 {
                    best = (off, distance, [low, *high]);
                }
            }
        });
        best.2
    }

    #[test]
    fn the_tables_are_what_the_search_finds() {
        assert_eq!(search(), HALVES.map(|half| half.map(i64::from)));
    }

    /// 256 times a moment, in units of 1/32: an integer.
    fn moment(power: u32) -> i128 {
        let values = (0..=u8::MAX).map(|bits| (normal(bits) / UNIT) as i128);
        values.map(|value| value.pow(power)).sum()
    }

    #[test]
    fn has_the_moments_of_a_normal() {
        for odd in [1, 3, 5, 7] {
            assert_eq!(moment(odd), 0);
        }
        assert_eq!(moment(2), 256 << 10);
        // 1.5e-7 of 3, less than f32 tells
        assert_eq!(moment(4), 3 * (256 << 20) - 128);
        let sixth = moment(6) as f64 / (256u64 << 30) as f64;
        assert!((sixth - 15.000_688_5).abs() < 1e-6, "{sixth}");
    }

    #[test]
    fn values_are_few_symmetric_and_bounded() {
        let mut values: Vec<f32> = (0..=u8::MAX).map(normal).collect();
        values.sort_by(f32::total_cmp);
        let mirrored: Vec<f32> = values.iter().rev().map(|z| 0.0 - z).collect();
        assert_eq!(values, mirrored);
        assert_eq!(f64::from(values[255]), LARGEST_NOISE);
        assert_eq!(LARGEST_NOISE, 3.03125);
        values.dedup();
        assert_eq!(values.len(), 117);
    }
}
