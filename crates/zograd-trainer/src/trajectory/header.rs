use super::AdapterStart;
use super::format::Expected;
use crate::train::step_seed;
use crate::{HeadFit, MeasuredRate, TrainConfig};
use burn::module::Module;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use zograd_models::Storage;
use zograd_perturb::family::{FamilySpec, PerturbationSpec};
use zograd_perturb::{Arithmetic, NoiseKind, ParameterSpace, PerturbError, Seed, Selection};
use zograd_select::MethodSpec;

/// Child of the run's seed that perturbations draw from what does not belong to a step.
const PERTURBATION: u64 = 3;

/// Newest version of the file format; a reader refuses newer ones.
///
/// | version | what it added |
/// |---|---|
/// | 1 | runs that tune all weights |
/// | 2 | [`Header::adapter`] |
/// | 3 | weight decay that adds up on grids |
/// | 4 | [`Header::stands_still`] |
/// | 5 | [`Header::perturbation`] |
/// | 6 | [`Header::head_fit`] |
/// | 7 | [`Header::measured_rate`], [`TrainConfig::limit`] |
/// | 8 | [`TrainConfig::decay_toward`] |
/// | 9 | [`Header::informed`] |
///
/// A log has the oldest version that can say what it says, so that programs which do not know adapters read
/// logs without them, and refuse the others by their number. Before version 3 weight decay was rounded to the grid at
/// every step, mostly to nothing; logs of such runs are refused.
pub const FORMAT_VERSION: u32 = 9;

/// What a run started from and how it went on: everything that [`replay`](super::replay()) needs besides
/// the start weights and the records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// At most [`FORMAT_VERSION`]; [`Header::format_of`] says which.
    pub format: u32,
    /// The model as the run was given it, for people.
    pub model: String,
    /// Content hash of the start weights as they were loaded ([`zograd_models::content_hash`]), without an
    /// adapter.
    pub weights: String,
    /// How the weights are stored in memory.
    pub dtype: Storage,
    /// Number of weights that move.
    pub dimension: u64,
    /// Which tensors move.
    pub selection: Selection,
    /// What the norm before the head was given before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_fit: Option<HeadFit>,
    /// What the learning rate was made of before the first step, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_rate: Option<MeasuredRate>,
    /// What was put beside the weights before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterStart>,
    /// Distribution of the noise.
    pub noise: NoiseKind,
    /// What a seed means, if it is not dense noise. What is drawn once is drawn from the run's seed.
    #[serde(default, skip_serializing_if = "PerturbationSpec::is_dense")]
    pub perturbation: PerturbationSpec,
    /// Version of the noise's bits ([`zograd_perturb::noise::VERSION`]).
    pub noise_version: u32,
    /// How the weights are moved.
    pub arithmetic: Arithmetic,
    /// Whether the weights stood still while the losses were found. Else they hopped from probe to probe, and a replay
    /// makes the same hops, since each rounds. With exact steps it cannot be told from the weights, and is not said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stands_still: bool,
    /// Perturbation scale.
    pub eps: f64,
    /// The scale of the tail's gradient, if that was the first candidate of every step. Then the seeds of the log are not all
    /// noise, and without the examples there is nothing to replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub informed: Option<f64>,
    /// The strategy, with all its settings ([`zograd_select::Methods::complete`]).
    pub method: MethodSpec,
    /// The settings of the loop, the seed among them.
    pub config: TrainConfig,
}

impl Header {
    /// Version of the log of a run with or without an adapter, whose weights are perturbed and moved so and stand still
    /// between updates or not, with these settings.
    pub fn format_of(
        adapter: Option<&AdapterStart>,
        perturbation: &PerturbationSpec,
        arithmetic: Arithmetic,
        stands_still: bool,
        config: &TrainConfig,
    ) -> u32 {
        match adapter {
            _ if config.decays_to_start() => 8,
            _ if config.limit.is_some() => 7,
            _ if !perturbation.is_dense() => 5,
            _ if stands_still => 4,
            _ if decays_on_grids(arithmetic, config) => 3,
            None => 1,
            Some(_) => 2,
        }
    }

    /// The same of a run that began with this fit, if with one.
    #[must_use]
    pub fn with_head_fit(mut self, fit: Option<HeadFit>) -> Self {
        if fit.is_some() {
            (self.head_fit, self.format) = (fit, self.format.max(6));
        }
        self
    }

    /// The same of a run whose learning rate was measured, if it was.
    #[must_use]
    pub fn with_measured_rate(mut self, rate: Option<MeasuredRate>) -> Self {
        if rate.is_some() {
            (self.measured_rate, self.format) = (rate, self.format.max(7));
        }
        self
    }

    /// The same of a run in which a candidate was informed on this scale, if one was.
    #[must_use]
    pub fn with_informed(mut self, scale: Option<f64>) -> Self {
        if scale.is_some() {
            (self.informed, self.format) = (scale, self.format.max(9));
        }
        self
    }

    /// Forward passes, and tokens that went through the layers, before the first step.
    pub fn paid_before(&self) -> (u64, u64) {
        let fit = self.head_fit.as_ref().map(|fit| (fit.forwards, fit.tokens));
        let rate = self
            .measured_rate
            .as_ref()
            .map(|rate| (rate.forwards, rate.tokens));
        let paid = [fit, rate].into_iter().flatten();
        paid.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Makes the mask of a run that starts from `model`, if it has one, and notes its hash.
    ///
    /// # Errors
    /// A selection that names nothing, or perturbations that are not to be had.
    pub fn note_mask<B: Backend, M: Module<B>>(&mut self, model: &M) -> Result<(), PerturbError> {
        let seed = self.perturbation_seed();
        if let FamilySpec::Sparse { hash: None, .. } = self.perturbation.family {
            let space = ParameterSpace::select(model, &self.selection)?;
            self.perturbation
                .perturbation(self.noise, model, &space, seed)?;
        }
        Ok(())
    }

    /// Whether the run's weight decay was rounded away, as before version 3.
    pub(super) fn has_lost_decay(&self) -> bool {
        self.format < 3 && decays_on_grids(self.arithmetic, &self.config)
    }

    /// Seed of what the perturbations have drawn once, or once for some steps: subspaces, masks, the order of blocks.
    pub(super) fn perturbation_seed(&self) -> Seed {
        Seed::new(self.config.seed).child(PERTURBATION)
    }

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

/// Whether weight decay is rounded to grids: those of the weights, or of their f32 originals.
fn decays_on_grids(arithmetic: Arithmetic, config: &TrainConfig) -> bool {
    arithmetic != Arithmetic::Plain && config.weight_decay != 0.0
}
