use super::format::Expected;
use crate::TrainConfig;
use crate::train::step_seed;
use serde::{Deserialize, Serialize};
use zograd_perturb::{Arithmetic, NoiseKind, Seed, Selection};
use zograd_select::Method;

/// Version of the file format; a reader refuses other ones.
pub const FORMAT_VERSION: u32 = 1;

/// What a run started from and how it went on: everything that [`replay`](super::replay()) needs besides
/// the start weights and the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT_VERSION`].
    pub format: u32,
    /// The model as the run was given it, for people.
    pub model: String,
    /// Content hash of the start weights as they were loaded ([`zograd_models::content_hash`]).
    pub weights: String,
    /// How the weights are stored in memory: `f32`, `f16` or `bf16`.
    pub dtype: String,
    /// Number of weights that move.
    pub dimension: u64,
    /// Which tensors move.
    pub selection: Selection,
    /// Distribution of the noise.
    pub noise: NoiseKind,
    /// Version of the noise's bits ([`zograd_perturb::noise::VERSION`]).
    pub noise_version: u32,
    /// How the weights are moved.
    pub arithmetic: Arithmetic,
    /// Perturbation scale.
    pub eps: f64,
    /// The strategy.
    pub method: Method,
    /// The settings of the loop, the seed among them.
    pub config: TrainConfig,
}

impl Header {
    /// Seed of the step with this number (from 1).
    pub(super) fn seed(&self, step: u64) -> Seed {
        step_seed(self.config.seed, step.saturating_sub(1))
    }

    pub(super) fn expected(&self, step: u64) -> Expected {
        Expected {
            seed: self.seed(step),
            lr: self.config.lr_at(step.saturating_sub(1)),
            weight_decay: self.config.weight_decay,
        }
    }
}
