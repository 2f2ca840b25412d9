//! A tiny model folder whose files are exchanged.

use burn_ndarray::NdArray;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zograd_hostile::Seen;
use zograd_models::{LoadOptions, Model};

/// A file of the fixture of zograd-weights: one OPT of a layer in several formats.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../zograd-weights/tests/fixtures/pytorch_tiny")
        .join(name)
}

/// The bytes of a file of the fixture.
pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).expect("the fixture")
}

/// A folder with the fixture's config.json and nothing else.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(fixture("config.json"), folder.path().join("config.json")).expect("copied");
    folder
}

/// Loads the model in `folder`. The error must name the folder or a file in it.
pub fn load(folder: &Path) -> Seen {
    let loaded = Model::<NdArray>::load(folder, &LoadOptions::default(), &Default::default());
    loaded.map(|_| ()).map_err(|error| {
        let text = error.to_string();
        let place = folder.to_str().expect("UTF-8");
        assert!(text.contains(place), "{text}");
        text
    })
}

/// A reader of `name` in `folder`.
pub fn reads(folder: &TempDir, name: &str) -> impl Fn(&[u8]) -> Seen {
    let (folder, path) = (folder.path().to_owned(), folder.path().join(name));
    move |bytes| {
        fs::write(&path, bytes).expect("written");
        load(&folder)
    }
}
