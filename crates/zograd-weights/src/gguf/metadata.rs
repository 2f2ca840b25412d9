//! The keys and values of a file.

use std::collections::BTreeMap;

use super::value::{Array, Value};

/// What a file says besides its tensors, by keys such as `general.architecture`.
///
/// ```
/// use zograd_weights::gguf::Metadata;
///
/// let mut metadata = Metadata::default();
/// metadata.set("llama.block_count", 30);
/// metadata.set("general.architecture", "llama");
/// assert_eq!(metadata.whole("llama.block_count")?, Some(30));
/// assert_eq!(metadata.whole("llama.context_length")?, None);
/// assert!(metadata.whole("general.architecture").is_err());
/// # Ok::<(), zograd_weights::gguf::MetadataError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    values: BTreeMap<String, Value>,
}

/// A value that is not of the type it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its metadata {key:?} is {found}, not {wanted}")]
pub struct MetadataError {
    /// The key.
    pub key: String,
    /// What it is.
    pub found: &'static str,
    /// What it should be.
    pub wanted: &'static str,
}

impl Metadata {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Gives a key a value; returns the one that it had.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Option<Value> {
        self.values.insert(key.to_owned(), value.into())
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A number that is not negative, of any width.
    ///
    /// # Errors
    /// It is something else.
    pub fn whole(&self, key: &str) -> Result<Option<u64>, MetadataError> {
        self.typed(key, "a whole number", |value| match *value {
            Value::U8(number) => Some(number.into()),
            Value::U16(number) => Some(number.into()),
            Value::U32(number) => Some(number.into()),
            Value::U64(number) => Some(number),
            Value::I8(number) => number.try_into().ok(),
            Value::I16(number) => number.try_into().ok(),
            Value::I32(number) => number.try_into().ok(),
            Value::I64(number) => number.try_into().ok(),
            _ => None,
        })
    }

    /// A finite float, of either width.
    ///
    /// # Errors
    /// It is something else.
    pub fn float(&self, key: &str) -> Result<Option<f64>, MetadataError> {
        self.typed(key, "a finite float", |value| {
            let float = match *value {
                Value::F32(number) => f64::from(number),
                Value::F64(number) => number,
                _ => return None,
            };
            float.is_finite().then_some(float)
        })
    }

    /// A truth value.
    ///
    /// # Errors
    /// It is something else.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, MetadataError> {
        self.typed(key, "a truth value", |value| match value {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    pub fn text(&self, key: &str) -> Result<Option<&str>, MetadataError> {
        self.typed(key, "a text", |value| match value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// An array of texts.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&self, key: &str) -> Result<Option<&[String]>, MetadataError> {
        self.typed(key, "an array of texts", |value| match value {
            Value::Array(Array::Text(texts)) => Some(texts.as_slice()),
            _ => None,
        })
    }

    /// An array of signed numbers of 32 bits.
    ///
    /// # Errors
    /// It is something else.
    pub fn integers(&self, key: &str) -> Result<Option<&[i32]>, MetadataError> {
        self.typed(
            key,
            "an array of signed whole numbers",
            |value| match value {
                Value::Array(Array::I32(numbers)) => Some(numbers.as_slice()),
                _ => None,
            },
        )
    }

    /// An array of floats of 32 bits.
    ///
    /// # Errors
    /// It is something else.
    pub fn floats(&self, key: &str) -> Result<Option<&[f32]>, MetadataError> {
        self.typed(key, "an array of floats", |value| match value {
            Value::Array(Array::F32(numbers)) => Some(numbers.as_slice()),
            _ => None,
        })
    }

    fn typed<'m, T>(
        &'m self,
        key: &str,
        wanted: &'static str,
        convert: impl FnOnce(&'m Value) -> Option<T>,
    ) -> Result<Option<T>, MetadataError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match convert(value) {
            Some(converted) => Ok(Some(converted)),
            None => Err(MetadataError {
                key: key.to_owned(),
                found: value.kind(),
                wanted,
            }),
        }
    }
}
