//! What a model is built from.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;

use crate::entry::Entry;
use crate::error::ReadError;
use crate::storage::Storage;

/// Named tensors, in whatever files. A model is built by asking for one after the other, so that no more than one is
/// in memory beside the model.
pub trait TensorSource {
    /// All tensors, by the names that a model asks for.
    fn entries(&self) -> &BTreeMap<String, Entry>;

    /// The name in [`entries`](Self::entries) of a tensor that is only there under another one, as the files say.
    fn alias(&self, name: &str) -> Option<&str> {
        let _ = name;
        None
    }

    /// The folder or file that was opened.
    fn place(&self) -> &Path;

    /// The file that holds a tensor; [`place`](Self::place) if there is none of this name.
    fn file_of(&self, name: &str) -> &Path;

    /// The weight files.
    fn files(&self) -> Vec<&Path>;

    /// Reads a tensor, in the order of its indices, as `target`.
    ///
    /// # Errors
    /// There is none of this name, its file is damaged, it is stored in a type that is not read, or it holds a number
    /// that is not finite in `target`.
    fn read(&mut self, name: &str, target: Storage) -> Result<TensorData, ReadError>;
}
