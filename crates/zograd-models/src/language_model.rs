//! What training asks of a model.

use burn::tensor::backend::Backend;

use crate::adapter::is_adapter;
use crate::adapter::stack::{log_probs_of_each, scored_together};
use crate::decoder::Decoder;
use crate::error::ModelError;
use crate::forward::log_probs_tensor;
use crate::generate::{Continuation, Generation, generate_by_each, generate_with};
use crate::plan::Plan;
use crate::probe::Probe;
use crate::probed::{log_probs_at_each, log_probs_at_own};
use crate::still::Still;

/// Adapters that are scored together at most: more than the usual pools have.
const ADAPTERS_AT_ONCE: usize = 8;

/// Numbers in all of them that no machine misses (8 MiB in f32), however small the model is.
const SMALL_ADAPTERS: usize = 1 << 21;

/// A language model that can score tokens and write some: all that training asks of it.
///
/// Implement it for a burn module of your own: [`Plan`] says what has to be run and read. The example `own_model` of
/// this crate does so in a few lines.
pub trait LanguageModel {
    /// What its tensors are computed by.
    type Backend: Backend;

    /// The log-probability of every scored token of `plan`, natural logarithm, in the plan's order. A plan that is not
    /// normalised ([`Plan::is_normalised`]) wants no more than these up to a number for each position.
    ///
    /// # Errors
    /// If the plan holds ids or positions the model does not have.
    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError>;

    /// How many models, differing only in the parameters `moving` (their names and sizes), are worth scoring in one
    /// batch, by [`LanguageModel::log_probs_of_each`]. That many copies of these parameters are then made; so it is 1
    /// unless they are few, and the rest of the model can serve all.
    fn at_once(&self, moving: &[(&str, usize)]) -> usize {
        let _ = moving;
        1
    }

    /// [`LanguageModel::log_probs`] by each of several models that differ as [`LanguageModel::at_once`] says.
    ///
    /// # Errors
    /// As [`LanguageModel::log_probs`].
    fn log_probs_of_each(models: &[Self], plan: &Plan) -> Result<Vec<Vec<f32>>, ModelError>
    where
        Self: Sized,
    {
        models.iter().map(|model| model.log_probs(plan)).collect()
    }

    /// [`LanguageModel::generate`] by each of several models that differ as [`LanguageModel::at_once`] says.
    ///
    /// # Errors
    /// As [`LanguageModel::generate`].
    fn generate_by_each(
        models: &[Self],
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Vec<Continuation>>, ModelError>
    where
        Self: Sized,
    {
        let each = models.iter();
        each.map(|model| model.generate(prompts, generation))
            .collect()
    }

    /// How many of these [`LanguageModel::log_probs_of_each`] scores in one batch at most: the first so many, the next, and
    /// so on. Scores from a batch of several are normalised, whatever the plan wants.
    fn scored_together(plan: &Plan) -> usize
    where
        Self: Sized,
    {
        let _ = plan;
        1
    }

    /// Whether it can be looked at elsewhere than where its weights are, by [`LanguageModel::log_probs_at_each`]. If not, its
    /// weights are moved there and back.
    fn takes_probes(&self) -> bool {
        false
    }

    /// [`LanguageModel::log_probs`] at every point of the probes, in their order, while the weights stand still. A model
    /// that does so asks for its parts moved, one at a time. What comes before them it may keep in `still`, and take from
    /// it: the memory of calls with this plan and these weights, from [`Still::new`] to the last of them.
    ///
    /// # Errors
    /// As [`LanguageModel::log_probs`]; [`ModelError::NoProbes`] if it does not take probes.
    fn log_probs_at_each<P: Probe<Self::Backend>>(
        &self,
        plan: &Plan,
        probes: &[P],
        still: &mut Still<Self::Backend>,
    ) -> Result<Vec<Vec<f32>>, ModelError>
    where
        Self: Sized,
    {
        let _ = (plan, probes, still);
        Err(ModelError::NoProbes)
    }

    /// [`LanguageModel::log_probs_at_each`] of several plans, each with probes of its own: those of the first at all points of
    /// its probes, those of the second, and so on. A model may run all of them in one batch.
    ///
    /// # Errors
    /// As [`LanguageModel::log_probs_at_each`].
    fn log_probs_at_own<P: Probe<Self::Backend>>(
        &self,
        parts: &[(&Plan, &[P])],
    ) -> Result<Vec<Vec<f32>>, ModelError>
    where
        Self: Sized,
    {
        let mut found = Vec::new();
        for (plan, probes) in parts {
            found.extend(self.log_probs_at_each(plan, probes, &mut Still::new())?);
        }
        Ok(found)
    }

    /// Whether weight decay acts on the parameter with this path in the module. Models spare their biases and norms.
    fn decays(&self, parameter: &str) -> bool {
        let _ = parameter;
        true
    }

    /// What the model writes after each prompt.
    ///
    /// # Errors
    /// If a setting is out of its range, or the model does not have the ids or positions.
    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError>;
}

/// A decoder of any family, one of your own too.
impl<D: Decoder> LanguageModel for D {
    type Backend = <D as Decoder>::Backend;

    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        let scores = log_probs_tensor(self, plan)?.into_data();
        Ok(scores.iter::<f32>().collect())
    }

    fn at_once(&self, moving: &[(&str, usize)]) -> usize {
        if !moving.iter().all(|(name, _)| is_adapter(name)) {
            return 1;
        }
        let each: usize = moving.iter().map(|(_, size)| size).sum();
        // held once by the models and once by their stack
        let room = (self.num_params() / 16).max(SMALL_ADAPTERS);
        (room / each.max(1)).clamp(1, ADAPTERS_AT_ONCE)
    }

    fn log_probs_of_each(models: &[Self], plan: &Plan) -> Result<Vec<Vec<f32>>, ModelError> {
        let models: Vec<&Self> = models.iter().collect();
        log_probs_of_each(&models, plan)
    }

    fn generate_by_each(
        models: &[Self],
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Vec<Continuation>>, ModelError> {
        let models: Vec<&Self> = models.iter().collect();
        generate_by_each(&models, prompts, generation)
    }

    fn scored_together(plan: &Plan) -> usize {
        scored_together(plan)
    }

    fn takes_probes(&self) -> bool {
        true
    }

    fn log_probs_at_each<P: Probe<<D as Decoder>::Backend>>(
        &self,
        plan: &Plan,
        probes: &[P],
        still: &mut Still<<D as Decoder>::Backend>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        log_probs_at_each(self, plan, probes, still)
    }

    fn log_probs_at_own<P: Probe<<D as Decoder>::Backend>>(
        &self,
        parts: &[(&Plan, &[P])],
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        log_probs_at_own(self, parts)
    }

    fn decays(&self, parameter: &str) -> bool {
        Decoder::decays(self, parameter)
    }

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        generate_with(self, prompts, generation, |_, _| ())
    }
}
