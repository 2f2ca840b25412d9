use crate::{
    Greedy, GuidingVector, GuidingVectorHistory, Mezo, NSpsa, PoolRegression, Strategy,
    StrategyError,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// The built-in strategies by name, with their parameters, as they stand in settings.
///
/// ```
/// use zograd_select::Method;
///
/// let method: Method = serde_json::from_str(r#"{"method": "gv", "pool": 4, "alpha": 0.5}"#)?;
/// assert_eq!(method.build()?.forwards(), 6);
/// let error = Method::Greedy { pool: 0 }.build().err().expect("refused");
/// assert_eq!(error.to_string(), "--pool 0: use at least 1 candidate, such as 4");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Method {
    /// [`Mezo`]
    #[serde(deserialize_with = "no_parameters")]
    Mezo,
    /// [`NSpsa`]
    NSpsa {
        /// Independent estimates of a step.
        queries: usize,
    },
    /// [`GuidingVector`]
    Gv {
        /// Candidates M (the paper: 2 or 4; from 3 on their losses matter).
        pool: usize,
        /// Share of the pool that counts as good (the paper: 0.5).
        alpha: f64,
        /// Evaluate a pool of two although it cannot change the update.
        #[serde(default)]
        faithful_cost: bool,
    },
    /// [`GuidingVectorHistory`]
    #[serde(deserialize_with = "no_parameters")]
    GvHistory,
    /// [`Greedy`]
    Greedy {
        /// Candidates M.
        pool: usize,
    },
    /// [`PoolRegression`]
    PoolRegression {
        /// Candidates M.
        pool: usize,
    },
}

impl Method {
    /// The strategy, at its beginning.
    ///
    /// # Errors
    /// A parameter out of its range.
    pub fn build(&self) -> Result<Box<dyn Strategy>, StrategyError> {
        Ok(match *self {
            Self::Mezo => Box::new(Mezo),
            Self::NSpsa { queries } => Box::new(NSpsa::new(queries)?),
            Self::Gv {
                pool,
                alpha,
                faithful_cost,
            } => Box::new(GuidingVector::new(pool, alpha, faithful_cost)?),
            Self::GvHistory => Box::new(GuidingVectorHistory::new()),
            Self::Greedy { pool } => Box::new(Greedy::new(pool)?),
            Self::PoolRegression { pool } => Box::new(PoolRegression::new(pool)?),
        })
    }

    /// Its name in settings.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mezo => "mezo",
            Self::NSpsa { .. } => "n-spsa",
            Self::Gv { .. } => "gv",
            Self::GvHistory => "gv-history",
            Self::Greedy { .. } => "greedy",
            Self::PoolRegression { .. } => "pool-regression",
        }
    }
}

/// A derived variant without fields lets any key pass, whatever `deny_unknown_fields` says.
fn no_parameters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    Nothing::deserialize(deserializer).map(|Nothing {}| ())
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
