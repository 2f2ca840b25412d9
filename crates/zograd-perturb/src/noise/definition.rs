use super::group::{BLOCK_WORDS, BLOCKS};
use super::normals::normal;
use super::{NoiseKind, key};
use crate::TensorId;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use zograd_direction::Seed;

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
    let mut rng = ChaCha8Rng::from_seed(key(seed, tensor));
    rng.set_stream(kind.keystream());
    let elements = kind.elements_of_group();
    let mut bytes = [0; 4 * BLOCK_WORDS * BLOCKS];
    let mut known = None;
    for (i, value) in (start..).zip(out) {
        let (group, element) = (i / elements as u64, (i % elements as u64) as usize);
        if known != Some(group) {
            rng.set_word_pos(u128::from(group) * (BLOCK_WORDS * BLOCKS) as u128);
            rng.fill_bytes(&mut bytes);
            known = Some(group);
        }
        let (block, field) = (element % BLOCKS, element / BLOCKS);
        let block = &bytes[4 * BLOCK_WORDS * block..];
        *value = match kind {
            NoiseKind::Gaussian => normal(block[field]),
            NoiseKind::Rademacher if block[field / 8] >> (field % 8) & 1 == 0 => 1.0,
            NoiseKind::Rademacher => -1.0,
        };
    }
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

    /// In units of 1/32, from elements 0 and 2040 on.
    const GAUSSIAN: [[f32; 8]; 2] = [
        [31.0, 24.0, 18.0, 16.0, -9.0, 70.0, -19.0, -65.0],
        [-11.0, 5.0, -14.0, 46.0, 10.0, -56.0, 18.0, -36.0],
    ];
    /// From elements 0 and 8170 on.
    const SIGNS: [&str; 2] = [
        "++----+-+++-+++-----++++-+++-+++---+--++",
        "++++--++---++++---+++---+-++++-++-----+-",
    ];

    /// These bits are part of every trajectory: a change here is a new noise version. They were computed
    /// by tests/noise_reference.py, which shares no code with this.
    #[test]
    fn value_stability() {
        let name = "decoder.layers.0.fc1.weight";
        let z = noise(42, name, NoiseKind::Gaussian, 3000);
        let in_units = |from: usize| z[from..][..8].iter().map(|z| z * 32.0).collect::<Vec<_>>();
        assert_eq!(in_units(0), GAUSSIAN[0]);
        assert_eq!(in_units(2040), GAUSSIAN[1]);
        let z = noise(42, name, NoiseKind::Rademacher, 9000);
        let signs = |from: usize| -> String {
            let signs = z[from..][..40].iter();
            signs.map(|z| if *z > 0.0 { '+' } else { '-' }).collect()
        };
        assert_eq!(signs(0), SIGNS[0]);
        assert_eq!(signs(8170), SIGNS[1]);
    }

    proptest! {
        #[test]
        fn any_window_is_the_same_noise(start in 0usize..10_000, len in 0usize..1500, seed: u64) {
            for kind in NoiseKind::ALL {
                let whole = noise(seed, "w", kind, start + len);
                let mut window = vec![0.0; len];
                fill(Seed::new(seed), TensorId::of("w"), kind, start as u64, &mut window);
                prop_assert_eq!(&whole[start..], &window[..]);
            }
        }
    }
}
