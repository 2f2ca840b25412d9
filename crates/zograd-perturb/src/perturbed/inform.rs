//! A step in which a seed stands for a direction that somebody knows.

use super::Perturbed;
use super::mapper::Taken;
use crate::informed::Informed;
use crate::{Arithmetic, NoiseBackend, PerturbError, Seed};
use burn::module::Module;
use zograd_direction::Direction;

impl<B: NoiseBackend, M: Module<B>> Perturbed<B, M> {
    /// Begins the step after `step` others, in which `seed` stands for the parameters of `direction` instead of noise, in
    /// probes and in the update alike: a direction that somebody knows better. Until the next step begins its numbers are
    /// kept on the host, 4 bytes for each weight that moves.
    ///
    /// # Errors
    /// As [`Self::move_to`]; [`PerturbError::NonFinite`] for numbers that are not; [`PerturbError::NotOnGrids`] unless the
    /// arithmetic is plain, since these numbers may have any size; [`PerturbError::ForeignSpace`] if a parameter that moves has
    /// another number of them in `direction`.
    pub fn inform(&mut self, step: u64, seed: Seed, direction: M) -> Result<(), PerturbError> {
        if self.arithmetic() != Arithmetic::Plain {
            let why = "a direction that is no noise has numbers of any size";
            return Err(PerturbError::NotOnGrids(why.into()));
        }
        self.begin(step)?;
        self.move_to(&Direction::zero())?;
        let taken = Taken::default();
        // each tensor goes as its numbers come, so that there are not two of all
        direction.map(&mut self.mapper(&taken));
        let values = taken.into_values();
        for spec in self.space.parameters() {
            if values.get(&spec.id).map(Vec::len) != Some(spec.len()) {
                return Err(PerturbError::ForeignSpace(spec.name.clone()));
            }
        }
        let informed = Informed::new(step, seed, values);
        if let Some(spec) = informed.non_finite(&self.space) {
            let of = &spec.name;
            return Err(PerturbError::NonFinite(format!("of {of} for seed {seed}")));
        }
        self.noise.inform(Some(informed));
        self.look_at_noise();
        Ok(())
    }
}
