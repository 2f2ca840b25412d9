//! Folders of weight files, and what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use zograd_weights::{Names, ReadError, Storage, TensorSource, WeightFolder};

/// Shape and values by name.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pytorch_tiny")
        .join(name)
}

/// The tensors that every file of the fixture holds.
pub(crate) fn expected() -> Tensors {
    let bytes = fs::read(fixture("expected.safetensors")).expect("the fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let floats = |bytes: &[u8]| {
        let words = bytes.as_chunks().0.iter();
        words.map(|word| f32::from_le_bytes(*word)).collect()
    };
    let tensors = file.iter();
    tensors
        .map(|(name, view)| {
            let tensor = (view.shape().to_vec(), floats(view.data()));
            (name.to_owned(), tensor)
        })
        .collect()
}

pub(crate) fn write(tensors: &Tensors, path: &Path) {
    let bytes: Vec<Vec<u8>> = tensors
        .values()
        .map(|(_, values)| values.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, (shape, _)), bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a valid view");
            (name.as_str(), view)
        });
    serialize_to_file(views, None, path).expect("written");
}

/// A model whose files may call its tensors `model.` something.
pub(crate) struct Prefixed;

impl Names for Prefixed {
    fn canonical<'n>(&self, stored: &'n str) -> &'n str {
        stored.strip_prefix("model.").unwrap_or(stored)
    }
}

/// All tensors of a folder.
pub(crate) fn load(folder: &Path) -> Result<Tensors, ReadError> {
    let mut weights = WeightFolder::open(folder, &Prefixed)?;
    let entries = weights.entries().clone();
    let mut tensors = Tensors::new();
    for (name, entry) in entries {
        let data = weights.read(&name, Storage::F32)?;
        assert_eq!(data.shape.to_vec(), entry.shape, "{name}");
        tensors.insert(name, (entry.shape, data.iter().collect()));
    }
    Ok(tensors)
}

pub(crate) fn refused(folder: &Path) -> String {
    load(folder).expect_err("must be refused").to_string()
}

/// A folder that `write` fills.
pub(crate) fn folder(write: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path());
    folder
}
