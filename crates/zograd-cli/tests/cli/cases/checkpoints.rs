//! The weights and tables that the cases describe without storing them.

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// A tensor of f16 numbers.
#[derive(Clone)]
pub struct Param {
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

pub type Params = BTreeMap<String, Param>;

/// The tensors of a model folder.
pub fn params(model: &Path) -> Params {
    let bytes = fs::read(model.join("model.safetensors")).expect("weights");
    let file = SafeTensors::deserialize(&bytes).expect("valid");
    let param = |(name, view): (&str, TensorView<'_>)| {
        assert_eq!(view.dtype(), Dtype::F16);
        let (shape, bytes) = (view.shape().to_vec(), view.data().to_vec());
        (name.to_owned(), Param { shape, bytes })
    };
    file.iter().map(param).collect()
}

/// Writes `model.safetensors`, whose header has these texts.
pub fn header(tensors: &Params, texts: &[(&str, &str)], folder: &Path) {
    let views = tensors.iter().map(|(name, param)| {
        let view = TensorView::new(Dtype::F16, param.shape.clone(), &param.bytes);
        (name.as_str(), view.expect("a valid view"))
    });
    let texts = texts
        .iter()
        .map(|(key, text)| (String::from(*key), String::from(*text)));
    let texts: HashMap<String, String> = texts.collect();
    serialize_to_file(views, Some(texts), &folder.join("model.safetensors")).expect("written");
}

/// Writes `pytorch_model.bin` as `torch.save` does: each of the `shared` names is the tensor behind it, and the
/// `expanded` ones have one number, repeated.
pub fn bin(tensors: &Params, shared: &[(&str, &str)], expanded: &[&str], folder: &Path) {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let mut put = |name: String, bytes: &[u8]| {
        let file = archive.new_file(name.as_str());
        let file = file.compression_method(CompressionMethod::STORE);
        let (mut entry, config) = file.start().expect("a new entry");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(bytes).expect("in memory");
        let (_, descriptor) = writer.finish().expect("in memory");
        entry.finish(descriptor).expect("in memory");
    };
    let names: Vec<&str> = tensors.keys().map(String::as_str).collect();
    let of = |name: &str| {
        names
            .iter()
            .position(|other| *other == name)
            .expect("known")
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    let same = names.iter().map(|name| (*name, *name));
    for (name, stored) in same.chain(shared.iter().copied()) {
        let is_expanded = expanded.contains(&name);
        let param = &tensors[stored];
        let elements = match is_expanded {
            true => 1,
            false => param.bytes.len() / 2,
        };
        let strides: Vec<usize> = (0..param.shape.len())
            .map(|i| match is_expanded {
                true => 0,
                false => param.shape[i + 1..].iter().product(),
            })
            .collect();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend(text("storage"));
        pickle.extend(b"ctorch\nHalfStorage\n");
        pickle.extend([text(&of(stored).to_string()), text("cpu"), int(elements)].concat());
        pickle.extend(b"tQK\x00");
        pickle.extend([tuple(&param.shape), tuple(&strides)].concat());
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        if name == stored {
            let bytes = &param.bytes[..2 * elements];
            put(format!("archive/data/{}", of(name)), bytes);
        }
    }
    pickle.extend(b"u.");
    put("archive/data.pkl".to_owned(), &pickle);
    let bytes = archive.finish().expect("in memory");
    fs::write(folder.join("pytorch_model.bin"), bytes).expect("written");
}

fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [&b"X"[..], &length, text.as_bytes()].concat()
}

fn int(value: usize) -> Vec<u8> {
    [&b"J"[..], &(value as i32).to_le_bytes()].concat()
}

fn tuple(values: &[usize]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| int(*value)).collect();
    [&b"("[..], &values, b"t"].concat()
}

/// An OPT of the width of its adapter with three layers, of small numbers.
pub fn three_layers(folder: &Path) {
    const HIDDEN: usize = 32;
    let (vocabulary, positions, ffn) = (8192, 512, 2 * HIDDEN);
    fs::create_dir_all(folder).expect("a folder");
    let config = serde_json::json!({
        "model_type": "opt", "vocab_size": vocabulary, "hidden_size": HIDDEN, "ffn_dim": ffn,
        "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": positions,
        "bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1,
    });
    fs::write(folder.join("config.json"), config.to_string()).expect("written");
    let mut tensors = Params::new();
    let mut state = 1u32;
    let mut put = |name: &str, shape: &[usize]| {
        let count: usize = shape.iter().product();
        let mut bytes = Vec::with_capacity(2 * count);
        for _ in 0..count {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // between 1/32 and 1/16, of either sign
            let bits = 0x2800 | (state >> 22) as u16 | ((state >> 16) as u16 & 0x8000);
            bytes.extend(bits.to_le_bytes());
        }
        let shape = shape.to_vec();
        tensors.insert(format!("model.decoder.{name}"), Param { shape, bytes });
    };
    put("embed_tokens.weight", &[vocabulary, HIDDEN]);
    put("embed_positions.weight", &[positions + 2, HIDDEN]);
    put("final_layer_norm.weight", &[HIDDEN]);
    put("final_layer_norm.bias", &[HIDDEN]);
    for layer in 0..3 {
        for (part, wide, narrow) in [
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", HIDDEN, HIDDEN),
            ("self_attn.v_proj", HIDDEN, HIDDEN),
            ("self_attn.out_proj", HIDDEN, HIDDEN),
            ("fc1", ffn, HIDDEN),
            ("fc2", HIDDEN, ffn),
        ] {
            put(&format!("layers.{layer}.{part}.weight"), &[wide, narrow]);
            put(&format!("layers.{layer}.{part}.bias"), &[wide]);
        }
        for norm in ["self_attn_layer_norm", "final_layer_norm"] {
            put(&format!("layers.{layer}.{norm}.weight"), &[HIDDEN]);
            put(&format!("layers.{layer}.{norm}.bias"), &[HIDDEN]);
        }
    }
    header(&tensors, &[], folder);
}

/// `data`: 60 columns of numbers beside the two that are read; `long`: texts of 60 KB.
pub fn tables(case: &Path, _: &Path) {
    let numbers: Vec<f64> = (0..150_000).map(|i| f64::from(i).sin()).collect();
    let short: Vec<String> = (0..numbers.len()).map(|i| format!("a film {i}")).collect();
    table(&case.join("data"), &short, &numbers, 60);
    let mut state = 1u32;
    let long: Vec<String> = (0..1200)
        .map(|_| {
            let mut text = String::new();
            while text.len() < 60_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(&format!("{} ", state >> 8));
            }
            text
        })
        .collect();
    table(&case.join("long"), &long, &numbers, 0);
}

fn table(folder: &Path, sentences: &[String], numbers: &[f64], columns: usize) {
    let mut schema =
        "message m { REQUIRED BYTE_ARRAY sentence (UTF8); REQUIRED INT64 label;".to_owned();
    for column in 0..columns {
        schema.push_str(&format!(" REQUIRED DOUBLE feature_{column};"));
    }
    let schema = parse_message_type(&(schema + " }")).expect("a schema");
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
    fs::create_dir_all(folder).expect("a folder");
    let path = folder.join("train.parquet");
    let file = File::create(&path).expect("a new file");
    let mut writer =
        SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
            .expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let texts: Vec<ByteArray> = sentences.iter().map(|text| text.as_str().into()).collect();
    let mut column = group.next_column().expect("writable").expect("sentence");
    column
        .typed::<ByteArrayType>()
        .write_batch(&texts, None, None)
        .expect("texts");
    column.close().expect("closed");
    let labels: Vec<i64> = (0..sentences.len()).map(|i| i as i64 % 2).collect();
    let mut column = group.next_column().expect("writable").expect("label");
    column
        .typed::<Int64Type>()
        .write_batch(&labels, None, None)
        .expect("labels");
    column.close().expect("closed");
    for _ in 0..columns {
        let mut column = group.next_column().expect("writable").expect("a feature");
        column
            .typed::<DoubleType>()
            .write_batch(numbers, None, None)
            .expect("numbers");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
    fs::copy(&path, folder.join("validation.parquet")).expect("a copy");
}
