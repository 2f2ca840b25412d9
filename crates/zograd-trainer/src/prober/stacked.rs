use super::{Loss, Prober, weights, within};
use crate::TrainError;
use burn::module::Module;
use std::ops::Range;
use std::slice;
use zograd_perturb::{AppliedUpdate, Direction, NoiseBackend, Perturbed};
use zograd_select::SkipReason;

/// Which modules of a stack are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InStack {
    /// The place of the first of them.
    pub first: usize,
    /// How many the stack has.
    pub of: usize,
}

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
    F: FnMut(&[M], InStack) -> Result<Vec<Loss>, TrainError>,
{
    /// Gives `losses` up to `at_once` modules at a time, which differ in what moves of `model` alone; it answers in
    /// their order. It is told which of a stack they are, where others look at the rest.
    pub fn new(model: &'m mut Perturbed<B, M>, at_once: usize, losses: F) -> Self {
        Self {
            model,
            at_once: at_once.max(1),
            losses,
        }
    }
}

impl<B, M, F> Prober for Stacked<'_, B, M, F>
where
    B: NoiseBackend,
    M: Module<B>,
    F: FnMut(&[M], InStack) -> Result<Vec<Loss>, TrainError>,
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
        let mut found = Vec::with_capacity(mine.len());
        for (chunk, directions) in directions.chunks(self.at_once).enumerate() {
            let mine = within(&mine, chunk * self.at_once, directions.len());
            let stack = InStack {
                first: mine.start,
                of: directions.len(),
            };
            let mut modules = Vec::new();
            for (index, direction) in directions.iter().enumerate() {
                // also to those of others: each hop may round, and all weights are to round alike
                self.model.move_to(direction)?;
                match mine.contains(&index) {
                    // alone it needs no copy
                    true if mine.len() == 1 => {
                        let module = slice::from_ref(self.model.module());
                        found.extend((self.losses)(module, stack)?);
                    }
                    true => modules.push(self.model.module().clone()),
                    false => {}
                }
            }
            if !modules.is_empty() {
                found.extend((self.losses)(&modules, stack)?);
            }
        }
        Ok(found)
    }

    fn update(&mut self, update: &AppliedUpdate) -> Result<Option<SkipReason>, TrainError> {
        weights::update(self.model, update)
    }

    fn rest(&mut self) -> Result<(), TrainError> {
        weights::rest(self.model)
    }
}
