//! The metadata of a model's file, asked for its keys.

use std::path::Path;

use zograd_weights::gguf::{Metadata, MetadataError};

use super::error::GgufError;

/// The metadata of a file, and its name for errors.
#[derive(Clone, Copy)]
pub(super) struct Keys<'m> {
    pub file: &'m Path,
    pub metadata: &'m Metadata,
    /// What keys of the family begin with.
    pub family: &'static str,
}

impl<'m> Keys<'m> {
    /// A number of the family.
    pub fn whole(&self, key: &str) -> Result<Option<u64>, GgufError> {
        self.at(self.metadata.whole(&self.own(key)))
    }

    /// A number that every model of the family has.
    pub fn needed(&self, key: &str) -> Result<u64, GgufError> {
        let found = self.whole(key)?;
        found.ok_or_else(|| self.missing(&self.own(key)))
    }

    /// A float of the family.
    pub fn float(&self, key: &str) -> Result<Option<f64>, GgufError> {
        let float = self.at(self.metadata.float(&self.own(key)))?;
        Ok(float.map(shortest))
    }

    /// A text of the family.
    pub fn text(&self, key: &str) -> Result<Option<&'m str>, GgufError> {
        self.at(self.metadata.text(&self.own(key)))
    }

    /// What the metadata says of a key that has the wrong type.
    pub fn at<T>(&self, found: Result<T, MetadataError>) -> Result<T, GgufError> {
        found.map_err(|source| GgufError::Metadata {
            file: self.file.to_owned(),
            source,
        })
    }

    pub fn missing(&self, key: &str) -> GgufError {
        GgufError::Missing {
            file: self.file.to_owned(),
            key: key.to_owned(),
        }
    }

    pub fn unsupported(&self, reason: String) -> GgufError {
        GgufError::Unsupported {
            file: self.file.to_owned(),
            reason,
        }
    }

    fn own(&self, key: &str) -> String {
        format!("{}.{key}", self.family)
    }
}

/// A number that was written as f32, as people write it: `1e-6` and not `9.999999974752427e-7`.
fn shortest(number: f64) -> f64 {
    let narrow = number as f32;
    match f64::from(narrow) == number {
        true => narrow.to_string().parse().unwrap_or(number),
        false => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_as_people_wrote_them() {
        assert_eq!(shortest(f64::from(1e-6f32)), 1e-6);
        assert_eq!(shortest(f64::from(500_000f32)), 500_000.0);
        assert_eq!(shortest(0.1), 0.1);
    }
}
