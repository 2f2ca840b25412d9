//! One weight file, of any format.

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::TensorData;

use crate::entry::Entry;
use crate::error::ReadError;
use crate::pytorch::PytorchFile;
use crate::safetensors::SafetensorsFile;
use crate::storage::Storage;

/// A file of tensors: safetensors by its extension, else PyTorch.
///
/// ```
/// use zograd_weights::{Storage, WeightFile};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/pytorch_tiny/zip_bf16.bin");
/// let mut file = WeightFile::open(path.as_ref())?;
/// for entry in file.entries() {
///     let values = file.read(&entry, Storage::F32)?;
///     println!("{} {:?} {}: {:?}", entry.name, entry.shape, entry.stored, values.as_slice::<f32>());
/// }
/// # Ok::<(), zograd_weights::ReadError>(())
/// ```
#[derive(Debug)]
pub struct WeightFile(Format);

#[derive(Debug)]
enum Format {
    Safetensors(SafetensorsFile),
    Pytorch(PytorchFile),
}

impl WeightFile {
    /// Reads what the file says of its tensors.
    ///
    /// # Errors
    /// It cannot be read, or is damaged.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let format = if path.extension().is_some_and(|ext| ext == "safetensors") {
            Format::Safetensors(SafetensorsFile::open(path)?)
        } else {
            Format::Pytorch(PytorchFile::open(path)?)
        };
        Ok(Self(format))
    }

    /// Its tensors.
    pub fn entries(&self) -> Vec<Entry> {
        match &self.0 {
            Format::Safetensors(file) => file.entries(),
            Format::Pytorch(file) => file.entries(),
        }
    }

    /// Names of tensors that were left out when the file was written, because they are a stored one: its name.
    pub fn aliases(&self) -> BTreeMap<String, String> {
        match &self.0 {
            Format::Safetensors(file) => file.aliases(),
            // names that share a storage are all there
            Format::Pytorch(_) => BTreeMap::new(),
        }
    }

    /// The numbers of one of the [`entries`](Self::entries), as `target`.
    ///
    /// # Errors
    /// They are damaged, of a type that is not read, or not finite in `target`.
    pub fn read(&mut self, entry: &Entry, target: Storage) -> Result<TensorData, ReadError> {
        match &mut self.0 {
            Format::Safetensors(file) => file.read(entry, target),
            Format::Pytorch(file) => file.read(entry, target),
        }
    }
}
