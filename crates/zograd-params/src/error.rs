//! Why the parameters of a module cannot be had.

use thiserror::Error;

/// What can be wrong with the parameters of a module, or with those that were asked for.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterError {
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
