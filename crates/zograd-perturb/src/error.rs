use thiserror::Error;
use zograd_params::ParameterError;

/// What can go wrong when a module is perturbed.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum PerturbError {
    /// The parameters of the module cannot be had.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// A coefficient is NaN or infinite; the weights were not touched.
    #[error(
        "a direction with a non-finite coefficient was refused before it reached the weights: {0}"
    )]
    NonFinite(String),
    /// A hop on grids is longer than the weights have room for; they were not touched.
    #[error(
        "a change of {by:.3e} standard deviations a weight is too far for exact steps (at most {most:.3e}); use a smaller eps or learning rate, or plain arithmetic"
    )]
    TooFar {
        /// The sum of the coefficients' magnitudes.
        by: f64,
        /// The most it may be.
        most: f64,
    },
    /// Exact steps are not possible with these weights.
    #[error("exact steps: {0}; use plain arithmetic")]
    NotOnGrids(String),
    /// A family of perturbations is not to be had.
    #[error("{0}")]
    Family(String),
    /// An update is made where seeds mean something else than in its step.
    #[error(
        "the update belongs to step {update}, and seeds mean what they mean from step {since} on; begin its step first"
    )]
    OtherStep {
        /// Steps of the run before the update.
        update: u64,
        /// The first step of those in which seeds mean what they mean now.
        since: u64,
    },
    /// An update is a quotient of draws that it does not say ([`Momentum`](crate::Momentum)).
    #[error(
        "the update of step {step} is a quotient, and does not say of what: its method does, told the losses of the log"
    )]
    Quotient {
        /// Steps of the run before the update.
        step: u64,
    },
    /// The file with the f32 originals could not be read or written.
    #[error("the f32 originals: {0}")]
    Originals(String),
    /// The file with the start weights, towards which weights decay, could not be read or written.
    #[error("the start weights, for decay towards them: {0}")]
    Start(String),
    /// A weight has outgrown the range in which additions are exact; the weights were not moved further.
    #[error(
        "{name} has grown to {largest:.3e}, and steps are exact below {limit:.3e} only; use a smaller learning rate, or plain arithmetic"
    )]
    OffGrid {
        /// The parameter.
        name: String,
        /// Its largest magnitude.
        largest: f64,
        /// The largest that its grid has room for.
        limit: f64,
    },
    /// The parameter space was made from another module.
    #[error(
        "the module has no parameter {0} of that shape and dtype; select the space from this module"
    )]
    ForeignSpace(String),
}
