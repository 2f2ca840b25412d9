use crate::NoisePass;
use crate::noise::{self, Group, Keystream, NoiseKind, UNIT};
use crate::vector::Instructions;
use zograd_direction::Seed;

/// [`Vector::byte_times_2_24`](crate::vector::Vector::byte_times_2_24) of the sum of two entries, times this, is the normal.
const SCALE: f32 = UNIT / (1 << 24) as f32;

/// The noise of one seed, and what it is multiplied by: its bits are read a group at a time.
pub(super) struct Stream {
    keystream: Keystream,
    /// The group that was read last.
    pub(super) group: Group,
    /// For Gaussian noise times [`SCALE`].
    pub(super) first: f32,
    /// Of a second term with the same seed, which is added after the first.
    pub(super) second: Option<f32>,
}

impl Stream {
    /// The streams of a pass. Two neighbours of the same seed share their noise.
    pub(super) fn all_of(pass: &NoisePass<'_>) -> Vec<Self> {
        let scale = match pass.kind {
            // exact: a power of two, and a coefficient is 0 or far from the subnormal numbers
            NoiseKind::Gaussian => SCALE,
            NoiseKind::Rademacher => 1.0,
        };
        let coefficient = |(_, c): &(Seed, f32)| scale * NoisePass::coefficient(*c);
        let same_seed = pass.terms.chunk_by(|a, b| a.0 == b.0);
        let pairs = same_seed.flat_map(|terms| terms.chunks(2));
        pairs
            .map(|pair| Self {
                keystream: noise::stream(pair[0].0, pass.tensor, pass.kind),
                group: Group::EMPTY,
                first: coefficient(&pair[0]),
                second: pair.get(1).map(coefficient),
            })
            .collect()
    }

    /// Reads the group of this number into all of them.
    pub(super) fn read_all(streams: &mut [Self], number: u64, instructions: Instructions) {
        for stream in streams {
            stream
                .keystream
                .read(number, instructions, &mut stream.group);
        }
    }
}
