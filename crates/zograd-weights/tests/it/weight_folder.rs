//! Weight files as they really are, and as they should not be.

use std::fs;
use std::path::Path;

use zograd_weights::gguf::GgufFile;
use zograd_weights::{Names, ReadError, Storage, TensorSource, WeightFile, WeightFolder};

use crate::folder::{Tensors, expected, fixture, folder, load, refused, write};

#[test]
fn pytorch_files_load() {
    for (file, stored) in [
        ("zip_f16.bin", "F16"),
        ("zip64_f16.bin", "F16"),
        ("zip_bf16.bin", "BF16"),
        ("legacy_f32.bin", "F32"),
    ] {
        let folder = folder(|folder| {
            fs::copy(fixture(file), folder.join("pytorch_model.bin")).expect("copied");
        });
        let found = load(folder.path()).unwrap_or_else(|error| panic!("{file}: {error}"));
        for (name, expected) in expected() {
            assert_eq!(found[&name], expected, "{name} in {file}");
        }
        let entries = WeightFile::open(&fixture(file)).expect("opens").entries();
        assert!(entries.iter().all(|it| it.stored.to_string() == stored));
    }
}

#[test]
fn a_pickle_that_names_code_is_not_run() {
    let marker = tempfile::tempdir().expect("a temporary folder");
    let marker = marker.path().join("executed");
    // protocol 0: os.system("touch marker")
    let pickle = format!("cos\nsystem\n(S'touch {}'\ntR.", marker.display());
    let folder = folder(|folder| {
        fs::write(folder.join("pytorch_model.bin"), pickle).expect("written");
    });
    assert!(refused(folder.path()).contains("pytorch_model.bin"));
    assert!(!marker.exists());
}

/// `torch.save(model)`, which is as whole as a state dict is.
#[test]
fn what_is_no_state_dict_is_not_called_damaged() {
    let head = b"\x80\x02N.".repeat(3);
    let model = b"\x80\x02ctorch.nn.modules.container\nSequential\n)\x81.";
    for (pickle, part) in [
        (
            &model[..],
            "names \"torch.nn.modules.container.Sequential\"",
        ),
        (b"cmine\nModel\n)\x81.", "names \"mine.Model\""),
        (b"].", "no state dict"),
    ] {
        let folder = folder(|folder| {
            let bytes = [&head[..], pickle].concat();
            fs::write(folder.join("pytorch_model.bin"), bytes).expect("written");
        });
        let message = refused(folder.path());
        for part in [part, "pytorch_model.bin", "save model.state_dict()"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(!message.contains("damaged"), "{message}");
    }
}

/// What a clone has where git-lfs did not fetch the file.
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1034\n";

#[test]
fn a_pointer_of_git_lfs_is_told_as_such() {
    for name in ["model.safetensors", "pytorch_model.bin"] {
        let folder = folder(|folder| fs::write(folder.join(name), POINTER).expect("written"));
        let message = refused(folder.path());
        assert!(message.contains(name), "{message}");
        assert!(message.contains("git lfs pull"), "{message}");
    }
    let folder = folder(|folder| fs::write(folder.join("it.gguf"), POINTER).expect("written"));
    let error = GgufFile::open(&folder.path().join("it.gguf")).expect_err("a pointer");
    assert!(matches!(error, ReadError::Pointer { .. }), "{error}");
}

/// Writes the fixture in two shards with an index, after `change` had a look at the index.
fn sharded(change: impl FnOnce(&Path, &mut serde_json::Value)) -> tempfile::TempDir {
    folder(|folder| {
        let mut map = serde_json::Map::new();
        let mut shards = [Tensors::new(), Tensors::new()];
        for (index, (name, tensor)) in expected().into_iter().enumerate() {
            let shard = index % 2;
            let file = format!("model-0000{}-of-00002.safetensors", shard + 1);
            map.insert(name.clone(), file.into());
            shards[shard].insert(name, tensor);
        }
        for (index, shard) in shards.iter().enumerate() {
            let file = format!("model-0000{}-of-00002.safetensors", index + 1);
            write(shard, &folder.join(file));
        }
        let mut index = serde_json::json!({"metadata": {}, "weight_map": map});
        change(folder, &mut index);
        let path = folder.join("model.safetensors.index.json");
        fs::write(path, index.to_string()).expect("written");
    })
}

#[test]
fn shards_are_one_set_of_tensors() {
    let folder = sharded(|_, _| ());
    assert_eq!(load(folder.path()).expect("loads"), expected());
    let weights = WeightFolder::open(folder.path(), &()).expect("opens");
    assert_eq!(weights.files().len(), 2);
    let (mut homes, names) = ([0, 0], expected());
    for name in names.keys() {
        let second = weights.file_of(name) == weights.files()[1];
        homes[usize::from(second)] += 1;
    }
    assert_eq!(homes, [10, 10]);
    assert_eq!(weights.file_of("unknown"), folder.path());
}

#[test]
fn broken_shard_indices_are_named() {
    let missing = sharded(|folder, _| {
        fs::remove_file(folder.join("model-00002-of-00002.safetensors")).expect("removed");
    });
    assert!(refused(missing.path()).contains("model-00002-of-00002.safetensors, which is missing"));

    for escape in [
        "../model.safetensors",
        "/etc/passwd",
        "sub/model.safetensors",
        "..",
    ] {
        let folder = sharded(|_, index| {
            index["weight_map"]["decoder.embed_tokens.weight"] = escape.into();
        });
        let message = refused(folder.path());
        assert!(message.contains("beside the index"), "{escape}: {message}");
    }

    let wrong = sharded(|_, index| {
        index["weight_map"]["decoder.embed_tokens.scale"] =
            "model-00001-of-00002.safetensors".into();
    });
    assert!(refused(wrong.path()).contains("decoder.embed_tokens.scale"));

    let twice = sharded(|folder, _| {
        write(
            &expected(),
            &folder.join("model-00002-of-00002.safetensors"),
        );
    });
    assert!(refused(twice.path()).contains("stored twice"));

    let no_map = sharded(|_, index| *index = serde_json::json!({"weights": 1}));
    assert!(refused(no_map.path()).contains("not a valid shard index"));
}

/// Two names of one tensor, as a model says.
struct Twins;

impl Names for Twins {
    fn twin(&self, name: &str) -> Option<&str> {
        (name == "copy").then_some("decoder.embed_tokens.weight")
    }
}

#[test]
fn an_index_may_have_both_names_of_a_tensor_that_is_stored_once() {
    let both = |_: &Path, index: &mut serde_json::Value| {
        index["weight_map"]["copy"] = "model-00001-of-00002.safetensors".into();
    };
    let folder = sharded(both);
    let opened = WeightFolder::open(folder.path(), &Twins).expect("one name is enough");
    assert!(!opened.entries().contains_key("copy"));
    let refused = WeightFolder::open(folder.path(), &()).expect_err("nothing is known of `copy`");
    assert!(matches!(refused, ReadError::NotInShard { tensor, .. } if tensor == "copy"));
}

#[test]
fn two_names_of_one_tensor_in_a_file_are_refused() {
    let folder = folder(|folder| {
        let mut tensors = expected();
        let table = tensors["decoder.embed_tokens.weight"].clone();
        tensors.insert("model.decoder.embed_tokens.weight".to_owned(), table);
        write(&tensors, &folder.join("model.safetensors"));
    });
    let message = refused(folder.path());
    assert!(
        message.contains("decoder.embed_tokens.weight is stored twice"),
        "{message}"
    );
    // for a model to which they are two there is nothing wrong
    assert!(WeightFolder::open(folder.path(), &()).is_ok());
}

#[test]
fn what_is_not_there_and_what_is_not_finite_is_named() {
    let folder = folder(|folder| {
        let mut tensors = expected();
        let bias = tensors.get_mut("decoder.layers.0.fc1.bias");
        bias.expect("present").1[3] = f32::INFINITY;
        write(&tensors, &folder.join("model.safetensors"));
    });
    let message = refused(folder.path());
    for part in ["fc1.bias", "model.safetensors", "inf"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let mut weights = WeightFolder::open(folder.path(), &()).expect("opens");
    let error = weights.read("no such", Storage::F32).expect_err("none");
    assert!(error.to_string().contains("no tensor no such"), "{error}");
    let empty = tempfile::tempdir().expect("a folder");
    assert!(refused(empty.path()).contains("model.safetensors, pytorch_model.bin"));
}

#[test]
fn damaged_safetensors_are_refused() {
    let damaged = |change: fn(Vec<u8>) -> Vec<u8>| {
        let folder = folder(|folder| {
            let path = folder.join("model.safetensors");
            write(&expected(), &path);
            let bytes = change(fs::read(&path).expect("read"));
            fs::write(&path, bytes).expect("written");
        });
        let message = refused(folder.path());
        assert!(message.contains("is damaged"), "{message}");
        message
    };
    damaged(|mut bytes| {
        bytes.truncate(bytes.len() - 1);
        bytes
    });
    damaged(|mut bytes| {
        bytes.push(0);
        bytes
    });
    damaged(|bytes| bytes[..5].to_vec());
    damaged(|_| Vec::new());
    // a header length that would be an allocation of exabytes
    let message = damaged(|mut bytes| {
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    });
    assert!(message.contains("header"), "{message}");
    damaged(|mut bytes| {
        bytes[9] = b'#';
        bytes
    });
}
