use std::sync::LazyLock;

/// Pieces of the quantile function: 16 octaves of the tail probability with 4 pieces each.
const PIECES: usize = 64;

/// Slices of equal probability of the half-normal distribution; with the sign bit a normal takes 16 bits.
const SLICES: usize = 1 << 15;

/// 8 bits times the 16 bits of `x` are the 24 bits of an f32.
const SLOPE_BITS: i32 = 8;

/// Selects the slice among 16 bits; the remaining bit is the sign.
const SLICE_MASK: u32 = SLICES as u32 - 1;

/// A straight line for every piece of the half-normal quantile function: `magnitude = intercept + slope * x`,
/// where `x = 2 * slice + 1` is the probability of a larger magnitude in units of 2^-16.
///
/// A slope has [`SLOPE_BITS`] significant bits and its intercept is a multiple of the slope's last bit, so the
/// product and the sum are exact in f32: no machine can round them differently, whether or not it fuses
/// them. Both arrays together are 512 bytes: they fit into the registers of AVX-512, where a look-up in a
/// table of all magnitudes would cost more than the keystream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Normals {
    pub(crate) intercept: [f32; PIECES],
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
        let magnitude = self.slope[piece] * x + self.intercept[piece];
        f32::from_bits(magnitude.to_bits() ^ (bits & !SLICE_MASK) << 16)
    }

    /// Least squares on every piece, one scale for all that makes the variance 1, then the rounding that
    /// makes the arithmetic exact (and moves the variance by less than 1e-6).
    ///
    /// Built from `libm` and plain IEEE operations, not from the system's mathematics library, so that the
    /// bits are the same on every platform.
    fn fit() -> Self {
        let quantiles = quantiles();
        let mut fits = [Line::default(); PIECES];
        let mut square_sum = 0.0;
        let mut start = 0;
        while start < SLICES {
            let piece = piece(x_of(start) as f32);
            let rest = (start..SLICES).map(|k| self::piece(x_of(k) as f32));
            let end = start + rest.take_while(|&p| p == piece).count();
            let line = Line::fit(start, &quantiles[start..end]);
            square_sum += (start..end).map(|k| line.at(x_of(k)).powi(2)).sum::<f64>();
            fits[piece] = line;
            start = end;
        }
        let scale = 1.0 / libm::sqrt(square_sum / SLICES as f64);
        let lines = fits.map(|line| line.rounded(scale));
        Self {
            intercept: lines.map(|(intercept, _)| intercept),
            slope: lines.map(|(_, slope)| slope),
        }
    }
}

/// The line of slope `slope` through (`x`, `y`).
#[derive(Clone, Copy, Default)]
struct Line {
    x: f64,
    y: f64,
    slope: f64,
}

impl Line {
    /// Least squares through `values` at the slices from `start` on.
    fn fit(start: usize, values: &[f64]) -> Self {
        let n = values.len() as f64;
        let xs = (start..).map(x_of);
        let x = xs.clone().take(values.len()).sum::<f64>() / n;
        let y = values.iter().sum::<f64>() / n;
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (xi, yi) in xs.zip(values) {
            covariance += (xi - x) * (yi - y);
            variance += (xi - x) * (xi - x);
        }
        let slope = if variance > 0.0 {
            covariance / variance
        } else {
            0.0
        };
        Self { x, y, slope }
    }

    fn at(&self, x: f64) -> f64 {
        self.y + self.slope * (x - self.x)
    }

    /// Base and slope of `scale` times the line, rounded as [`Normals`] says.
    fn rounded(&self, scale: f64) -> (f32, f32) {
        let (y, slope) = (self.y * scale, self.slope * scale);
        if slope == 0.0 {
            return (y as f32, 0.0);
        }
        let (_, exponent) = libm::frexp(slope);
        let grid = libm::ldexp(1.0, exponent - SLOPE_BITS);
        let slope = libm::rint(slope / grid) * grid;
        let intercept = libm::rint((y - slope * self.x) / grid) * grid;
        (intercept as f32, slope as f32)
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
        let hash = (normals.intercept.iter().chain(&normals.slope))
            .flat_map(|c| c.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325u64, |h, byte| {
                (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(hash, 0x95a0_6996_f81e_a291, "{hash:#x}");
    }

    /// What makes the noise the same on machines without a fused multiply-add, or with nothing else.
    #[test]
    fn arithmetic_is_exact() {
        let normals = Normals::get();
        for k in 0..SLICES {
            let x = x_of(k) as f32;
            let (intercept, slope) = (normals.intercept[piece(x)], normals.slope[piece(x)]);
            let exact = f64::from(slope) * f64::from(x) + f64::from(intercept);
            assert_eq!(f64::from(slope * x + intercept), exact, "slice {k}");
            assert_eq!(f64::from(normals.at(k as u16)), exact, "slice {k}");
        }
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
        assert!((moment(2) - 1.0).abs() < 1e-6, "{}", moment(2));
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
