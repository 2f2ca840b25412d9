use super::{Loss, Prober, weights};
use crate::TrainError;
use burn::module::Module;
use std::ops::Range;
use zograd_perturb::{AppliedUpdate, Direction, NoiseBackend, Perturbed};
use zograd_select::SkipReason;

/// Hop, then look: the weights walk in place from probe to probe, and a function of the module gives the loss there.
///
/// It makes a prober of any burn module and any function: one that returns an `f64`, or a [`Loss`].
///
/// Passes over the weights: one for each loss, and one for restore and update together.
pub struct Walking<'m, B: NoiseBackend, M: Module<B>, F> {
    model: &'m mut Perturbed<B, M>,
    loss: F,
}

impl<'m, B: NoiseBackend, M: Module<B>, F> Walking<'m, B, M, F> {
    /// Walks `model`, and asks `loss` wherever it stands.
    pub fn new<L: Into<Loss>>(model: &'m mut Perturbed<B, M>, loss: F) -> Self
    where
        F: FnMut(&M) -> Result<L, TrainError>,
    {
        Self { model, loss }
    }
}

impl<B, M, F, L> Prober for Walking<'_, B, M, F>
where
    B: NoiseBackend,
    M: Module<B>,
    F: FnMut(&M) -> Result<L, TrainError>,
    L: Into<Loss>,
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
        let mut losses = Vec::with_capacity(mine.len());
        for (index, direction) in directions.iter().enumerate() {
            // also to those of others: each hop may round, and all weights are to round alike
            self.model.move_to(direction)?;
            if mine.contains(&index) {
                losses.push((self.loss)(self.model.module())?.into());
            }
        }
        Ok(losses)
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        weights::update(self.model, update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        weights::rest(self.model)
    }
}
