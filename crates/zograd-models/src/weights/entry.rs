//! What a file says of a tensor before it is read.

use std::path::Path;

use super::decode::Stored;
use super::error::LoadError;
use crate::storage::Storage;

/// A tensor as a file describes it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// As stored, with or without the leading `model.`.
    pub name: String,
    pub shape: Vec<usize>,
    pub stored: StoredType,
}

/// The type of its numbers.
#[derive(Debug, Clone)]
pub(crate) enum StoredType {
    Float(Stored),
    /// Not a float type we read; an error only if the tensor is needed.
    Other(String),
}

impl Entry {
    /// The error of a `value` in it that is not finite as `storage`.
    pub fn not_finite(&self, file: &Path, value: f32, storage: Storage) -> LoadError {
        LoadError::NotFinite {
            file: file.to_owned(),
            tensor: self.name.clone(),
            value,
            storage,
        }
    }
}
