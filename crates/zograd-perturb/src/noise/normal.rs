use std::sync::LazyLock;

/// Pieces of the quantile function: 16 octaves of the tail probability with 4 pieces each.
const PIECES: usize = 64;

/// Slices of equal probability of the half-normal distribution; with the sign bit a normal takes 16 bits.
const SLICES: usize = 1 << 15;

/// Selects the slice among 16 bits; the remaining bit is the sign.
const SLICE_MASK: u32 = SLICES as u32 - 1;

/// A straight line for every piece of the half-normal quantile function: `magnitude = base + slope * x`,
/// where `x = 2 * slice + 1` is the probability of a larger magnitude in units of 2^-16.
///
/// Both arrays together are 512 bytes: they fit into the registers of AVX-512, where a look-up in a table
/// of all magnitudes would cost more than the keystream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Normals {
    pub(crate) base: [f32; PIECES],
    pub(crate) slope: [f32; PIECES],
}

impl Normals {
    /// The pieces, computed once a process (some milliseconds).
    pub(crate) fn get() -> &'static Self {
        static NORMALS: LazyLock<Normals> = LazyLock::new(Normals::fit);
        &NORMALS
    }

    /// The normal that 16 random bits stand for.
    #[inline(always)]
    pub(crate) fn at(&self, bits: u16) -> f32 {
        let bits = u32::from(bits);
        // exact: an odd integer below 2^16
        let x = (2 * (bits & SLICE_MASK) + 1) as f32;
        let piece = piece(x);
        let magnitude = self.slope[piece].mul_add(x, self.base[piece]);
        f32::from_bits(magnitude.to_bits() ^ (bits & !SLICE_MASK) << 16)
    }

    /// Least squares on every piece, then one scale for all of them that makes the variance 1.
    ///
    /// Built from `libm` and plain IEEE operations, not from the system's mathematics library, so that the
    /// bits are the same on every platform.
    fn fit() -> Self {
        let mut lines = [(0.0, 0.0); PIECES];
        let mut square_sum = 0.0;
        let quantiles = quantiles();
        let mut start = 0;
        while start < SLICES {
            let piece = piece(x_of(start) as f32);
            let mut end = start + 1;
            while end < SLICES && self::piece(x_of(end) as f32) == piece {
                end += 1;
            }
            let line = line(start, &quantiles[start..end]);
            for k in start..end {
                let magnitude = line.0 + line.1 * x_of(k);
                square_sum += magnitude * magnitude;
            }
            lines[piece] = line;
            start = end;
        }
        let scale = 1.0 / libm::sqrt(square_sum / SLICES as f64);
        Self {
            base: lines.map(|line| (line.0 * scale) as f32),
            slope: lines.map(|line| (line.1 * scale) as f32),
        }
    }
}

/// The exponent and the two leading bits of the mantissa of `x` in 1..2^16.
#[inline(always)]
fn piece(x: f32) -> usize {
    ((x.to_bits() >> 21) - (127 << 2)) as usize % PIECES
}

fn x_of(slice: usize) -> f64 {
    (2 * slice + 1) as f64
}

/// Base and slope of the line through `values` at the slices from `start` on, by least squares.
fn line(start: usize, values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let xs = (start..).map(x_of);
    let mean_x = xs.clone().take(values.len()).sum::<f64>() / n;
    let mean_y = values.iter().sum::<f64>() / n;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (x, y) in xs.zip(values) {
        covariance += (x - mean_x) * (y - mean_y);
        variance += (x - mean_x) * (x - mean_x);
    }
    let slope = if variance > 0.0 {
        covariance / variance
    } else {
        0.0
    };
    (mean_y - slope * mean_x, slope)
}

/// Quantiles of the half-normal distribution at the midpoints of its slices, the largest first.
fn quantiles() -> Vec<f64> {
    let mut quantiles = vec![0.0; SLICES];
    let mut q = 0.0;
    for (k, quantile) in quantiles.iter_mut().enumerate().rev() {
        // P(Z > q) for this slice. Newton from the neighbour below: the tail function is convex on
        // q > 0, so the iteration climbs to the root and never overshoots.
        let tail = x_of(k) / (4 * SLICES) as f64;
        for _ in 0..8 {
            q += (upper_tail(q) - tail) / density(q);
        }
        *quantile = q;
    }
    quantiles
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

    /// All normals with a positive sign, by slice.
    fn magnitudes() -> Vec<f64> {
        let normals = Normals::get();
        (0..SLICES)
            .map(|k| f64::from(normals.at(k as u16)))
            .collect()
    }

    /// The same hash comes out of tests/noise_reference.py, which shares no code with this.
    #[test]
    fn value_stability() {
        let normals = Normals::get();
        // FNV-1a over the little-endian bytes
        let hash = (normals.base.iter().chain(&normals.slope))
            .flat_map(|c| c.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |h, byte| {
                (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(hash, 0xcf75_b5b0_f977_97f2, "{hash:#x}");
    }

    #[test]
    fn sign_bit_flips_the_sign() {
        let normals = Normals::get();
        for bits in 0..SLICES as u16 {
            assert_eq!(normals.at(bits | 1 << 15), -normals.at(bits));
        }
    }

    /// With symmetric signs the odd moments vanish; these are the even ones of a normal: 1, 3, 15.
    #[test]
    fn has_the_moments_of_a_normal() {
        let m = magnitudes();
        let moment = |p: i32| m.iter().map(|x| x.powi(p)).sum::<f64>() / m.len() as f64;
        // each value carries a rounding of at most 2^-24 relative
        assert!((moment(2) - 1.0).abs() < 1e-7, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 1e-3, "{}", moment(4));
        assert!((moment(6) - 15.0).abs() < 3e-2, "{}", moment(6));
        assert!((m[0] - 4.325).abs() < 1e-3, "{}", m[0]);
    }

    #[test]
    fn stays_close_to_the_quantiles() {
        for (k, (z, q)) in magnitudes().iter().zip(quantiles()).enumerate() {
            assert!((z - q).abs() < 2e-3, "slice {k}: {z} for {q}");
        }
        // known ones: P(|Z| > q) = 1/2 and 1/20
        for (p, known) in [(0.5, 0.674_489_750_196_082), (0.05, 1.959_963_984_540_054)] {
            let q = quantiles()[(p * SLICES as f64) as usize];
            assert!((q - known).abs() < 1e-4, "{q}");
        }
    }
}
