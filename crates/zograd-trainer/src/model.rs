use zograd_models::{ModelBackend, ModelError, Opt, Plan};

/// A language model that can score tokens: all that training asks of it.
pub trait LanguageModel {
    /// The log-probability of every scored token of `plan`, natural logarithm, in the plan's order.
    ///
    /// # Errors
    /// If the plan holds ids or positions the model does not have.
    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError>;
}

impl<B: ModelBackend> LanguageModel for Opt<B> {
    fn log_probs(&self, plan: &Plan) -> Result<Vec<f32>, ModelError> {
        Opt::log_probs(self, plan)
    }
}
