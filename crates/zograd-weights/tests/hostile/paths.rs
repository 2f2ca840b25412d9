//! Files that are no files, and names that lead elsewhere.

use crate::folder::{bytes, fixture, folder, load};
use std::fs;
use std::os::unix::fs::symlink;
use zograd_hostile::places::{NO_FILES, NOTHING, Place};

/// What may lie where a file is expected.
fn places() -> impl Iterator<Item = Place> {
    NO_FILES.into_iter().chain([NOTHING])
}

#[test]
fn what_is_no_file_is_named() {
    for name in [
        "model.safetensors",
        "pytorch_model.bin",
        "model.safetensors.index.json",
        "pytorch_model.bin.index.json",
    ] {
        for (place, reason) in places() {
            let folder = folder();
            let path = folder.path().join(name);
            place(&path);
            let error = load(folder.path()).expect_err("no file");
            assert!(
                error.contains(name) && error.contains(reason),
                "{name}: {error}"
            );
        }
    }
}

#[test]
fn shards_that_are_no_files_are_named() {
    let index = r#"{"weight_map": {"decoder.embed_tokens.weight": "shard.safetensors"}}"#;
    for (place, reason) in places() {
        let folder = folder();
        fs::write(folder.path().join("model.safetensors.index.json"), index).expect("written");
        place(&folder.path().join("shard.safetensors"));
        let error = load(folder.path()).expect_err("no file");
        assert!(
            error.contains("shard.safetensors") && error.contains(reason),
            "{error}"
        );
    }
}

/// A file of exabytes that takes no room on the disk.
#[test]
fn a_sparse_giant_is_refused_by_its_size() {
    let folder = folder();
    let name = "model.safetensors.index.json";
    let file = fs::File::create(folder.path().join(name)).expect("a file");
    file.set_len(1 << 40).expect("a sparse file");
    let error = load(folder.path()).expect_err("giant");
    assert!(
        error.contains(name) && error.contains("1099511627776"),
        "{error}"
    );
}

/// The files of the process itself: regular by their type, without a size, unreadable at 0.
#[test]
fn files_of_the_kernel_are_refused() {
    for target in ["/proc/self/mem", "/proc/self/maps"] {
        for name in ["model.safetensors", "pytorch_model.bin"] {
            let folder = folder();
            symlink(target, folder.path().join(name)).expect("a link");
            let error = load(folder.path()).expect_err("no weights");
            assert!(error.contains(name), "{error}");
        }
    }
}

/// Links to regular files are followed: the cache of Hugging Face is made of them.
#[test]
fn links_to_files_are_followed() {
    let folder = folder();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let blob = elsewhere.path().join("blob");
    fs::copy(fixture("expected.safetensors"), &blob).expect("copied");
    symlink(&blob, folder.path().join("model.safetensors")).expect("a link");
    assert_eq!(load(folder.path()), Ok(()));
}

/// An index may name files beside it and nothing else, whatever lies at the other end.
#[test]
fn an_index_leads_nowhere_else() {
    let outside = tempfile::tempdir().expect("a folder");
    let valid = outside.path().join("weights.safetensors");
    fs::write(&valid, bytes("expected.safetensors")).expect("written");
    let valid = valid.to_str().expect("UTF-8");
    for shard in [
        valid,
        "../weights.safetensors",
        "..",
        ".",
        "",
        "./weights.safetensors",
        "a/../weights.safetensors",
        "sub\\weights.safetensors",
        "/etc/passwd",
        "weights.safetensors/",
        "nul\0byte",
    ] {
        let folder = folder();
        let index = serde_json::json!({"weight_map": {"decoder.embed_tokens.weight": shard}});
        let path = folder.path().join("model.safetensors.index.json");
        fs::write(path, index.to_string()).expect("written");
        let error = load(folder.path()).expect_err("must be refused");
        let named = error.contains("beside the index") || error.contains("missing");
        assert!(named && error.contains("index.json"), "{shard}: {error}");
    }
}
