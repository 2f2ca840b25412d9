//! Models in GGUF files are those that transformers reads from them, and come back when they are written.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use half::f16;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;
use zograd_models::gguf::{GgufError, GgufModel, GgufTokenizer, WrittenType, save_gguf};
use zograd_weights::gguf::{Array, GgufFile, Metadata, write_gguf};
use zograd_weights::{Float, Names, Storage, StoredTensor, TensorSource};

use crate::weights::Tensors;

const FAMILIES: [&str; 5] = ["llama", "llama_untied", "qwen2", "qwen3", "gemma3"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/gguf")
        .join(name)
}

fn open(name: &str) -> GgufModel {
    GgufModel::open(&fixture(&format!("{name}.gguf"))).expect("opens")
}

/// The tensors of the model of transformers that a file was made of.
fn expected(name: &str) -> Tensors {
    let bytes = fs::read(fixture(&format!("{name}.safetensors"))).expect("the fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let floats = |bytes: &[u8]| {
        let words = bytes.as_chunks().0.iter();
        words
            .map(|word| f16::from_le_bytes(*word).to_f32())
            .collect()
    };
    let tensors = file.iter();
    tensors
        .map(|(name, view)| {
            let tensor = (view.shape().to_vec(), floats(view.data()));
            (name.to_owned(), tensor)
        })
        .collect()
}

fn tensors(model: GgufModel, names: &dyn Names, storage: Storage) -> Tensors {
    let mut tensors = model.tensors(names).expect("distinct names");
    let all: Vec<String> = tensors.entries().keys().cloned().collect();
    let read = all.into_iter().map(|name| {
        let data = tensors.read(&name, storage).expect("reads");
        assert_eq!(data.dtype, storage.into());
        assert_eq!(data.shape.to_vec(), tensors.entries()[&name].shape);
        let values = (data.shape.to_vec(), data.iter().collect());
        (name, values)
    });
    read.collect()
}

#[test]
fn the_tensors_are_those_of_transformers() {
    for name in FAMILIES {
        let wanted = expected(name);
        for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
            // all values are exact in each of them
            assert_eq!(tensors(open(name), &(), storage), wanted, "{name}");
        }
    }
}

/// A model that asks for names without the leading `model.`.
struct Bare;

impl Names for Bare {
    fn canonical<'n>(&self, stored: &'n str) -> &'n str {
        stored.strip_prefix("model.").unwrap_or(stored)
    }
}

#[test]
fn a_model_may_ask_for_other_names() {
    let found = tensors(open("qwen2"), &Bare, Storage::F32);
    let bare = expected("qwen2").into_iter().map(|(name, tensor)| {
        let name = Bare.canonical(&name).to_owned();
        (name, tensor)
    });
    assert_eq!(found, bare.collect::<Tensors>());
}

/// What all of the fixtures have, and more.
fn config(more: Value) -> Map<String, Value> {
    let mut config = json!({
        "vocab_size": 24, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
    });
    let (config, more) = (config.as_object_mut(), more.as_object().cloned());
    let config = config.expect("an object");
    config.extend(more.expect("an object"));
    config.clone()
}

fn configs() -> [(&'static str, Map<String, Value>); 5] {
    let llama = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "head_dim": 32,
        "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0, "tie_word_embeddings": true, "hidden_act": "silu",
        "attention_bias": false, "mlp_bias": false,
        "rope_scaling": {
            "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
    });
    let untied = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "head_dim": 4,
        "tie_word_embeddings": false, "hidden_act": "silu", "attention_bias": false,
        "mlp_bias": false,
    });
    let qwen2 = json!({
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "head_dim": 4,
        "tie_word_embeddings": false, "hidden_act": "silu",
    });
    let qwen3 = json!({
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "head_dim": 8,
        "tie_word_embeddings": true, "hidden_act": "silu", "attention_bias": false,
    });
    let gemma3 = json!({
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 8,
        "tie_word_embeddings": true, "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": false, "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0,
        "sliding_window": 16, "sliding_window_pattern": 6, "query_pre_attn_scalar": 8,
    });
    [
        ("llama", config(llama)),
        ("llama_untied", config(untied)),
        ("qwen2", config(qwen2)),
        ("qwen3", config(qwen3)),
        ("gemma3", config(gemma3)),
    ]
}

#[test]
fn the_configuration_is_that_of_a_folder() {
    for (name, config) in configs() {
        assert_eq!(open(name).config_json(), &config, "{name}");
    }
}

/// Tensors to be written, a row at a time.
fn stored(tensors: &Tensors) -> Vec<(String, StoredTensor)> {
    let stored = tensors.clone().into_iter().map(|(name, tensor)| {
        let (shape, values) = tensor;
        let row = shape.last().copied().unwrap_or(1);
        let tensor = StoredTensor {
            dtype: Float::F32,
            shape,
            data: Box::new(move || {
                let rows = values.chunks(row);
                let rows: Vec<TensorData> = rows
                    .map(|row| TensorData::new(row.to_vec(), [row.len()]))
                    .collect();
                Box::new(rows.into_iter())
            }),
        };
        (name, tensor)
    });
    stored.collect()
}

#[test]
fn a_written_model_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    for (name, config) in configs() {
        let wanted = expected(name);
        for written in [WrittenType::F32, WrittenType::F16, WrittenType::BF16] {
            save_gguf(&config, None, stored(&wanted), written, &path).expect("saves");
            let again = GgufModel::open(&path).expect("opens");
            assert_eq!(again.config_json(), &config, "{name}");
            assert_eq!(tensors(again, &(), Storage::F32), wanted, "{name}");
        }
        // as the file that it was made of has them: with llama.cpp's order of rows, and its norms
        save_gguf(&config, None, stored(&wanted), WrittenType::F16, &path).expect("saves");
        let [mut ours, mut theirs] = [path.clone(), fixture(&format!("{name}.gguf"))]
            .map(|path| GgufFile::open(&path).expect("opens"));
        let entries = theirs.entries().clone();
        assert_eq!(ours.entries(), &entries, "{name}");
        for tensor in entries.keys() {
            let [ours, theirs] = [&mut ours, &mut theirs]
                .map(|file| file.read(tensor, Storage::F32).expect("reads"));
            if tensor == "rope_freqs.weight" {
                // ours are made in f64 and rounded, theirs in f32
                for (ours, theirs) in ours.iter::<f32>().zip(theirs.iter::<f32>()) {
                    assert!((ours / theirs - 1.0).abs() < 1e-5, "{ours} {theirs}");
                }
            } else {
                assert_eq!(ours, theirs, "{tensor} of {name}");
            }
        }
    }
}

#[test]
fn eight_bits_are_near() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    let (name, config) = configs()[0].clone();
    let wanted = expected(name);
    save_gguf(&config, None, stored(&wanted), WrittenType::Q8_0, &path).expect("saves");
    let file = GgufFile::open(&path).expect("opens");
    let kind = |tensor: &str| file.entries()[tensor].stored.to_string();
    // rows of 32 are blocks, those of 16 are none; a line is what it was
    assert_eq!(kind("blk.0.ffn_down.weight"), "Q8_0");
    assert_eq!(kind("blk.0.ffn_up.weight"), "F16");
    assert_eq!(kind("blk.0.ffn_norm.weight"), "F32");
    let found = tensors(GgufModel::open(&path).expect("opens"), &(), Storage::F32);
    assert_ne!(found, wanted);
    for (tensor, (_, values)) in wanted {
        for (value, found) in values.iter().zip(&found[&tensor].1) {
            // values are at most 1: half a step, and the rounding of the step to f16
            assert!(
                (value - found).abs() <= 0.5 / 127.0 + 1.0 / 2048.0,
                "{tensor}"
            );
        }
    }
}

fn texts() -> Value {
    let text = fs::read_to_string(fixture("texts.json")).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// The ids of every text.
fn ids(tokenizer: &Tokenizer, special: bool) -> Value {
    let texts = texts();
    let texts = texts["texts"].as_array().expect("texts").iter();
    let ids = texts.map(|text| {
        let text = text.as_str().expect("a text");
        let encoding = tokenizer.encode(text, special).expect("encodes");
        json!(encoding.get_ids())
    });
    ids.collect()
}

/// A file of the fixture with other metadata and no tensors.
fn changed(name: &str, change: impl FnOnce(&mut Metadata)) -> tempfile::TempDir {
    let file = GgufFile::open(&fixture(&format!("{name}.gguf"))).expect("opens");
    let mut metadata = file.metadata().clone();
    change(&mut metadata);
    let folder = tempfile::tempdir().expect("a folder");
    write_gguf(&metadata, &[], &folder.path().join("it.gguf")).expect("written");
    folder
}

fn tokenizer(folder: &tempfile::TempDir) -> Result<Tokenizer, GgufError> {
    GgufModel::open(&folder.path().join("it.gguf"))?.tokenizer()
}

#[test]
fn byte_level_tokenizers_give_the_ids_of_hugging_face() {
    let mut seen = Vec::new();
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2"] {
        let folder = changed("byte_level", |metadata| {
            metadata.set("tokenizer.ggml.pre", pre);
        });
        let found = ids(&tokenizer(&folder).expect("a tokenizer"), true);
        for (number, text) in texts()["texts"]
            .as_array()
            .expect("texts")
            .iter()
            .enumerate()
        {
            assert_eq!(found[number], texts()[pre][number], "{pre}: {text}");
        }
        assert!(!seen.contains(&found), "{pre} splits as another does");
        seen.push(found);
    }
}

#[test]
fn sentencepiece_tokenizers_give_its_ids() {
    let model = open("sentencepiece");
    let tokenizer = model.tokenizer().expect("a tokenizer");
    let found = ids(&tokenizer, false);
    let texts = texts();
    for (number, text) in texts["texts"].as_array().expect("texts").iter().enumerate() {
        let text = text.as_str().expect("a text");
        // around such a token llama.cpp and the tokenizers of Hugging Face read each side as a text of its own
        match text.split_once("<tool>") {
            None => assert_eq!(found[number], texts["sentencepiece"][number], "{text}"),
            Some((before, after)) => {
                let [before, after] = [before, after].map(|part| ids_of(&tokenizer, part));
                assert_eq!(
                    found[number],
                    json!([before, vec![3], after].concat()),
                    "{text}"
                );
            }
        }
    }
    // files that do not say begin texts with a token
    let encoding = tokenizer.encode("a", true).expect("encodes");
    assert_eq!(encoding.get_ids()[0], 1);
    assert_eq!(encoding.get_ids()[1..], ids_of(&tokenizer, "a"));
    assert_eq!(
        tokenizer
            .decode(&ids_of(&tokenizer, "a b"), true)
            .ok()
            .as_deref(),
        Some("a b")
    );
}

fn ids_of(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let encoding = tokenizer.encode(text, false).expect("encodes");
    encoding.get_ids().to_vec()
}

#[test]
fn what_stands_around_a_text_is_what_the_file_says() {
    for (begins, ends, wanted) in [
        (true, false, &[0, 2][..]),
        (true, true, &[0, 2, 1]),
        (false, true, &[2, 1]),
    ] {
        let folder = changed("byte_level", |metadata| {
            metadata.set("tokenizer.ggml.add_bos_token", begins);
            metadata.set("tokenizer.ggml.add_eos_token", ends);
            metadata.set("tokenizer.ggml.pre", "gpt-2");
        });
        let tokenizer = tokenizer(&folder).expect("a tokenizer");
        let letter = ids_of(&tokenizer, "!");
        assert_eq!(letter, [2], "the first byte of the alphabet");
        let encoding = tokenizer.encode("!", true).expect("encodes");
        assert_eq!(encoding.get_ids(), wanted);
    }
}

#[test]
fn a_written_tokenizer_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    let (_, mut config) = configs()[1].clone();
    config.insert("vocab_size".to_owned(), 600.into());
    for pre in ["gpt-2", "smollm", "llama-bpe", "qwen2", "sentencepiece"] {
        let source = match pre {
            "sentencepiece" => changed(pre, |_| ()),
            _ => changed("byte_level", |metadata| {
                metadata.set("tokenizer.ggml.pre", pre);
                metadata.set("tokenizer.ggml.add_bos_token", true);
            }),
        };
        let model = GgufModel::open(&source.path().join("it.gguf")).expect("opens");
        let json = model.tokenizer_json().expect("a tokenizer");
        let tokenizer = GgufTokenizer {
            json: &json,
            chat_template: Some("{{ messages }}"),
        };
        let written = WrittenType::F16;
        save_gguf(&config, Some(tokenizer), Vec::new(), written, &path).expect("saves");
        let again = GgufModel::open(&path).expect("opens");
        assert_eq!(
            again.chat_template().expect("a text"),
            Some("{{ messages }}")
        );
        let (first, second) = (model.tokenizer(), again.tokenizer());
        let (first, second) = (first.expect("one"), second.expect("one"));
        // which token begins a text is the configuration's to say
        assert_eq!(ids(&second, false), ids(&first, false), "{pre}");
        let begun = second.encode("a", true).expect("encodes");
        assert_eq!(begun.get_ids()[0], 1, "{pre}");
        assert_eq!(second.get_vocab_size(true), 600);
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    type Change = fn(&mut Metadata);
    let cases: [(&str, Change, &str); 10] = [
        (
            "llama",
            |it| drop(it.set("general.architecture", "phi3")),
            "\"phi3\"; those that are read: llama, qwen2, qwen3, gemma3",
        ),
        (
            "llama",
            |it| drop(it.set("general.architecture", 3)),
            "\"general.architecture\" is a whole number, not a text",
        ),
        (
            "llama",
            |it| drop(it.set("general.architecture", "qwen2")),
            "no \"qwen2.embedding_length\"",
        ),
        (
            "llama",
            |it| drop(it.set("llama.expert_count", 8)),
            "mixture of experts",
        ),
        (
            "llama",
            |it| drop(it.set("llama.attention.value_length", 8)),
            "a width of 32 and its values one of 8",
        ),
        (
            "llama",
            |it| drop(it.set("llama.rope.freq_base", f32::NAN)),
            "not a finite float",
        ),
        (
            "llama",
            |it| {
                it.set("llama.rope.scaling.type", "longrope");
                it.set("llama.rope.scaling.factor", 4.0);
            },
            "scaled by \"longrope\"",
        ),
        (
            "llama",
            |it| {
                it.set("llama.attention.head_count", 0);
                it.set("llama.attention.head_count_kv", Array::U32(vec![1]));
            },
            "head_count_kv\" is an array",
        ),
        (
            "byte_level",
            |it| drop(it.set("tokenizer.ggml.bos_token_id", Array::U8(vec![1]))),
            "bos_token_id\" is an array",
        ),
        (
            "byte_level",
            |it| drop(it.set("tokenizer.ggml.tokens", 7)),
            "\"tokenizer.ggml.tokens\" is a whole number, not an array of texts",
        ),
    ];
    for (name, change, reason) in cases {
        let folder = changed(name, change);
        let error = GgufModel::open(&folder.path().join("it.gguf")).expect_err(reason);
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains("it.gguf"), "{text}");
    }
}

#[test]
fn tokenizers_that_cannot_be_read_are_named() {
    type Change = fn(&mut Metadata);
    let cases: [(&str, Change, &str); 8] = [
        (
            "byte_level",
            |it| drop(it.set("tokenizer.ggml.model", "t5")),
            "\"t5\"; those that are read: gpt2",
        ),
        (
            "byte_level",
            |it| drop(it.set("tokenizer.ggml.pre", "tekken")),
            "\"tekken\" does; those that are read: gpt-2",
        ),
        (
            "byte_level",
            |it| {
                let merges = Array::Text(vec!["ab".to_owned()]);
                it.set("tokenizer.ggml.merges", merges);
            },
            "\"ab\" is no pair",
        ),
        (
            "byte_level",
            |it| {
                let merges = Array::Text(vec!["no such".to_owned()]);
                it.set("tokenizer.ggml.merges", merges);
            },
            "out of vocabulary",
        ),
        (
            "byte_level",
            |it| drop(it.set("tokenizer.ggml.token_type", Array::I32(vec![1]))),
            "the types of 1",
        ),
        (
            "byte_level",
            |it| drop(it.set("tokenizer.ggml.bos_token_id", 1_000_000)),
            "bos_token_id is 1000000, of",
        ),
        (
            "sentencepiece",
            |it| drop(it.set("tokenizer.ggml.scores", Array::F32(vec![1.0]))),
            "the scores of 1",
        ),
        (
            "sentencepiece",
            |it| {
                let tokens: Vec<String> = (1..=100).map(|length| "a".repeat(length)).collect();
                it.set("tokenizer.ggml.scores", Array::F32(vec![0.0; 100]));
                it.set("tokenizer.ggml.token_type", Array::I32(vec![1; 100]));
                it.set("tokenizer.ggml.tokens", Array::Text(tokens));
            },
            "in over 8 ways",
        ),
    ];
    for (name, change, reason) in cases {
        let folder = changed(name, change);
        let text = tokenizer(&folder).expect_err(reason).to_string();
        assert!(text.contains(reason) && text.contains("it.gguf"), "{text}");
    }
}

#[test]
fn what_has_no_form_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    let (name, config) = configs()[1].clone();
    let with = |key: &str, value: Value| {
        let mut config = config.clone();
        config.insert(key.to_owned(), value);
        config
    };
    let scaled = json!({"rope_type": "dynamic", "factor": 2.0});
    let llama3 = json!({
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    for (config, reason) in [
        (with("model_type", "opt".into()), "\"opt\""),
        (with("hidden_size", Value::Null), "no hidden_size"),
        (
            with("vocab_size", (1u64 << 40).into()),
            "vocab_size is 1099511627776",
        ),
        (with("rope_scaling", scaled), "\"dynamic\""),
        (with("rope_scaling", llama3), "low_freq_factor other than 1"),
        (
            with("model_type", "qwen3".into()),
            "has no name in files of qwen3",
        ),
    ] {
        let mut tensors = expected(name);
        let odd = "model.layers.0.pre_feedforward_layernorm.weight".to_owned();
        tensors.insert(odd, (vec![1], vec![1.0]));
        let saved = save_gguf(&config, None, stored(&tensors), WrittenType::F32, &path);
        let text = saved.expect_err(reason).to_string();
        assert!(text.contains(reason), "{text}");
        assert!(!path.exists());
    }
    let words = json!({"type": "WordLevel"});
    let split = json!({"type": "Whitespace"});
    let large = json!({"type": "BPE", "vocab": {"a": 24}, "merges": []});
    let bpe = json!({"type": "BPE", "vocab": {"a": 0}, "merges": []});
    for (json, reason) in [
        (json!({"model": words}), "\"WordLevel\", and no BPE"),
        (json!({"model": large}), "the id 24, and the model 24 rows"),
        (
            json!({"model": bpe, "pre_tokenizer": split}),
            "no way that has a name",
        ),
    ] {
        let tokenizer = GgufTokenizer {
            json: &json,
            chat_template: None,
        };
        let saved = save_gguf(
            &config,
            Some(tokenizer),
            Vec::new(),
            WrittenType::F32,
            &path,
        );
        let text = saved.expect_err(reason).to_string();
        assert!(text.contains(reason), "{text}");
    }
}
