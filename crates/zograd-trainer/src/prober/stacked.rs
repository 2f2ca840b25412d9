use super::{Loss, Prober, weights};
use crate::TrainError;
use burn::module::Module;
use std::ops::Range;
use std::slice;
use zograd_perturb::{AppliedUpdate, Direction, NoiseBackend, Perturbed};
use zograd_select::SkipReason;

/// Several probes side by side: copies of what moves, such as a small adapter, that are looked at together.
///
/// The copies are of the parameters that move and of no more, since burn's tensors are copied on write. The passes
/// over the weights are those of [`Walking`](super::Walking).
pub struct Stacked<'m, B: NoiseBackend, M: Module<B>, F> {
    model: &'m mut Perturbed<B, M>,
    at_once: usize,
    losses: F,
}

impl<'m, B: NoiseBackend, M: Module<B>, F> Stacked<'m, B, M, F>
where
    F: FnMut(&[M]) -> Result<Vec<Loss>, TrainError>,
{
    /// Gives `losses` up to `at_once` modules at a time, which differ in what moves of `model` alone; it answers in
    /// their order.
    pub fn new(model: &'m mut Perturbed<B, M>, at_once: usize, losses: F) -> Self {
        Self {
            model,
            at_once: at_once.max(1),
            losses,
        }
    }

    /// Moves as others do who look there: each hop may round, and all weights are to round alike.
    fn walk(&mut self, directions: &[Direction]) -> Result<(), TrainError> {
        for direction in directions {
            self.model.move_to(direction)?;
        }
        Ok(())
    }
}

impl<B, M, F> Prober for Stacked<'_, B, M, F>
where
    B: NoiseBackend,
    M: Module<B>,
    F: FnMut(&[M]) -> Result<Vec<Loss>, TrainError>,
{
    fn losses(&mut self, directions: &[Direction]) -> Result<Vec<Loss>, TrainError> {
        self.some_losses(directions, 0..directions.len())
    }

    fn some_losses(
        &mut self,
        directions: &[Direction],
        mine: Range<usize>,
    ) -> Result<Vec<Loss>, TrainError> {
        let mut found = Vec::with_capacity(mine.len());
        self.walk(&directions[..mine.start])?;
        for directions in directions[mine.clone()].chunks(self.at_once) {
            if let [direction] = directions {
                // alone it needs no copy
                self.model.move_to(direction)?;
                found.extend((self.losses)(slice::from_ref(self.model.module()))?);
                continue;
            }
            let mut modules = Vec::with_capacity(directions.len());
            for direction in directions {
                self.model.move_to(direction)?;
                modules.push(self.model.module().clone());
            }
            found.extend((self.losses)(&modules)?);
        }
        self.walk(&directions[mine.end..])?;
        Ok(found)
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        weights::update(self.model, update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        weights::rest(self.model)
    }
}
