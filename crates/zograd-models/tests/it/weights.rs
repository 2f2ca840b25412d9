//! Model folders as they really are, and as they should not be.
use zograd_params::ParameterPath;

use crate::seeded;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Tensor};
use burn_ndarray::NdArray;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use zograd_models::{
    LoadError, LoadOptions, LoadReport, Model, ModelConfig, Storage, save_pretrained,
};

pub(crate) type B = NdArray;
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../zograd-weights/tests/fixtures/pytorch_tiny")
        .join(name)
}

pub(crate) fn load(folder: &Path) -> Result<(Model<B>, LoadReport), LoadError> {
    Model::load(folder, &LoadOptions::default(), &Default::default())
}

pub(crate) fn refused(folder: &Path) -> String {
    load(folder)
        .map(|(_, report)| report)
        .expect_err("must be refused")
        .to_string()
}

/// The tensors every variant of the fixture holds.
pub(crate) fn expected() -> Tensors {
    let bytes = fs::read(fixture("expected.safetensors")).expect("the fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let floats = |bytes: &[u8]| {
        let words = bytes.as_chunks().0.iter();
        words.map(|word| f32::from_le_bytes(*word)).collect()
    };
    file.iter()
        .map(|(name, view)| {
            (
                name.to_owned(),
                (view.shape().to_vec(), floats(view.data())),
            )
        })
        .collect()
}

#[derive(Default)]
struct Collect {
    path: ParameterPath,
    tensors: Tensors,
}

impl<B: Backend> ModuleVisitor<B> for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let data = param.to_data();
        let values = (data.shape.to_vec(), data.iter().collect());
        self.tensors.insert(self.path.name(), values);
    }
}

pub(crate) fn tensors<B: Backend>(model: &Model<B>) -> Tensors {
    let mut collect = Collect::default();
    model.visit(&mut collect);
    collect.tensors
}

/// A folder with the fixture's config.json and these tensors.
pub(crate) fn folder(write: impl FnOnce(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::copy(fixture("config.json"), folder.path().join("config.json")).expect("copied");
    write(folder.path());
    folder
}

pub(crate) fn write(tensors: &Tensors, path: &Path) {
    write_with(tensors, None, path);
}

/// A file whose header has these texts.
pub(crate) fn write_with(tensors: &Tensors, texts: Option<HashMap<String, String>>, path: &Path) {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            let bytes = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            (name.clone(), shape.clone(), bytes)
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a valid view");
        (name.as_str(), view)
    });
    serialize_to_file(views, texts, path).expect("written");
}

pub(crate) fn prefixed(tensors: &Tensors, prefix: &str) -> Tensors {
    let rename = |(name, tensor): (&String, &(Vec<usize>, Vec<f32>))| {
        (format!("{prefix}{name}"), tensor.clone())
    };
    tensors.iter().map(rename).collect()
}

#[test]
fn names_with_and_without_prefix_and_a_stored_head_load() {
    let expected = expected();
    for prefix in ["", "model."] {
        let mut stored = prefixed(&expected, prefix);
        let head = expected["decoder.embed_tokens.weight"].clone();
        stored.insert("lm_head.weight".to_owned(), head);
        let folder = folder(|folder| write(&stored, &folder.join("model.safetensors")));
        let (model, report) = load(folder.path()).expect("loads");
        assert_eq!(tensors(&model), expected);
        assert_eq!(report.ignored, ["lm_head.weight"]);
        assert_eq!(report.tensors, expected.len());
        assert_eq!(report.stored, ["F32"]);
    }
}

/// A head of its own begins as the token table, is saved beside it, and comes back.
#[test]
fn an_untied_head_is_saved_and_loads() {
    let folder = folder(|folder| write(&expected(), &folder.join("model.safetensors")));
    let (tied, _) = load(folder.path()).expect("loads");
    let ids = vec![vec![2, 5, 7, 3]];
    let logits = |model: &Model<B>| {
        let logits = model.forward(&ids).expect("valid ids").remove(0);
        logits.into_data().iter::<f32>().collect::<Vec<f32>>()
    };
    let model = tied.clone().untied();
    assert_eq!(logits(&model), logits(&tied));
    let model = model.map_head(|weight| weight * 2.0);
    let twice: Vec<f32> = logits(&tied).iter().map(|logit| logit * 2.0).collect();
    assert_eq!(logits(&model), twice);

    let saved = tempfile::tempdir().expect("a temporary folder");
    save_pretrained(&model, model.config(), None, saved.path()).expect("saved");
    let (back, report) = load(saved.path()).expect("loads");
    assert!(report.ignored.is_empty() && !back.config().tie_word_embeddings);
    assert_eq!(logits(&back), twice);
    assert_eq!(tensors(&back), tensors(&model));
}

#[test]
fn pytorch_files_load() {
    for (file, stored) in [
        ("zip_f16.bin", "F16"),
        ("zip_bf16.bin", "BF16"),
        ("legacy_f32.bin", "F32"),
    ] {
        let folder = folder(|folder| {
            fs::copy(fixture(file), folder.join("pytorch_model.bin")).expect("copied");
        });
        let (model, report) = load(folder.path()).unwrap_or_else(|error| panic!("{file}: {error}"));
        let found = tensors(&model);
        for (name, expected) in expected() {
            assert_eq!(found[&name], expected, "{name} in {file}");
        }
        assert_eq!(report.stored, [stored], "{file}");
    }
}

/// Writes the fixture in two shards with an index, after `change` had a look at the index.
pub(crate) fn sharded(change: impl FnOnce(&Path, &mut serde_json::Value)) -> tempfile::TempDir {
    folder(|folder| {
        let expected = prefixed(&expected(), "model.");
        let mut map = serde_json::Map::new();
        let mut shards = [Tensors::new(), Tensors::new()];
        for (index, (name, tensor)) in expected.into_iter().enumerate() {
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
fn shards_load() {
    let folder = sharded(|_, _| ());
    let (model, report) = load(folder.path()).expect("loads");
    assert_eq!(tensors(&model), expected());
    assert_eq!(report.files.len(), 2);
}

#[test]
fn missing_unexpected_and_misshaped_tensors_are_named() {
    let broken = |change: fn(&mut Tensors)| {
        let folder = folder(|folder| {
            let mut tensors = prefixed(&expected(), "model.");
            change(&mut tensors);
            write(&tensors, &folder.join("model.safetensors"));
        });
        refused(folder.path())
    };
    let message = broken(|tensors| {
        tensors.remove("model.decoder.layers.0.fc1.bias");
    });
    assert!(message.contains("decoder.layers.0.fc1.bias"), "{message}");
    assert!(message.contains("[8]"), "{message}");

    let message = broken(|tensors| {
        tensors.insert(
            "model.decoder.layers.1.fc1.bias".to_owned(),
            (vec![1], vec![0.0]),
        );
    });
    assert!(
        message.contains("model.decoder.layers.1.fc1.bias"),
        "{message}"
    );
    assert!(message.contains("model.safetensors"), "{message}");

    let message = broken(|tensors| {
        let values = vec![0.0; 32];
        tensors.insert(
            "model.decoder.layers.0.fc1.weight".to_owned(),
            (vec![4, 8], values),
        );
    });
    for part in [
        "model.decoder.layers.0.fc1.weight",
        "model.safetensors",
        "[4, 8]",
        "[8, 4]",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }

    let message = broken(|tensors| {
        let bias = tensors.get_mut("model.decoder.layers.0.fc1.bias");
        bias.expect("present").1[3] = f32::INFINITY;
    });
    assert!(
        message.contains("fc1.bias") && message.contains("inf"),
        "{message}"
    );
}

#[test]
fn folders_without_weights_or_configuration_say_what_is_missing() {
    let empty = folder(|_| ());
    assert!(refused(empty.path()).contains("model.safetensors, pytorch_model.bin"));
    let none = tempfile::tempdir().expect("a temporary folder");
    assert!(refused(none.path()).contains("config.json"));
}

#[test]
fn types_a_backend_lacks_are_refused() {
    let folder = folder(|folder| write(&expected(), &folder.join("model.safetensors")));
    let options = LoadOptions::of(Storage::F16);
    let loaded = Model::<B>::load(folder.path(), &options, &Default::default());
    let error = loaded.expect_err("must be refused");
    assert!(matches!(error, LoadError::UnsupportedStorage(Storage::F16)));
    assert!(error.to_string().contains("f16"), "{error}");
}

#[cfg(feature = "flex")]
#[test]
fn half_precision_parameters_load_and_save() {
    use burn_flex::Flex;

    let folder = folder(|folder| write(&expected(), &folder.join("model.safetensors")));
    for (storage, name) in [(Storage::F16, "float16"), (Storage::Bf16, "bfloat16")] {
        let options = LoadOptions::of(storage);
        let dtype = DType::from(storage);
        let (model, _) =
            Model::<Flex>::load(folder.path(), &options, &Default::default()).expect("loads");
        assert_eq!(model.dtype(), dtype);
        assert_eq!(tensors(&model), expected());
        let out = tempfile::tempdir().expect("a temporary folder");
        save_pretrained(&model, model.config(), None, out.path()).expect("saves");
        let config = fs::read_to_string(out.path().join("config.json")).expect("read");
        assert!(
            config.contains(&format!("\"torch_dtype\": \"{name}\"")),
            "{config}"
        );
        let (again, report) = load(out.path()).expect("loads");
        assert_eq!(report.stored, [format!("{dtype:?}")]);
        assert_eq!(tensors(&again), expected());
    }
}

#[test]
fn a_saved_model_is_the_same_model() {
    let source = folder(|folder| {
        write(&expected(), &folder.join("model.safetensors"));
        fs::write(folder.join("vocab.json"), "{}").expect("written");
        fs::write(folder.join("unrelated.txt"), "").expect("written");
    });
    let (model, _) = load(source.path()).expect("loads");
    let out = tempfile::tempdir().expect("a temporary folder");
    let out = out.path().join("new/folder");
    save_pretrained(&model, model.config(), Some(source.path()), &out).expect("saves");
    let mut files: Vec<String> = fs::read_dir(&out)
        .expect("read")
        .map(|entry| {
            entry
                .expect("read")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    assert_eq!(files, ["config.json", "model.safetensors", "vocab.json"]);
    let bytes = fs::read(out.join("model.safetensors")).expect("read");
    let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("valid");
    let format = metadata
        .metadata()
        .as_ref()
        .and_then(|map| map.get("format"));
    assert_eq!(format.map(String::as_str), Some("pt"));
    assert!(metadata.info("model.decoder.embed_tokens.weight").is_some());
    let (again, _) = load(&out).expect("loads");
    assert_eq!(tensors(&again), tensors(&model));
    assert_eq!(again.config().hidden_size, model.config().hidden_size);
    // over itself, too
    save_pretrained(&again, again.config(), Some(&out), &out).expect("saves");
    assert_eq!(tensors(&load(&out).expect("loads").0), tensors(&model));
}

#[test]
fn what_cannot_be_written_is_named() {
    let config = ModelConfig::from_folder(&fixture("")).expect("the fixture");
    let model: Model<B> = seeded::model(&config, 1);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let error = save_pretrained(&model, model.config(), None, &file).expect_err("not a folder");
    assert!(error.to_string().contains("file"), "{error}");
}

/// The round trip of a real checkpoint keeps its configuration.
#[test]
fn a_pretrained_configuration_survives() {
    let Some(folder) = crate::reference::shared("models/opt-tiny-5m") else {
        return;
    };
    let (model, _) = load(&folder).expect("loads");
    let out = tempfile::tempdir().expect("a temporary folder");
    save_pretrained(&model, model.config(), Some(&folder), out.path()).expect("saves");
    let read = |folder: &Path| -> serde_json::Value {
        let text = fs::read_to_string(folder.join("config.json")).expect("read");
        serde_json::from_str(&text).expect("valid JSON")
    };
    let mut before = read(&folder);
    before["torch_dtype"] = "float32".into();
    assert_eq!(read(out.path()), before);
    assert!(out.path().join("tokenizer.json").is_file());
}

/// Older versions of PEFT wrote their tensors with `torch.save`.
#[test]
fn an_adapter_may_be_a_pytorch_file() {
    let folder = folder(|folder| {
        write(&expected(), &folder.join("model.safetensors"));
        let adapter = "adapter_model.bin";
        fs::copy(fixture(adapter), folder.join(adapter)).expect("copied");
        let config =
            r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": "all-linear"}"#;
        fs::write(folder.join("adapter_config.json"), config).expect("written");
    });
    let (base, _) = load(folder.path()).expect("loads");
    let model = base.with_adapter_from(folder.path()).expect("loads");
    let found = tensors(&model);
    let a = &found["decoder.layers.0.self_attn.q_proj.lora.a"];
    assert_eq!(a, &(vec![2, 4], vec![0.5; 8]));
    assert!(!found.contains_key("decoder.layers.0.fc1.lora.a"));
}
