use super::{Loss, ModelProbe, Prober, weights};
use crate::{LanguageModel, Objective, TrainError};
use burn::module::Module;
use std::ops::Range;
use zograd_perturb::{AppliedUpdate, Direction, NoiseBackend, ParameterSpace, Perturbed};
use zograd_select::SkipReason;

/// The weights stand still: a function of the module and of probes gives the losses, and makes the parts of the module
/// as they are there, one at a time ([`LanguageModel::log_probs_at_each`]).
///
/// A direction and its opposite, asked for one after the other, are one probe: their noise is made once. Nothing of a
/// probe is left behind in the weights, not even a rounding.
///
/// Passes over the weights: one for each probe, and one for the update; for the update alone where probes add matrices of
/// low rank ([`zograd_perturb::Probe::factors`]), whose losses are those of moved weights up to rounding.
pub struct Standing<'m, B: NoiseBackend, M: Module<B>, F> {
    model: &'m mut Perturbed<B, M>,
    losses: F,
}

impl<'m, B, M, F> Standing<'m, B, M, F>
where
    B: NoiseBackend,
    M: Module<B>,
    F: FnMut(&M, &[ModelProbe<'_>]) -> Result<Vec<Loss>, TrainError>,
{
    /// Gives `losses` the module and the probes; it answers for each of their points, in their order.
    pub fn new(model: &'m mut Perturbed<B, M>, losses: F) -> Self {
        Self { model, losses }
    }
}

impl<B, M, F> Prober for Standing<'_, B, M, F>
where
    B: NoiseBackend,
    M: Module<B>,
    F: FnMut(&M, &[ModelProbe<'_>]) -> Result<Vec<Loss>, TrainError>,
{
    fn begin(&mut self, step: u64) -> Result<(), TrainError> {
        weights::begin(self.model, step)
    }

    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
        self.some_losses(directions, 0..directions.len())
    }

    fn some_losses(
        &mut self,
        directions: &[Direction],
        mine: Range<usize>,
    ) -> Result<Vec<Loss>, TrainError> {
        let losses = &mut self.losses;
        self.model
            .at_some_probes(directions, mine, |module, probes| {
                let probes: Vec<ModelProbe<'_>> = probes.iter().map(ModelProbe::of).collect();
                losses(module, &probes)
            })?
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        weights::update(self.model, update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        weights::rest(self.model)
    }
}

/// Whether training can leave the weights of `model` where they are while it finds the losses of `objective`, by
/// [`Standing`]. Else they are moved to every probe, and round there unless steps are exact.
///
/// Not for answers in the model's own words; and few parameters beside a base that does not move are better moved in
/// copies, which share the base in one batch.
pub fn stands_still<M: LanguageModel>(
    model: &M,
    space: &ParameterSpace,
    objective: &dyn Objective,
) -> bool {
    model.takes_probes() && !objective.needs_answers() && model.at_once(&space.sizes()) == 1
}
