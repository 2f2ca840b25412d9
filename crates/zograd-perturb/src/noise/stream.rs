use super::block::BLOCK;
use super::keystream::Keystream;
use super::{NoiseKind, Normals};
use crate::TensorId;
use zograd_direction::Seed;

/// Elements after which every kind stands at a 64-byte block of the keystream (512 one-bit elements).
pub(crate) const ALIGNMENT: usize = 512;

/// The random bits of one tensor under one seed, readable from any aligned element on.
pub(crate) struct BitStream(Keystream);

impl BitStream {
    /// The stream, standing at element `start`, a multiple of [`ALIGNMENT`].
    pub(crate) fn at(seed: Seed, tensor: TensorId, kind: NoiseKind, start: u64) -> Self {
        debug_assert_eq!(start % ALIGNMENT as u64, 0);
        let mut key = *b"........|||||||.zograd noise v1\0";
        key[..8].copy_from_slice(&seed.value().to_le_bytes());
        key[8..16].copy_from_slice(&tensor.value().to_le_bytes());
        // whole blocks, by the alignment
        let block = start * kind.bits() as u64 / (8 * BLOCK as u64);
        Self(Keystream::at(key, kind.keystream(), block))
    }

    /// Reads the bytes of the next `8 * bytes.len() / bits` elements: a multiple of [`ALIGNMENT`], but for the
    /// last.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) {
        self.0.read(bytes);
    }
}

/// Writes `z(seed)[tensor, start..start + out.len()]` into `out`: the definition, one element at a time
/// and from any start.
///
/// The kernels that change weights never call this; they generate the same values on the fly. It is
/// for whoever wants to look at the noise, and it is what the kernels are tested against.
///
/// ```
/// use zograd_perturb::{NoiseKind, Seed, TensorId, noise};
///
/// let tensor = TensorId::of("decoder.layers.0.fc1.weight");
/// let mut all = [0.0; 100];
/// noise::fill(Seed::new(1), tensor, NoiseKind::Gaussian, 0, &mut all);
/// let mut tail = [0.0; 30];
/// noise::fill(Seed::new(1), tensor, NoiseKind::Gaussian, 70, &mut tail);
/// assert_eq!(all[70..], tail);
/// ```
pub fn fill(seed: Seed, tensor: TensorId, kind: NoiseKind, start: u64, out: &mut [f32]) {
    let aligned = start - start % ALIGNMENT as u64;
    let skip = (start - aligned) as usize;
    let mut stream = BitStream::at(seed, tensor, kind, aligned);
    let mut bytes = vec![0u8; kind.bytes(skip + out.len())];
    stream.read(&mut bytes);
    let normals = Normals::get();
    for (i, value) in (skip..).zip(out) {
        *value = match kind {
            NoiseKind::Gaussian => normals.at(u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]])),
            // the bits of a little-endian word lie in the order of its bytes
            NoiseKind::Rademacher => sign(bytes[i / 8] >> (i % 8)),
        };
    }
}

fn sign(bit: u8) -> f32 {
    if bit & 1 == 0 { 1.0 } else { -1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(seed: u64, name: &str, kind: NoiseKind, n: usize) -> Vec<f32> {
        let mut out = vec![0.0; n];
        fill(Seed::new(seed), TensorId::of(name), kind, 0, &mut out);
        out
    }

    /// These bits are part of every trajectory: a change here is a new noise version. They were computed
    /// by tests/noise_reference.py, which shares no code with this.
    #[test]
    fn value_stability() {
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let gaussian = bits(noise(
            42,
            "decoder.layers.0.fc1.weight",
            NoiseKind::Gaussian,
            4,
        ));
        assert_eq!(
            gaussian,
            [0x3fac_c02c, 0x3de7_4fb0, 0xbf45_d2b4, 0x3e32_ba58]
        );
        let signs: String = noise(42, "decoder.layers.0.fc1.weight", NoiseKind::Rademacher, 40)
            .iter()
            .map(|z| if *z > 0.0 { '+' } else { '-' })
            .collect();
        assert_eq!(signs, "--+++-+++-+-+---++-+++-++--+-+++-+--++-+");
    }

    proptest! {
        #[test]
        fn any_window_is_the_same_noise(start in 0usize..3000, len in 0usize..1500, seed: u64) {
            for kind in NoiseKind::ALL {
                let whole = noise(seed, "w", kind, start + len);
                let mut window = vec![0.0; len];
                fill(Seed::new(seed), TensorId::of("w"), kind, start as u64, &mut window);
                prop_assert_eq!(&whole[start..], &window[..]);
            }
        }
    }

    /// With n = 2^20 draws the standard errors are 1/1024 for a mean or a correlation, sqrt(2)/1024
    /// for a variance and sqrt(24)/1024 for a kurtosis; thresholds are 5 of them.
    #[test]
    fn moments_and_correlations() {
        const N: usize = 1 << 20;
        let se = 1.0 / (N as f64).sqrt();
        let mean = |v: &mut dyn Iterator<Item = f64>| v.sum::<f64>() / N as f64;
        for kind in NoiseKind::ALL {
            let a = noise(1, "w", kind, N + 1);
            let other_seed = noise(2, "w", kind, N);
            let other_tensor = noise(1, "v", kind, N);
            let f = |x: &f32| f64::from(*x);
            let m1 = mean(&mut a[..N].iter().map(f));
            let m2 = mean(&mut a[..N].iter().map(|x| f(x).powi(2)));
            let m4 = mean(&mut a[..N].iter().map(|x| f(x).powi(4)));
            assert!(m1.abs() < 5.0 * se, "{kind}: mean {m1}");
            match kind {
                NoiseKind::Gaussian => {
                    assert!((m2 - 1.0).abs() < 5.0 * 2f64.sqrt() * se, "variance {m2}");
                    assert!(
                        (m4 - 3.0).abs() < 5.0 * 96f64.sqrt() * se,
                        "fourth moment {m4}"
                    );
                }
                NoiseKind::Rademacher => assert_eq!((m2, m4), (1.0, 1.0)),
            }
            for (what, b) in [
                ("neighbours", &a[1..]),
                ("seeds", &other_seed[..]),
                ("tensors", &other_tensor[..]),
            ] {
                let correlation = mean(&mut a.iter().zip(b).take(N).map(|(x, y)| f(x) * f(y)));
                assert!(
                    correlation.abs() < 5.0 * se,
                    "{kind}, {what}: {correlation}"
                );
            }
        }
    }

    /// Neighbouring seeds differ in one bit of the key; their noise must still be unrelated, also in its
    /// squares (a sign-only decorrelation would pass the test above).
    #[test]
    fn squares_of_neighbouring_seeds_are_uncorrelated() {
        const N: usize = 1 << 18;
        let (a, b) = (
            noise(8, "w", NoiseKind::Gaussian, N),
            noise(9, "w", NoiseKind::Gaussian, N),
        );
        let covariance = a
            .iter()
            .zip(&b)
            .map(|(x, y)| f64::from(x * x - 1.0) * f64::from(y * y - 1.0))
            .sum::<f64>()
            / N as f64;
        // var of (x^2 - 1)(y^2 - 1) is 4; 5 standard errors
        assert!(
            covariance.abs() < 5.0 * 2.0 / (N as f64).sqrt(),
            "{covariance}"
        );
    }
}
