use std::sync::LazyLock;

/// Number of magnitudes; with the sign bit a normal takes 16 random bits.
const MAGNITUDES: usize = 1 << 15;

/// Selects the magnitude index among 16 bits; the remaining bit is the sign.
pub(crate) const MAGNITUDE_MASK: u16 = (MAGNITUDES - 1) as u16;

/// f32 bit patterns of the magnitudes, ascending.
pub(crate) type NormalTable = [u32; MAGNITUDES];

/// The table of magnitudes, computed once a process (some milliseconds).
pub(crate) fn normal_table() -> &'static NormalTable {
    static TABLE: LazyLock<Box<NormalTable>> = LazyLock::new(build);
    &TABLE
}

/// Quantiles of the half-normal distribution at the midpoints of equal slices, scaled to mean square 1.
///
/// Built from `libm` (plain IEEE operations in Rust), not from the system's mathematics library, so
/// that the table is the same on every platform.
fn build() -> Box<NormalTable> {
    let mut quantiles = vec![0.0f64; MAGNITUDES];
    let mut x = 0.0;
    for (k, quantile) in quantiles.iter_mut().enumerate() {
        // P(Z > x) for this slice. Newton from the left neighbour: the tail function is convex on
        // x > 0, so the iteration climbs to the root from below and never overshoots.
        let tail = (MAGNITUDES as f64 - 0.5 - k as f64) / (2 * MAGNITUDES) as f64;
        for _ in 0..8 {
            x += (upper_tail(x) - tail) / density(x);
        }
        *quantile = x;
    }
    let mean_square = quantiles.iter().map(|q| q * q).sum::<f64>() / MAGNITUDES as f64;
    let scale = 1.0 / libm::sqrt(mean_square);
    let mut table = Box::new([0u32; MAGNITUDES]);
    for (bits, quantile) in table.iter_mut().zip(&quantiles) {
        *bits = ((quantile * scale) as f32).to_bits();
    }
    table
}

fn upper_tail(x: f64) -> f64 {
    0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2)
}

fn density(x: f64) -> f64 {
    const INV_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    INV_SQRT_TAU * libm::exp(-0.5 * x * x)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn magnitudes() -> Vec<f64> {
        let table = normal_table();
        table
            .iter()
            .map(|&b| f64::from(f32::from_bits(b)))
            .collect()
    }

    /// The same hash comes out of tests/noise_reference.py, which shares no code with this.
    #[test]
    fn value_stability() {
        let table = normal_table();
        // FNV-1a over the little-endian bytes
        let hash = table
            .iter()
            .flat_map(|b| b.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |h, byte| {
                (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(hash, 0xa2fb_244e_2b1d_28d9);
    }

    #[test]
    fn is_ascending_with_unit_variance() {
        let m = magnitudes();
        assert!(m.windows(2).all(|w| w[0] < w[1]) && m[0] > 0.0);
        let n = m.len() as f64;
        let second = m.iter().map(|x| x * x).sum::<f64>() / n;
        // each entry carries a rounding of at most 2^-24 relative
        assert!((second - 1.0).abs() < 1e-7, "{second}");
        let fourth = m.iter().map(|x| x.powi(4)).sum::<f64>() / n;
        assert!((fourth - 3.0).abs() < 5e-3, "{fourth}");
        assert!((m[m.len() - 1] - 4.325).abs() < 0.01, "{}", m[m.len() - 1]);
    }

    /// Known quantiles: Phi^-1(0.75) and Phi^-1(0.975), between the neighbouring midpoints.
    #[test]
    fn holds_the_normal_quantiles() {
        let m = magnitudes();
        for (p, q) in [(0.5, 0.674_489_750_196_082), (0.95, 1.959_963_984_540_054)] {
            let k = p * m.len() as f64 - 0.5;
            let (low, high) = (m[k.floor() as usize], m[k.ceil() as usize]);
            assert!(low - 1e-4 < q && q < high + 1e-4, "{low} {q} {high}");
        }
    }
}
