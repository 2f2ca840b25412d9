use super::add_part;
use super::stream::Stream;
use crate::values::Values;
use crate::vector::Instructions;
use crate::{NoiseKind, NoisePass, Seed, TensorId};

/// The dense noise of a seed on a tensor, for those who make something of it: as [`noise::fill`](crate::noise::fill) has it,
/// at the speed of a pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DenseNoise {
    seed: Seed,
    tensor: TensorId,
    kind: NoiseKind,
}

impl DenseNoise {
    pub(crate) fn new(seed: Seed, tensor: TensorId, kind: NoiseKind) -> Self {
        Self { seed, tensor, kind }
    }
}

impl Values for DenseNoise {
    fn fill(&self, start: usize, out: &mut [f32]) {
        let terms = [(self.seed, 1.0)];
        let pass = NoisePass::new(self.tensor, self.kind, &terms);
        let instructions = Instructions::in_use();
        let elements = self.kind.elements_of_group();
        let mut streams = Stream::all_of(&pass);
        let (mut at, mut rest) = (start, out);
        while !rest.is_empty() {
            let (group, first) = (at / elements, at % elements);
            let (part, later) = rest.split_at_mut(rest.len().min(elements - first));
            Stream::read_all(&mut streams, group as u64, instructions);
            // 0 and the noise
            part.fill(0.0);
            add_part(part, first, &streams, &pass, instructions);
            at += part.len();
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise;

    /// Pieces that begin and end anywhere.
    #[test]
    fn is_the_noise_of_the_definition() {
        let (seed, tensor) = (Seed::new(5), TensorId::of("w"));
        for kind in NoiseKind::ALL {
            let mut all = vec![0.0; 20_000];
            noise::fill(seed, tensor, kind, 0, &mut all);
            for (start, end) in [
                (0, 20_000),
                (1, 2),
                (63, 65),
                (1000, 9000),
                (8191, 8300),
                (7, 7),
            ] {
                let mut piece = vec![9.0; end - start];
                DenseNoise::new(seed, tensor, kind).fill(start, &mut piece);
                assert_eq!(piece, all[start..end], "{kind} {start} to {end}");
            }
        }
    }
}
