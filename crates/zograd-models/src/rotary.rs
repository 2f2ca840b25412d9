//! Rotary positions (arXiv 2104.09864): the angles by which pairs of numbers are turned.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor, TensorData};

/// How far a pair is turned from one position to the next, as Hugging Face's `rope_parameters` say.
#[derive(Debug, Clone, PartialEq)]
pub struct Frequencies {
    /// Radians a position, one number for each pair of a head.
    pub per_pair: Vec<f64>,
    /// What cosines and sines are multiplied by.
    pub attention_factor: f64,
}

/// The parameters of `rope_type = "llama3"`: pairs that turn slowly are slowed down, for longer contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3 {
    /// How much slower the slow ones become.
    pub factor: f64,
    /// Pairs that turn fewer times than this in the original context are slow.
    pub low_freq_factor: f64,
    /// Pairs that turn more often than this in the original context stay as they are.
    pub high_freq_factor: f64,
    /// Positions of the original context.
    pub original_max_position_embeddings: usize,
}

impl Frequencies {
    /// `theta^(-2 i / width)` for pair `i` of heads of `width` numbers.
    pub fn default(theta: f64, width: usize) -> Self {
        let pair = |pair: usize| libm::pow(theta, -((2 * pair) as f64) / width as f64);
        Self {
            per_pair: (0..width / 2).map(pair).collect(),
            attention_factor: 1.0,
        }
    }

    /// All of them slower by `factor`.
    pub fn linear(mut self, factor: f64) -> Self {
        self.per_pair.iter_mut().for_each(|each| *each /= factor);
        self
    }

    /// The slow ones slower, and those in between by a part of that.
    pub fn llama3(mut self, of: Llama3) -> Self {
        let context = of.original_max_position_embeddings as f64;
        for each in &mut self.per_pair {
            let turns = context * *each / std::f64::consts::TAU;
            let kept = (turns - of.low_freq_factor) / (of.high_freq_factor - of.low_freq_factor);
            let kept = kept.clamp(0.0, 1.0);
            *each = (1.0 - kept) * *each / of.factor + kept * *each;
        }
        self
    }
}

/// Cosines and sines of the angles at the positions of packed tokens.
#[derive(Debug, Clone)]
pub struct Rotation<B: Backend> {
    /// `[tokens, width / 2]`, f32.
    pub cos: Tensor<B, 2>,
    /// `[tokens, width / 2]`, f32.
    pub sin: Tensor<B, 2>,
}

impl<B: Backend> Rotation<B> {
    /// At these positions, one a token.
    pub fn new(positions: &[u32], frequencies: &Frequencies, device: &B::Device) -> Self {
        let pairs = frequencies.per_pair.len();
        // sequences of a batch have most of their positions in common
        let mut distinct = positions.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut cos = Vec::with_capacity(distinct.len() * pairs);
        let mut sin = Vec::with_capacity(distinct.len() * pairs);
        for position in &distinct {
            for frequency in &frequencies.per_pair {
                // not the system's functions, which differ from one system to another
                let (sine, cosine) = libm::sincos(f64::from(*position) * frequency);
                cos.push((cosine * frequencies.attention_factor) as f32);
                sin.push((sine * frequencies.attention_factor) as f32);
            }
        }
        let at = |table: &[f32]| {
            let rows = positions.iter().flat_map(|position| {
                let row = distinct.partition_point(|other| other < position);
                &table[row * pairs..][..pairs]
            });
            let rows: Vec<f32> = rows.copied().collect();
            let rows = TensorData::new(rows, [positions.len(), pairs]);
            Tensor::from_data(rows, (device, DType::F32))
        };
        Self {
            cos: at(&cos),
            sin: at(&sin),
        }
    }
}
