//! How a config.json says that queries and keys are rotated: `rope_parameters` in files of transformers 5, `rope_theta`
//! and `rope_scaling` in older ones.

use serde_json::{Map, Value};

use crate::config::{ConfigError, Keys};
use crate::rotary::{Frequencies, Llama3};

/// The rotation of a model that has one, for heads of this width.
///
/// # Errors
/// A kind of rotation that is not known, or numbers that make none.
pub(super) fn read(keys: &Keys<'_>, width: usize) -> Result<Frequencies, ConfigError> {
    match keys.object("rope_parameters")? {
        Some(parameters) => {
            let theta = number(parameters, "rope_theta")?;
            frequencies(parameters, theta.or(keys.number("rope_theta")?), width)
        }
        None => {
            let none = Map::new();
            let scaling = keys.object("rope_scaling")?.unwrap_or(&none);
            frequencies(scaling, keys.number("rope_theta")?, width)
        }
    }
}

/// Base of the angles where a file names none: that of all classes of transformers but one.
const THETA: f64 = 10_000.0;

/// The rotation that a table of parameters describes.
pub(super) fn frequencies(
    parameters: &Map<String, Value>,
    theta: Option<f64>,
    width: usize,
) -> Result<Frequencies, ConfigError> {
    let theta = theta.unwrap_or(THETA);
    if !(theta.is_finite() && theta > 0.0) {
        return Err(refused(
            "rope_theta",
            theta.to_string(),
            "it must be a number above 0",
        ));
    }
    if let Some(part) = number(parameters, "partial_rotary_factor")?
        && part != 1.0
    {
        let reason = "all of a head is rotated here";
        return Err(refused("partial_rotary_factor", part.to_string(), reason));
    }
    let plain = Frequencies::default(theta, width);
    let keys = Keys(parameters);
    let kind = match keys.text("rope_type")? {
        Some(kind) => kind,
        // its name in older files
        None => keys.text("type")?.unwrap_or("default"),
    };
    match kind {
        "default" => Ok(plain),
        "linear" => Ok(plain.linear(factor(parameters, "factor")?)),
        "llama3" => {
            let original = keys.needed("original_max_position_embeddings")?;
            let [slow, fast] = [
                factor(parameters, "low_freq_factor")?,
                factor(parameters, "high_freq_factor")?,
            ];
            if slow >= fast {
                let reason = "it must be below high_freq_factor";
                return Err(refused("low_freq_factor", slow.to_string(), reason));
            }
            Ok(plain.llama3(Llama3 {
                factor: factor(parameters, "factor")?,
                low_freq_factor: slow,
                high_freq_factor: fast,
                original_max_position_embeddings: original,
            }))
        }
        other => Err(refused(
            "rope_type",
            format!("{other:?}"),
            "rotations here are default, linear or llama3",
        )),
    }
}

fn number(parameters: &Map<String, Value>, key: &'static str) -> Result<Option<f64>, ConfigError> {
    Keys(parameters).number(key)
}

/// A number above 0 that must be there.
fn factor(parameters: &Map<String, Value>, key: &'static str) -> Result<f64, ConfigError> {
    match number(parameters, key)? {
        Some(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
        Some(other) => Err(refused(
            key,
            other.to_string(),
            "it must be a number above 0",
        )),
        None => Err(ConfigError::Missing(key)),
    }
}

fn refused(key: &'static str, value: String, reason: &'static str) -> ConfigError {
    ConfigError::Unsupported { key, value, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Frequencies, String> {
        let Ok(Value::Object(keys)) = serde_json::from_str(text) else {
            panic!("{text} is no object");
        };
        read(&Keys(&keys), 8).map_err(|error| error.to_string())
    }

    #[test]
    fn both_styles_of_keys_mean_the_same() {
        let new = r#"{"rope_parameters": {"rope_theta": 500.0, "rope_type": "llama3", "factor": 8, "low_freq_factor": 1,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}"#;
        let old = r#"{"rope_theta": 500, "rope_scaling": {"type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4, "original_max_position_embeddings": 64.0}}"#;
        let found = parsed(new).expect("known");
        assert_eq!(parsed(old), Ok(found.clone()));
        assert_ne!(parsed(r#"{"rope_theta": 500}"#), Ok(found));
        let plain = parsed("{}").expect("nothing is said");
        assert_eq!(
            parsed(r#"{"rope_theta": 10000, "rope_scaling": null}"#),
            Ok(plain.clone())
        );
        let linear = r#"{"rope_scaling": {"rope_type": "linear", "factor": 2.0}}"#;
        assert_eq!(parsed(linear), Ok(plain.linear(2.0)));
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        for (text, part) in [
            (
                r#"{"rope_scaling": {"rope_type": "yarn", "factor": 4}}"#,
                "rope_type = \"yarn\"",
            ),
            (
                r#"{"rope_scaling": {"type": "dynamic", "factor": 4}}"#,
                "rope_type = \"dynamic\"",
            ),
            (r#"{"rope_parameters": {"rope_type": 3}}"#, "rope_type is 3"),
            (
                r#"{"rope_parameters": {"partial_rotary_factor": 0.5}}"#,
                "partial_rotary_factor = 0.5",
            ),
            (r#"{"rope_theta": 0}"#, "rope_theta = 0"),
            (
                r#"{"rope_scaling": {"rope_type": "linear"}}"#,
                "factor is missing",
            ),
            (
                r#"{"rope_scaling": {"rope_type": "linear", "factor": -1}}"#,
                "factor = -1",
            ),
            (
                r#"{"rope_scaling": "linear"}"#,
                "rope_scaling is \"linear\"",
            ),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}
