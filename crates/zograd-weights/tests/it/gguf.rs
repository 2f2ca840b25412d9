//! GGUF files, read and written as the gguf package of Python does.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use half::{bf16, f16};
use safetensors::SafeTensors;
use zograd_weights::gguf::{Array, GgufFile, Metadata, Quantised, Value, WrittenType, write_gguf};
use zograd_weights::{Float, ReadError, Storage, Stored, StoredTensor, TensorSource};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/gguf")
        .join(name)
}

/// Shape and values of a tensor of `expected.safetensors`.
fn expected(name: &str) -> (Vec<usize>, Vec<f32>) {
    let bytes = fs::read(fixture("expected.safetensors")).expect("the fixture");
    let file = SafeTensors::deserialize(&bytes).expect("a valid file");
    let view = file.tensor(name).expect("known");
    let words = view.data().as_chunks().0.iter();
    let values = words.map(|word| f32::from_le_bytes(*word)).collect();
    (view.shape().to_vec(), values)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn every_type_has_the_values_that_the_gguf_package_gives() {
    let mut file = GgufFile::open(&fixture("blocks.gguf")).expect("opens");
    let floats = [Float::F32, Float::F16, Float::BF16, Float::F64];
    let floats = floats.map(|float| (format!("{float:?}"), Stored::Float(float)));
    let blocks = Quantised::ALL.map(|it| (format!("{it:?}"), Stored::Quantised(it)));
    let all: Vec<(String, Stored)> = floats.into_iter().chain(blocks).collect();
    assert_eq!(file.entries().len(), all.len());
    for (name, stored) in all {
        let (shape, values) = expected(&name);
        let entry = &file.entries()[&name];
        assert_eq!((&entry.shape, &entry.stored), (&shape, &stored), "{name}");
        let data = file.read(&name, Storage::F32).expect("reads");
        assert_eq!(data.shape.to_vec(), shape, "{name}");
        let found = data.as_slice::<f32>().expect("f32");
        assert_eq!(bits(found), bits(&values), "{name}");
        let half = file.read(&name, Storage::F16).expect("reads");
        let rounded: Vec<f16> = values.iter().map(|x| f16::from_f32(*x)).collect();
        assert_eq!(half.as_slice::<f16>().expect("f16"), rounded, "{name}");
        let half = file.read(&name, Storage::Bf16).expect("reads");
        let rounded: Vec<bf16> = values.iter().map(|x| bf16::from_f32(*x)).collect();
        assert_eq!(half.as_slice::<bf16>().expect("bf16"), rounded, "{name}");
    }
}

/// More than is decoded at a time, in threads.
#[test]
fn a_large_tensor_has_the_values_of_its_blocks() {
    let (rows, row) = (1200, 256);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.gguf");
    let value = |i: usize| (i % 1013) as f32 - 500.0;
    let tensor = StoredTensor {
        dtype: Float::F32,
        shape: vec![rows, row],
        data: Box::new(move || {
            Box::new((0..rows).map(move |r| {
                let values: Vec<f32> = (0..row).map(|i| value(r * row + i)).collect();
                TensorData::new(values, [1, row])
            }))
        }),
    };
    let tensors = [("it".to_owned(), WrittenType::Q8_0, tensor)];
    write_gguf(&Metadata::default(), &tensors, &path).expect("written");
    let mut file = GgufFile::open(&path).expect("opens");
    let data = file.read("it", Storage::F32).expect("reads");
    let found = data.as_slice::<f32>().expect("f32");
    assert_eq!(found.len(), rows * row);
    // half a step of 127 to the largest, and the rounding of the step to f16
    for (i, found) in found.iter().enumerate() {
        let off = (found - value(i)).abs();
        assert!(off <= 512.0 / 127.0 * 0.5 + 512.0 / 2048.0, "{i}: {found}");
    }
}

#[test]
fn metadata_of_every_type_is_read() {
    let file = GgufFile::open(&fixture("blocks.gguf")).expect("opens");
    let metadata = file.metadata();
    for (key, value) in [
        ("uint8", Value::U8(200)),
        ("int8", Value::I8(-100)),
        ("uint16", Value::U16(60000)),
        ("int16", Value::I16(-30000)),
        ("uint32", Value::U32(4_000_000_000)),
        ("int32", Value::I32(-2_000_000_000)),
        ("float32", Value::F32(0.1)),
        ("uint64", Value::U64(1 << 63)),
        ("int64", Value::I64(i64::MIN)),
        ("float64", Value::F64(0.1)),
        ("bool", Value::Bool(true)),
        ("string", Value::Text("Gr\u{fc}n".to_owned())),
        ("array.uint8", Array::U8(vec![1, 2]).into()),
        ("array.int32", Array::I32(vec![-1, 3]).into()),
        ("array.float32", Array::F32(vec![0.5]).into()),
        ("array.bool", Array::Bool(vec![true, false]).into()),
        (
            "array.string",
            Array::Text(["a", "", "\u{2581}b"].map(str::to_owned).to_vec()).into(),
        ),
    ] {
        assert_eq!(metadata.get(&format!("test.{key}")), Some(&value), "{key}");
    }
    assert_eq!(metadata.whole("test.uint8"), Ok(Some(200)));
    assert_eq!(metadata.float("test.float32"), Ok(Some(f64::from(0.1f32))));
    assert_eq!(metadata.flag("test.bool"), Ok(Some(true)));
    assert_eq!(
        metadata.integers("test.array.int32"),
        Ok(Some(&[-1, 3][..]))
    );
    assert_eq!(metadata.floats("test.array.float32"), Ok(Some(&[0.5][..])));
    let texts = metadata.texts("test.array.string").expect("texts");
    assert_eq!(texts.map(<[String]>::len), Some(3));
    let error = metadata.whole("test.int32").expect_err("negative");
    assert_eq!(
        error.to_string(),
        "its metadata \"test.int32\" is a signed whole number, not a whole number"
    );
}

/// The tensors of `written.gguf`.
fn written() -> Vec<(String, WrittenType, StoredTensor)> {
    let (shape, values) = expected("plain");
    let line = values[..5].to_vec();
    let stored = |shape: Vec<usize>, values: Vec<f32>| {
        let tensor = shape.clone();
        StoredTensor {
            dtype: Float::F32,
            shape,
            // a row at a time
            data: Box::new(move || {
                let row = tensor.last().copied().unwrap_or(1);
                let rows: Vec<TensorData> = values
                    .chunks(row)
                    .map(|row| TensorData::new(row.to_vec(), [row.len()]))
                    .collect();
                Box::new(rows.into_iter())
            }),
        }
    };
    let types = [
        WrittenType::F32,
        WrittenType::F16,
        WrittenType::BF16,
        WrittenType::Q8_0,
    ];
    let mut tensors: Vec<_> = types
        .map(|it| (format!("{it:?}"), it, stored(shape.clone(), values.clone())))
        .into();
    tensors.push(("line".to_owned(), WrittenType::F32, stored(vec![5], line)));
    tensors
}

fn about() -> Metadata {
    let mut metadata = Metadata::default();
    metadata.set("general.architecture", "none");
    metadata.set("none.block_count", 3);
    let tokens = ["a", "bc", "\u{2581}"].map(str::to_owned).to_vec();
    metadata.set("tokenizer.ggml.tokens", Array::Text(tokens));
    metadata
}

#[test]
fn what_is_written_has_the_bytes_that_the_gguf_package_writes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    write_gguf(&about(), &written(), &path).expect("written");
    let found = fs::read(&path).expect("there");
    assert!(found == fs::read(fixture("written.gguf")).expect("the fixture"));
    let file = GgufFile::open(&path).expect("opens");
    assert_eq!(file.metadata(), &about());
}

#[test]
fn all_metadata_comes_back() {
    let file = GgufFile::open(&fixture("blocks.gguf")).expect("opens");
    let mut metadata = file.metadata().clone();
    let nested = vec![Array::U16(vec![1]), Array::Text(Vec::new())];
    metadata.set("nested", Array::Array(nested));
    metadata.set("i16s", Array::I16(vec![-3]));
    metadata.set("u64s", Array::U64(vec![1 << 40]));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    write_gguf(&metadata, &[], &path).expect("written");
    let again = GgufFile::open(&path).expect("opens");
    assert_eq!(again.metadata(), &metadata);
}

#[test]
fn what_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    let tensor = |shape: &[usize], pieces: usize| StoredTensor {
        dtype: Float::F32,
        shape: shape.to_vec(),
        data: Box::new(move || {
            Box::new((0..pieces).map(|_| TensorData::new(vec![0.0f32; 32], [32])))
        }),
    };
    let mut aligned = Metadata::default();
    aligned.set("general.alignment", 64);
    for (metadata, written, tensor, reason) in [
        (
            Metadata::default(),
            WrittenType::Q8_0,
            tensor(&[2, 33], 2),
            "blocks of 32",
        ),
        (
            Metadata::default(),
            WrittenType::Q8_0,
            tensor(&[32], 1),
            "blocks of 32",
        ),
        (
            Metadata::default(),
            WrittenType::F32,
            tensor(&[1; 5], 1),
            "four dimensions",
        ),
        (
            Metadata::default(),
            WrittenType::F16,
            tensor(&[3, 32], 2),
            "192 bytes and has 128",
        ),
        (
            aligned,
            WrittenType::F32,
            tensor(&[32], 1),
            "general.alignment",
        ),
    ] {
        let tensors = [("it".to_owned(), written, tensor)];
        let error = write_gguf(&metadata, &tensors, &path).expect_err("refused");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// A tensor in a file that is put together by hand.
#[derive(Clone)]
struct Listed {
    name: &'static str,
    dimensions: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn listed(name: &'static str, dimensions: &[u64], kind: u32, offset: u64) -> Listed {
    Listed {
        name,
        dimensions: dimensions.to_vec(),
        kind,
        offset,
    }
}

/// A file with this metadata (keys, types and values as they are written), tensors and bytes of data.
fn file(keys: &[(&str, Vec<u8>)], tensors: &[Listed], data: usize) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in keys {
        bytes.extend(text(key));
        bytes.extend(value);
    }
    for tensor in tensors {
        bytes.extend(text(tensor.name));
        bytes.extend((tensor.dimensions.len() as u32).to_le_bytes());
        bytes.extend(tensor.dimensions.iter().flat_map(|it| it.to_le_bytes()));
        bytes.extend(tensor.kind.to_le_bytes());
        bytes.extend(tensor.offset.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// An array in an array in an array, and so on.
fn nested(depth: usize) -> Vec<u8> {
    let level = [&9u32.to_le_bytes()[..], &1u64.to_le_bytes()].concat();
    let numbers = [&0u32.to_le_bytes()[..], &0u64.to_le_bytes()].concat();
    [9u32.to_le_bytes().to_vec(), level.repeat(depth), numbers].concat()
}

fn refused(bytes: &[u8]) -> ReadError {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    fs::write(&path, bytes).expect("written");
    let error = GgufFile::open(&path).expect_err("must be refused");
    let text = error.to_string();
    assert!(text.contains("it.gguf") && !text.contains('\n'), "{text}");
    error
}

#[test]
fn what_is_wrong_is_named() {
    let one = listed("one", &[32, 2], 0, 0);
    let good = file(&[], std::slice::from_ref(&one), 256);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    fs::write(&path, &good).expect("written");
    assert!(GgufFile::open(&path).is_ok());

    let number = |number: u32| [&4u32.to_le_bytes()[..], &number.to_le_bytes()].concat();
    let array = |count: u64| {
        let head = [9u32.to_le_bytes(), 8u32.to_le_bytes()].concat();
        [&head[..], &count.to_le_bytes()].concat()
    };
    let with = |at: usize, new: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + new.len()].copy_from_slice(new);
        bytes
    };
    let tensors = |tensors: &[Listed], data| file(&[], tensors, data);
    for (bytes, reason) in [
        (with(0, b"GGML"), "letters GGUF"),
        (with(4, &[0, 0, 0, 3]), "big-endian"),
        (with(4, &[1]), "version 1"),
        (with(4, &[4]), "version 4"),
        (with(8, &[0xff; 8]), "claims 18446744073709551615 tensors"),
        (with(16, &[0xff; 7]), "keys of metadata"),
        (good[..good.len() - 1].to_vec(), "\"one\" reaches beyond"),
        (good[..20].to_vec(), "4 bytes are not enough"),
        (good[..45].to_vec(), "cut off"),
        (Vec::new(), "cut off"),
        (
            tensors(&[listed("one", &[32, 3], 0, 0)], 256),
            "\"one\" reaches beyond",
        ),
        (
            tensors(&[listed("one", &[32, 2], 0, u64::MAX - 31)], 256),
            "reaches beyond",
        ),
        (tensors(&[listed("one", &[1], 0, 4)], 256), "multiple of 32"),
        (
            tensors(&[listed("one", &[33, 32], 2, 0)], 2048),
            "whole blocks of 32",
        ),
        (
            tensors(&[listed("one", &[32, 8], 12, 0)], 2048),
            "whole blocks of 256",
        ),
        (
            tensors(&[listed("one", &[1; 5], 0, 0)], 256),
            "5 dimensions",
        ),
        (
            tensors(&[listed("one", &[1 << 40, 1 << 40], 0, 0)], 256),
            "no machine",
        ),
        (
            tensors(&[one.clone(), listed("two", &[8], 0, 224)], 256),
            "\"one\" and \"two\" lie over one another",
        ),
        (
            tensors(&[one.clone(), listed("one", &[8], 0, 256)], 288),
            "one is stored twice",
        ),
        (
            file(&[("general.alignment", number(24))], &[], 0),
            "no power of two",
        ),
        (
            file(&[("general.alignment", number(0))], &[], 0),
            "no power of two",
        ),
        (
            file(&[("a", number(1)), ("a", number(2))], &[], 0),
            "\"a\" more than once",
        ),
        (
            file(&[("a", 13u32.to_le_bytes().to_vec())], &[], 0),
            "no type of a value",
        ),
        (file(&[("a", array(1 << 60))], &[], 0), "values of an array"),
        (file(&[("a", nested(100))], &[], 0), "nested deeper"),
        (
            file(&[("a", [&7u32.to_le_bytes()[..], &[2]].concat())], &[], 0),
            "no truth value",
        ),
        (
            file(
                &[(
                    "a",
                    [&8u32.to_le_bytes()[..], &1u64.to_le_bytes(), b"\xff"].concat(),
                )],
                &[],
                0,
            ),
            "no UTF-8",
        ),
    ] {
        let error = refused(&bytes).to_string();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    assert!(matches!(
        refused(&with(4, &[0, 0, 0, 2])),
        ReadError::Unsupported { .. }
    ));
}

#[test]
fn version_2_and_another_alignment_are_read() {
    let key = [&4u32.to_le_bytes()[..], &8u32.to_le_bytes()].concat();
    let tensors = [listed("a", &[1], 0, 0), listed("b", &[3, 1], 0, 8)];
    let mut bytes = file(&[("general.alignment", key)], &tensors, 0);
    bytes[4] = 2;
    // without the padding to 32
    let head = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
    bytes.truncate((head + 7).next_multiple_of(8));
    bytes.extend(1f32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([2f32, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    fs::write(&path, bytes).expect("written");
    let mut file = GgufFile::open(&path).expect("opens");
    let read = |file: &mut GgufFile, name: &str| {
        let data = file.read(name, Storage::F32).expect("reads");
        (data.shape.to_vec(), data.to_vec::<f32>().expect("f32"))
    };
    assert_eq!(read(&mut file, "a"), (vec![1], vec![1.0]));
    assert_eq!(read(&mut file, "b"), (vec![1, 3], vec![2.0, 3.0, 4.0]));
}

/// Of a type that is not read, or with what is no number: an error when it is asked for.
#[test]
fn a_tensor_that_cannot_be_read_hinders_no_other() {
    let tensors = [
        listed("a", &[256], 16, 0),
        listed("b", &[1], 99, 0),
        listed("c", &[2], 0, 0),
    ];
    let mut bytes = file(&[], &tensors, 8);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("it.gguf");
    fs::write(&path, &bytes).expect("written");
    let mut file = GgufFile::open(&path).expect("opens");
    assert!(file.read("c", Storage::F32).is_ok());
    for (name, reason) in [
        ("a", "a in"),
        ("a", "IQ2_XXS"),
        ("b", "the unknown type 99"),
        ("d", "holds no tensor d"),
    ] {
        let error = file.read(name, Storage::F32).expect_err("refused");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, &bytes).expect("written");
    let mut file = GgufFile::open(&path).expect("opens");
    let error = file.read("c", Storage::F32).expect_err("no number");
    assert!(error.to_string().contains("c in"), "{error}");
}
