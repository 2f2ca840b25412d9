//! Parquet files.

use crate::{read, trial};
use parquet::basic::{BrotliLevel, Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use std::fs;
use std::sync::Arc;
use zograd_hostile::bytes as damage;

/// Rows of `glue/sst2` and a list in a struct, as `squad` has, in two row groups.
fn file(compression: Compression, version: WriterVersion) -> Vec<u8> {
    let schema = "message schema {
        OPTIONAL BYTE_ARRAY sentence (UTF8);
        OPTIONAL INT64 label;
        OPTIONAL group answers {
            OPTIONAL group text (LIST) {
                REPEATED group list { OPTIONAL BYTE_ARRAY element (UTF8); }
            }
        }
    }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_writer_version(version);
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties.build()))
        .expect("a writer");
    for _ in 0..2 {
        let mut group = writer.next_row_group().expect("a row group");
        let texts: Vec<ByteArray> = ["fine", "", "fine fine"].map(Into::into).to_vec();
        let mut column = group.next_column().expect("writable").expect("sentence");
        let written = column.typed::<ByteArrayType>();
        written
            .write_batch(&texts, Some(&[1, 1, 1]), None)
            .expect("values");
        column.close().expect("closed");
        let mut column = group.next_column().expect("writable").expect("label");
        let written = column.typed::<Int64Type>();
        written
            .write_batch(&[0, 1, 1], Some(&[1, 1, 1]), None)
            .expect("values");
        column.close().expect("closed");
        let mut column = group.next_column().expect("writable").expect("element");
        let written = column.typed::<ByteArrayType>();
        // two answers, one, none
        written
            .write_batch(&texts, Some(&[4, 4, 4, 2]), Some(&[0, 1, 0, 0]))
            .expect("values");
        column.close().expect("closed");
        group.close().expect("closed");
    }
    writer.close().expect("closed");
    bytes
}

/// Where the description of the file begins: its length stands before the last four bytes.
fn footer(file: &[u8]) -> usize {
    let length = file[file.len() - 8..].first_chunk().expect("a length");
    file.len() - 8 - u32::from_le_bytes(*length) as usize
}

#[test]
fn damaged_files() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("validation.jsonl"), "{}").expect("written");
    let path = folder.path().join("train.parquet");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        read(folder.path())
    };
    for (compression, version, name) in [
        (
            Compression::UNCOMPRESSED,
            WriterVersion::PARQUET_1_0,
            "Parquet",
        ),
        (
            Compression::SNAPPY,
            WriterVersion::PARQUET_1_0,
            "Parquet, Snappy",
        ),
        (
            Compression::ZSTD(ZstdLevel::default()),
            WriterVersion::PARQUET_2_0,
            "Parquet, Zstandard",
        ),
        (
            Compression::GZIP(Default::default()),
            WriterVersion::PARQUET_1_0,
            "Parquet, gzip",
        ),
        (
            Compression::BROTLI(BrotliLevel::default()),
            WriterVersion::PARQUET_2_0,
            "Parquet, Brotli",
        ),
        (
            Compression::LZ4_RAW,
            WriterVersion::PARQUET_1_0,
            "Parquet, LZ4",
        ),
    ] {
        let original = file(compression, version);
        assert_eq!(read(&original), Ok(()), "{name}");
        trial(name, 375).run(damage::damaged(original.clone()), read);
        let (data, end) = original.split_at(footer(&original));
        let tail = end[end.len() - 4..].to_vec();
        let (data, description) = (data.to_vec(), end[..end.len() - 8].to_vec());
        let files = damage::damaged(description).prop_map(move |description| {
            let length = (description.len() as u32).to_le_bytes();
            [&data[..], &description, &length, &tail].concat()
        });
        trial(name, 375).run(files, read);
    }
    let original = file(Compression::SNAPPY, WriterVersion::PARQUET_1_0);
    trial("Parquet, cut", 500).each(damage::truncations(&original), read);
    trial("Parquet, flipped bits", 250).each(damage::flips(&original), read);
}

/// The first page says that it has 2 GiB when it is unpacked.
#[test]
fn a_page_that_claims_gigabytes_is_refused_by_its_size() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("validation.jsonl"), "{}").expect("written");
    let path = folder.path().join("train.parquet");
    let mut file = file(Compression::SNAPPY, WriterVersion::PARQUET_1_0);
    // behind the four letters and the type of the page: the size unpacked, in one byte
    assert_eq!((file[6], file[7] & 0x80), (0x15, 0));
    file.splice(7..8, [0xfe, 0xff, 0xff, 0xff, 0x0f]);
    trial("Parquet, 2 GiB page", 1).each([file].into_iter(), |bytes| {
        fs::write(&path, bytes).expect("written");
        let error = read(folder.path()).expect_err("must be refused");
        assert!(error.contains("claim 2147483"), "{error}");
        Err(error)
    });
}
