//! What a file says of a tensor before it is read.

use std::fmt;
use std::path::Path;

use crate::error::ReadError;
use crate::float::Float;
use crate::gguf::Quantised;
use crate::storage::Storage;

/// A tensor as a file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// As stored.
    pub name: String,
    /// Its dimensions; the last one is that of neighbours in the file.
    pub shape: Vec<usize>,
    /// How its numbers are stored.
    pub stored: Stored,
}

/// How the numbers of a tensor are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// One by one.
    Float(Float),
    /// In blocks that share a scale.
    Quantised(Quantised),
    /// In a type that is not read, by its name; an error only if the tensor is needed.
    Other(String),
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(float) => write!(f, "{float:?}"),
            Self::Quantised(quantised) => write!(f, "{quantised:?}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Entry {
    /// The error of a `value` in it that is not finite as `storage`.
    pub(crate) fn not_finite(&self, file: &Path, value: f32, storage: Storage) -> ReadError {
        ReadError::NotFinite {
            file: file.to_owned(),
            tensor: self.name.clone(),
            value,
            storage,
        }
    }

    /// The error of a type that is not read.
    pub(crate) fn unreadable(&self, file: &Path) -> ReadError {
        ReadError::StoredDtype {
            file: file.to_owned(),
            tensor: self.name.clone(),
            found: self.stored.to_string(),
        }
    }
}
