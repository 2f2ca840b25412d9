//! Names of models lead to folders, or to a message that helps.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use zograd_models::hub::{Hub, HubError};

fn hub(cache: &Path) -> Hub {
    // nothing listens on the discard port
    Hub::new(cache, "http://127.0.0.1:9")
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
    fs::write(path, text).expect("written");
}

#[test]
fn a_complete_snapshot_is_used_without_the_network() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let repository = cache.path().join("models--org--name");
    let snapshot = repository.join("snapshots/0123abcd");
    put(&repository.join("refs/main"), "0123abcd\n");
    put(&snapshot.join("config.json"), "{}");
    // a configuration alone is an interrupted download
    assert!(hub(cache.path()).resolve("org/name").is_err());
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    put(&snapshot.join("model.safetensors.index.json"), index);
    put(&snapshot.join("one.safetensors"), "");
    assert!(hub(cache.path()).resolve("org/name").is_err());
    put(&snapshot.join("two.safetensors"), "");
    let found = hub(cache.path()).resolve("org/name").expect("cached");
    assert_eq!(found, snapshot);

    put(&repository.join("refs/main"), "../../elsewhere");
    assert!(hub(cache.path()).resolve("org/name").is_err());
}

#[test]
fn an_existing_folder_is_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_str().expect("unicode");
    let found = hub(folder.path()).resolve(path).expect("exists");
    assert_eq!(found, folder.path());
}

#[test]
fn what_is_no_name_is_refused_without_the_network() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    for name in [
        "no-such-folder",
        "../a/b",
        "a/b/c",
        "/a/b",
        "a/",
        "org/na me",
        "org/..",
    ] {
        let error = hub(cache.path())
            .resolve(name)
            .expect_err("must be refused");
        assert!(matches!(error, HubError::NotAModel(_)), "{name}: {error}");
    }
}

#[test]
fn without_a_network_the_message_says_what_to_do_and_comes_soon() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let error = hub(cache.path())
        .resolve("org/name")
        .expect_err("nobody answers");
    assert!(start.elapsed() < Duration::from_secs(25));
    let message = error.to_string();
    for part in ["org/name", "HF_HOME", "by hand"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let offline = Hub {
        offline: true,
        ..hub(cache.path())
    };
    let error = offline.resolve("org/name").expect_err("offline");
    assert!(matches!(error, HubError::NotCached { .. }), "{error}");
}
