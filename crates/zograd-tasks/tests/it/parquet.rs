//! Parquet files, written here with the same crate, in the layout of the Hugging Face hub.

use parquet::basic::{BrotliLevel, Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use zograd_tasks::{Dataset, Opening, Row, Split, SplitSizes, Splits, tasks};

/// Rows of `glue/sst2`, `sentences` in row groups.
fn write_sst2(path: &Path, compression: Compression, groups: &[&[(&str, i64)]]) {
    let schema = "message schema {
        OPTIONAL BYTE_ARRAY sentence (UTF8);
        OPTIONAL INT64 label;
        OPTIONAL INT64 idx;
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder().set_compression(compression);
    let file = File::create(path).expect("a new file");
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(properties.build())).expect("a writer");
    for rows in groups {
        let mut group = writer.next_row_group().expect("a row group");
        let levels = vec![1; rows.len()];
        let sentences: Vec<ByteArray> = rows.iter().map(|row| row.0.into()).collect();
        let labels: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let mut column = group.next_column().expect("writable").expect("sentence");
        let written = column.typed::<ByteArrayType>();
        written
            .write_batch(&sentences, Some(&levels), None)
            .expect("values");
        column.close().expect("closed");
        for _ in ["label", "idx"] {
            let mut column = group.next_column().expect("writable").expect("a column");
            let written = column.typed::<Int64Type>();
            written
                .write_batch(&labels, Some(&levels), None)
                .expect("values");
            column.close().expect("closed");
        }
        group.close().expect("closed");
    }
    writer.close().expect("closed");
}

/// One row of `squad`: a list in a struct.
fn write_squad(path: &Path, answers: &[&str]) {
    let schema = "message schema {
        OPTIONAL BYTE_ARRAY title (UTF8);
        OPTIONAL BYTE_ARRAY context (UTF8);
        OPTIONAL BYTE_ARRAY question (UTF8);
        OPTIONAL group answers {
            OPTIONAL group text (LIST) {
                REPEATED group list { OPTIONAL BYTE_ARRAY element (UTF8); }
            }
        }
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let file = File::create(path).expect("a new file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let mut write = |values: &[ByteArray], definition: &[i16], repetition: Option<&[i16]>| {
        let mut column = group.next_column().expect("writable").expect("a column");
        let written = column.typed::<ByteArrayType>();
        written
            .write_batch(values, Some(definition), repetition)
            .expect("values");
        column.close().expect("closed");
    };
    for text in ["Title", "Context", "Question"] {
        write(&[text.into()], &[1], None);
    }
    let values: Vec<ByteArray> = answers.iter().map(|&answer| answer.into()).collect();
    match answers.len() {
        // answers and text are there, the list has no entry
        0 => write(&[], &[2], Some(&[0])),
        n => {
            let repetition: Vec<i16> = (0..n).map(|i| i16::from(i > 0)).collect();
            write(&values, &vec![4; n], Some(&repetition));
        }
    }
    group.close().expect("closed");
    writer.close().expect("closed");
}

fn sentences(rows: &[Row]) -> Vec<(&str, usize)> {
    rows.iter()
        .map(|row| {
            (
                row.text("sentence").expect("text"),
                row.label("label", 9).expect("label"),
            )
        })
        .collect()
}

fn new_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn rows_come_back_from_every_compression_and_row_group() {
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        let folder = new_folder();
        let groups: [&[_]; 3] = [
            &[("fein ", 0), ("schön", 1)],
            &[("c", 2)],
            &[("d", 3), ("e", 4)],
        ];
        write_sst2(&folder.path().join("train.parquet"), compression, &groups);
        write_sst2(
            &folder.path().join("validation.parquet"),
            compression,
            &groups[..1],
        );
        let data = Dataset::open(folder.path()).expect("a data set");
        assert_eq!(data.count(Split::Train).expect("rows"), 5);
        assert_eq!(data.count(Split::Validation).expect("rows"), 2);
        let rows = data.rows(Split::Train, &[4, 1, 0]).expect("rows");
        assert_eq!(sentences(&rows), [("e", 4), ("schön", 1), ("fein ", 0)]);
        assert!(rows[0].location().ends_with("train.parquet row 4"));
        let all = data.range(Split::Train, 0..9).expect("rows");
        let labels: Vec<_> = sentences(&all).into_iter().map(|row| row.1).collect();
        assert_eq!(labels, [0, 1, 2, 3, 4]);
    }
}

#[test]
fn hub_shards_are_read_in_order_and_must_be_complete() {
    let folder = new_folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    let shard = |name: &str, rows: &[(&str, i64)]| {
        write_sst2(&data.join(name), Compression::SNAPPY, &[rows]);
    };
    shard("train-00001-of-00002.parquet", &[("c", 1), ("d", 0)]);
    shard("validation-00000-of-00001.parquet", &[("v", 1)]);
    let error = Dataset::open(folder.path()).expect_err("an incomplete split");
    assert_eq!(
        error.to_string(),
        format!(
            "{} is missing: the train split has 2 shards by its file names",
            data.join("train-00000-of-00002.parquet").display()
        )
    );
    shard("train-00000-of-00002.parquet", &[("a", 0), ("b", 1)]);
    let data = Dataset::open(folder.path()).expect("a data set");
    assert_eq!(data.files(Split::Train).len(), 2);
    let rows = data.rows(Split::Train, &[3, 0, 2]).expect("rows");
    assert_eq!(sentences(&rows), [("d", 0), ("a", 0), ("c", 1)]);
    assert_eq!(rows[0].number(), 3);
    assert!(
        rows[0]
            .location()
            .ends_with("train-00001-of-00002.parquet row 1")
    );
    // from files to samples
    let task = tasks::by_name("sst2").expect("built in");
    let splits = Splits::load(task, &data, SplitSizes::default(), 7.into()).expect("samples");
    assert_eq!(splits.test[0].cloze.context, "v It was");
    assert_eq!(splits.train.len() + splits.dev.len(), 4);
}

#[test]
fn structs_and_lists_become_json() {
    let folder = new_folder();
    write_squad(
        &folder.path().join("train.parquet"),
        &["one", "two", "three"],
    );
    write_squad(&folder.path().join("validation.parquet"), &[]);
    let data = Dataset::open(folder.path()).expect("a data set");
    let task = tasks::by_name("squad").expect("built in");
    let rows = data.rows(Split::Train, &[0]).expect("a row");
    let sample = task.sample(&rows[0]).expect("a sample");
    assert_eq!(sample.answers, ["one", "two", "three"]);
    assert_eq!(
        sample.cloze.context,
        "Title: Title\nContext: Context\nQuestion: Question\nAnswer:"
    );
    let rows = data.rows(Split::Validation, &[0]).expect("a row");
    let error = task.sample(&rows[0]).expect_err("no answer");
    assert!(
        error
            .to_string()
            .contains("\"answers.text\" is an empty list"),
        "{error}"
    );
}

/// One row with a column of each of these types, all of texts or decimals in bytes.
fn write_row(path: &Path, columns: &[(&str, &str)], values: &[&[u8]]) {
    let fields = columns
        .iter()
        .map(|(name, kind)| format!("OPTIONAL BYTE_ARRAY {name} ({kind});"));
    let schema = format!("message schema {{ {} }}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
    let file = File::create(path).expect("a new file");
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    for value in values {
        let mut column = group.next_column().expect("writable").expect("a column");
        let written = column.typed::<ByteArrayType>();
        written
            .write_batch(&[ByteArray::from(*value)], Some(&[1]), None)
            .expect("values");
        column.close().expect("closed");
    }
    group.close().expect("closed");
    writer.close().expect("closed");
}

#[test]
fn decimals_without_a_fraction_are_whole_numbers() {
    let folder = new_folder();
    let path = folder.path().join("rows.parquet");
    let huge = 10i128.pow(25);
    let columns = [
        ("zero", "DECIMAL(38,0)", vec![0]),
        ("negative", "DECIMAL(5,0)", (-12i16).to_be_bytes().to_vec()),
        (
            "unsigned",
            "DECIMAL(38,0)",
            i128::from(u64::MAX).to_be_bytes().to_vec(),
        ),
        ("huge", "DECIMAL(50,0)", huge.to_be_bytes().to_vec()),
        ("below", "DECIMAL(50,0)", (-huge).to_be_bytes().to_vec()),
        ("money", "DECIMAL(10,2)", vec![0x04, 0xd2]),
        ("cents", "DECIMAL(10,2)", vec![0]),
    ];
    let kinds: Vec<(&str, &str)> = columns
        .iter()
        .map(|(name, kind, _)| (*name, *kind))
        .collect();
    let values: Vec<&[u8]> = columns
        .iter()
        .map(|(_, _, bytes)| bytes.as_slice())
        .collect();
    write_row(&path, &kinds, &values);
    let opening = Opening {
        splits: &[Split::Train],
        ..Opening::default()
    };
    let data = Dataset::open_as(&path, &opening).expect("a data set");
    let rows = data.rows(Split::Train, &[0]).expect("a row");
    let found: Vec<String> = rows[0].fields().values().map(|it| it.to_string()).collect();
    let expected = [
        "0",
        "-12",
        "18446744073709551615",
        "\"10000000000000000000000000\"",
        "\"-10000000000000000000000000\"",
        "\"12.34\"",
        "\"0.00\"",
    ];
    assert_eq!(found, expected);
    assert_eq!(rows[0].label("zero", 2).expect("a label"), 0);
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let folder = new_folder();
    let path = folder.path().join("rows.parquet");
    let columns = [("text", "UTF8"), ("label", "UTF8"), ("text", "UTF8")];
    write_row(&path, &columns, &[b"a", b"0", b"b"]);
    let opening = Opening {
        splits: &[Split::Train],
        ..Opening::default()
    };
    let data = Dataset::open_as(&path, &opening).expect("the file is there");
    let expected = format!(
        "{}: two columns are called \"text\"; rename one of them",
        path.display()
    );
    let counted = data.count(Split::Train).expect_err("two of a name");
    assert_eq!(counted.to_string(), expected);
    let read = data.rows(Split::Train, &[0]).expect_err("two of a name");
    assert_eq!(read.to_string(), expected);
}

/// The pages of all columns together are more than 48 MiB, and the file has them.
#[test]
fn long_texts_are_read() {
    let folder = new_folder();
    // words that do not repeat at once, so that packing them does not make them small
    let mut state = 1u32;
    let mut text = || {
        let mut text = String::new();
        while text.len() < 60_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(&format!("{} ", state >> 8));
        }
        text
    };
    let texts: Vec<String> = (0..1000).map(|_| text()).collect();
    let rows: Vec<(&str, i64)> = texts.iter().map(|text| (text.as_str(), 1)).collect();
    let train = folder.path().join("train.parquet");
    write_sst2(&train, Compression::SNAPPY, &[&rows]);
    fs::copy(&train, folder.path().join("validation.parquet")).expect("a copy");
    let data = Dataset::open(folder.path()).expect("a data set");
    let rows = data.rows(Split::Train, &[999]).expect("a row");
    assert_eq!(rows[0].text("sentence").expect("text"), texts[999]);
}

#[test]
fn a_damaged_file_is_named() {
    let folder = new_folder();
    let train = folder.path().join("train.parquet");
    write_sst2(&train, Compression::SNAPPY, &[&[("a", 0)]]);
    fs::copy(&train, folder.path().join("validation.parquet")).expect("a copy");
    let bytes = fs::read(&train).expect("bytes");
    for damaged in [
        &bytes[..bytes.len() - 1],
        &bytes[..3],
        b"",
        b"{\"sentence\": \"a\"}",
    ] {
        fs::write(&train, damaged).expect("written");
        let data = Dataset::open(folder.path()).expect("the files are there");
        let error = data
            .count(Split::Train)
            .expect_err("no Parquet")
            .to_string();
        let expected = format!("cannot read {} as Parquet: ", train.display());
        assert!(error.starts_with(&expected), "{error}");
    }
}
