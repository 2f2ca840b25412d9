use thiserror::Error;

/// What can go wrong in training and evaluation.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The weights could not be perturbed.
    #[error(transparent)]
    Perturb(#[from] zograd_perturb::PerturbError),
    /// The strategy refused its parameters or its step.
    #[error(transparent)]
    Strategy(#[from] zograd_select::StrategyError),
    /// The model could not score a batch.
    #[error(transparent)]
    Model(#[from] zograd_models::ModelError),
    /// A prompt has a candidate that cannot be scored.
    #[error("the prompt of row {row}: {source}")]
    Plan {
        /// Row number of the sample in its split.
        row: usize,
        /// What is wrong.
        source: zograd_models::PlanError,
    },
    /// There is nothing to train or evaluate on.
    #[error("there are no {0} examples")]
    NoExamples(&'static str),
    /// A setting is out of its range.
    #[error("{name} = {value}: {fix}")]
    Setting {
        /// The setting, as its flag.
        name: &'static str,
        /// What it was.
        value: String,
        /// What it should be.
        fix: &'static str,
    },
    /// The observer could not record or save something.
    #[error("{0}")]
    Observer(Box<dyn std::error::Error + Send + Sync>),
}
