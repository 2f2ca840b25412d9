//! A folder whose weight files are exchanged.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zograd_hostile::Seen;
use zograd_weights::{ReadError, Storage, TensorSource, WeightFolder};

/// A file of the fixture: the tensors of one layer in several formats.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pytorch_tiny")
        .join(name)
}

/// The bytes of a file of the fixture.
pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).expect("the fixture")
}

/// An empty folder.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Reads all tensors of the files in `folder`, keeping each no longer than until the next one, as a model of another
/// type would be made of them. The error must be one line that names the folder or a file in it.
pub fn load(folder: &Path) -> Seen {
    read_all(folder).map_err(|error| {
        let text = error.to_string();
        let place = folder.to_str().expect("UTF-8");
        assert!(text.contains(place) && !text.contains('\n'), "{text}");
        text
    })
}

fn read_all(folder: &Path) -> Result<(), ReadError> {
    let mut weights = WeightFolder::open(folder, &())?;
    let entries = weights.entries().clone();
    for (name, entry) in entries {
        let data = weights.read(&name, Storage::F32)?;
        assert_eq!(data.num_elements(), entry.shape.iter().product::<usize>());
    }
    Ok(())
}

/// A reader of `name` in `folder`.
pub fn reads(folder: &TempDir, name: &str) -> impl Fn(&[u8]) -> Seen {
    let (folder, path) = (folder.path().to_owned(), folder.path().join(name));
    move |bytes| {
        fs::write(&path, bytes).expect("written");
        load(&folder)
    }
}
