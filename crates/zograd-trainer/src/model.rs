use zograd_models::{Continuation, Generation, ModelBackend, ModelError, Opt, Plan};

/// A language model that can score tokens and write some: all that training asks of it.
pub trait LanguageModel {
    /// The log-probability of every scored token of `plan`, natural logarithm, in the plan's order.
    ///
    /// # Errors
    /// If the plan holds ids or positions the model does not have.
    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError>;

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

    fn generate(
        &self,
        prompts: &[&[u32]],
        generation: &Generation,
    ) -> Result<Vec<Continuation>, ModelError> {
        Opt::generate(self, prompts, generation)
    }
}
