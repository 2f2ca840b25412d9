//! How far the weights are from where exact arithmetic would have put them.

use crate::kernel;
use crate::perturbed::{Decay, Pull, terms};
use crate::start_weights::failed;
use crate::{
    AppliedUpdate, Direction, Excerpt, NoiseBackend, PerturbError, Perturbed, StartWeights,
};
use burn::module::Module;

impl<B: NoiseBackend, M: Module<B>> Perturbed<B, M> {
    /// The first 1,024 weights of every parameter that moves, as they stand.
    pub fn excerpt(&self) -> Excerpt {
        Excerpt::of(self.module(), self.space())
    }

    /// The largest distance of a weight of the excerpt from where `update` puts it from `theta`, which is what `before`
    /// saw: what the probes since then and the update have left of rounding. Exactly 0 for
    /// [`Arithmetic::Exact`](crate::Arithmetic::Exact).
    ///
    /// # Errors
    /// [`PerturbError::NonFinite`] for a direction that could not have been applied; [`PerturbError::Start`] if the start weights,
    /// towards which it decays, cannot be read.
    pub fn drift_since(
        &self,
        before: &Excerpt,
        update: &AppliedUpdate,
    ) -> Result<f64, PerturbError> {
        let step = &update.direction * -update.lr;
        let decay = Decay::of(update)?;
        let terms = match self.grids() {
            Some(_) => terms::exact(&Direction::zero(), &step)?,
            None => terms::plain(&step)?,
        };
        let now = self.excerpt().0;
        let mut start = self.start().map(StartWeights::reader).transpose()?;
        let mut worst = 0f64;
        for (index, spec) in self.space().parameters().iter().enumerate() {
            let grid = self.grids().map(|grids| grids.at(index));
            let streams = self
                .noise()
                .streams(spec, update.step, &terms, grid.is_some());
            let mut expected = before.0[index].clone();
            let decay = match &mut start {
                None => decay,
                Some(start) => {
                    let mut first = vec![0.0; expected.len()];
                    start.fill(&mut first).map_err(failed)?;
                    start.skip(spec.len() - first.len()).map_err(failed)?;
                    if spec.decays {
                        Pull::of(decay, spec.dtype, grid).over(&mut expected, &first);
                    }
                    Decay::NONE
                }
            };
            let pass = decay.pass_over(spec, &streams, grid);
            if pass.grid.is_some() {
                let mut narrow: Vec<f32> = expected.iter().map(|w| *w as f32).collect();
                kernel::add_noise(&mut narrow, &pass);
                expected = narrow.into_iter().map(f64::from).collect();
            } else {
                kernel::add_noise(&mut expected, &pass);
            }
            let pairs = now[index].iter().zip(&expected);
            worst = pairs.map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
        }
        Ok(worst)
    }
}
