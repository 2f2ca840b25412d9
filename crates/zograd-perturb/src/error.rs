use thiserror::Error;

/// What can go wrong when a module is perturbed.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum PerturbError {
    /// A coefficient is NaN or infinite; the weights were not touched.
    #[error(
        "a direction with a non-finite coefficient was refused before it reached the weights: {0}"
    )]
    NonFinite(String),
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
