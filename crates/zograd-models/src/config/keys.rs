//! `config.json`, asked for its keys.

use serde_json::{Map, Value};

use super::ConfigError;

/// Numbers that are whole may be written as such or as `64.0`; `null` is as good
/// as no key.
pub(crate) struct Keys<'a>(pub &'a Map<String, Value>);

impl<'a> Keys<'a> {
    pub fn get(&self, key: &'static str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// What `read` makes of a value, `None` where there is none.
    pub fn read<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let value = self.get(key).map(|value| {
            read(value).ok_or_else(|| ConfigError::Type {
                key,
                value: value.to_string(),
                expected,
            })
        });
        value.transpose()
    }

    pub fn size(&self, key: &'static str) -> Result<Option<usize>, ConfigError> {
        let size = |value: &Value| Some(usize::try_from(whole(value)?).unwrap_or(usize::MAX));
        self.read(key, "a whole number", size)
    }

    /// Sizes have no default on purpose: a model whose size was guessed is never what the user wanted.
    pub fn needed(&self, key: &'static str) -> Result<usize, ConfigError> {
        self.size(key)?.ok_or(ConfigError::Missing(key))
    }

    pub fn switch(&self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        let switch = self.read(key, "true or false", Value::as_bool)?;
        Ok(switch.unwrap_or(default))
    }

    pub fn text(&self, key: &'static str) -> Result<Option<&'a str>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(ConfigError::Type {
                key,
                value: other.to_string(),
                expected: "a text",
            }),
        }
    }

    /// A table of keys.
    pub fn object(&self, key: &'static str) -> Result<Option<&'a Map<String, Value>>, ConfigError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(table)) => Ok(Some(table)),
            Some(other) => Err(ConfigError::Type {
                key,
                value: other.to_string(),
                expected: "an object",
            }),
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &'static str) -> Result<Option<Vec<&'a str>>, ConfigError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let texts = value.as_array().and_then(|list| {
            let texts = list.iter().map(Value::as_str);
            texts.collect::<Option<Vec<&str>>>()
        });
        texts.map(Some).ok_or_else(|| ConfigError::Type {
            key,
            value: value.to_string(),
            expected: "a list of texts",
        })
    }

    pub fn number(&self, key: &'static str) -> Result<Option<f64>, ConfigError> {
        self.read(key, "a number", Value::as_f64)
    }

    /// One token, or none: older files say `-1`.
    pub fn token(&self, key: &'static str) -> Result<Option<u32>, ConfigError> {
        match self.get(key).and_then(Value::as_i64) {
            Some(-1) => Ok(None),
            _ => self.read(key, "a token id or null", token),
        }
    }

    /// One token or a list of them.
    pub fn tokens(&self, key: &'static str) -> Result<Option<Vec<u32>>, ConfigError> {
        let tokens = |value: &Value| match value {
            Value::Array(ids) => ids.iter().map(token).collect(),
            id => Some(vec![token(id)?]),
        };
        self.read(key, "a token id, a list of them, or null", tokens)
    }
}

fn token(value: &Value) -> Option<u32> {
    u32::try_from(whole(value)?).ok()
}

/// A whole number of at least 0, however it is written.
pub(crate) fn whole(value: &Value) -> Option<u64> {
    let written_otherwise = || {
        let number = value.as_f64()?;
        let exact = number.fract() == 0.0 && (0.0..=2f64.powi(53)).contains(&number);
        exact.then_some(number as u64)
    };
    value.as_u64().or_else(written_otherwise)
}
