//! What training asks of a model.

use burn::module::Module;

use crate::adapter::is_adapter;
use crate::backend::ModelBackend;
use crate::error::ModelError;
use crate::generate::{Continuation, Generation};
use crate::opt::Opt;
use crate::plan::Plan;

/// Adapters that are scored together at most: more than the usual pools have.
const ADAPTERS_AT_ONCE: usize = 8;

/// Numbers in all of them that no machine misses (8 MiB in f32), however small the model is.
const SMALL_ADAPTERS: usize = 1 << 21;

/// Scores the tokens of a plan by models that differ in some parameters alone; what belongs to the others was computed
/// before ([`LanguageModel::scorer`]).
pub type Scorer<'p, M> = Box<dyn Fn(&M) -> Result<Vec<f32>, ModelError> + 'p>;

/// A language model that can score tokens and write some: all that training asks of it.
///
/// Implement it for a burn module of your own: [`Plan`] says what has to be run and read. The example `own_model` of
/// this crate does so in a few lines.
pub trait LanguageModel {
    /// The log-probability of every scored token of `plan`, natural logarithm, in the plan's order.
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

    /// [`LanguageModel::log_probs`] of `plan` by models that differ from this one in the parameters `moving` alone (their
    /// names and sizes), to the same bits, if that is worth while: what comes before these parameters is run once, here,
    /// and not for every model. `None` unless all that costs comes before them.
    ///
    /// # Errors
    /// As [`LanguageModel::log_probs`].
    fn scorer<'p>(
        &self,
        plan: &'p Plan,
        moving: &[(&str, usize)],
    ) -> Result<Option<Scorer<'p, Self>>, ModelError>
    where
        Self: Sized,
    {
        let _ = (plan, moving);
        Ok(None)
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

impl<B: ModelBackend> LanguageModel for Opt<B> {
    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        Opt::log_probs(self, plan)
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
        Opt::log_probs_of_each(models, plan)
    }

    /// Where the head alone moves.
    fn scorer<'p>(
        &self,
        plan: &'p Plan,
        moving: &[(&str, usize)],
    ) -> Result<Option<Scorer<'p, Self>>, ModelError> {
        let head = |name: &str| name.starts_with("lm_head.");
        match moving.iter().all(|(name, _)| head(name)) {
            true => self.head_scorer(plan).map(Some),
            false => Ok(None),
        }
    }

    /// Not on biases and layer norms, as in MeZO's code.
    fn decays(&self, parameter: &str) -> bool {
        !["bias", "layer_norm"]
            .iter()
            .any(|part| parameter.contains(part))
    }

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        Opt::generate(self, prompts, generation)
    }
}
