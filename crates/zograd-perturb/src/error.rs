use thiserror::Error;

/// What can go wrong when a module is perturbed.
#[derive(Debug, Error, Clone, PartialEq)]
#[non_exhaustive]
pub enum PerturbError {
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
    /// The file with the f32 originals could not be read or written.
    #[error("the f32 originals: {0}")]
    Originals(String),
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
    /// No parameter of the module is selected.
    #[error("no parameter matches {patterns}; the module has: {names}")]
    NothingSelected {
        /// The patterns that were tried.
        patterns: String,
        /// The first names of the module.
        names: String,
    },
    /// Two parameter names hash to the same tensor id and would share their noise.
    #[error("the parameters {first} and {second} have the same tensor id; rename one of them")]
    IdCollision {
        /// One of the names.
        first: String,
        /// The other.
        second: String,
    },
    /// One parameter stands at two places of the module. A pass would move it twice and untie it.
    #[error(
        "{first} and {second} are the same parameter; keep it at one place and use it from there"
    )]
    SharedParameter {
        /// One of its names.
        first: String,
        /// The other.
        second: String,
    },
    /// The parameter space was made from another module.
    #[error(
        "the module has no parameter {0} of that shape and dtype; select the space from this module"
    )]
    ForeignSpace(String),
    /// A parameter is stored in a type no kernel handles.
    #[error(
        "the parameter {name} has dtype {dtype}, which cannot be perturbed; use f32, f64, f16 or bf16"
    )]
    UnsupportedDtype {
        /// The parameter's name.
        name: String,
        /// Its dtype.
        dtype: String,
    },
}
