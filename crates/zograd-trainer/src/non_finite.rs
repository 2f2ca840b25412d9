//! JSON has no NaN and no infinity: they are written as `null`, and `null` is read as NaN.

use serde::{Deserialize, Deserializer};

/// Reads a number, or NaN from `null`.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Reads a list of numbers, each NaN from `null`.
pub(crate) fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let list: Vec<Option<f64>> = Vec::deserialize(deserializer)?;
    Ok(list.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}
