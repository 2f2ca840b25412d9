//! Safetensors files, and the index of sharded ones.

use crate::folder::{bytes, fixture, folder, reads};
use crate::trial;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;
use zograd_hostile::{bytes as damage, json as json_damage};

const FILE: &str = "model.safetensors";

#[test]
fn damaged_files() {
    let (folder, original) = (folder(), bytes("expected.safetensors"));
    let read = reads(&folder, FILE);
    assert_eq!(read(&original), Ok(()));
    trial("safetensors", 500).run(damage::damaged(original.clone()), &read);
    trial("safetensors, cut", 500).each(damage::truncations(&original), &read);
}

#[test]
fn damaged_headers_of_the_right_length() {
    let (folder, original) = (folder(), bytes("expected.safetensors"));
    let length = u64::from_le_bytes(*original.first_chunk().expect("a length")) as usize;
    let (header, data) = original[8..].split_at(length);
    let data = data.to_vec();
    let files = json_damage::damaged(header).prop_map(move |header| {
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], &header, &data].concat()
    });
    trial("safetensors, header", 1000).run(files, reads(&folder, FILE));
}

#[test]
fn damaged_indices() {
    let folder = folder();
    let shard = "model-00001-of-00001.safetensors";
    fs::copy(fixture("expected.safetensors"), folder.path().join(shard)).expect("copied");
    let header = bytes("expected.safetensors");
    let length = u64::from_le_bytes(*header.first_chunk().expect("a length")) as usize;
    let header: Value = serde_json::from_slice(&header[8..8 + length]).expect("JSON");
    let names = header.as_object().expect("an object").keys();
    let map: serde_json::Map<_, _> = names
        .filter(|name| *name != "__metadata__")
        .map(|name| (name.clone(), shard.into()))
        .collect();
    let index = json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    let read = reads(&folder, "model.safetensors.index.json");
    assert_eq!(read(index.as_bytes()), Ok(()));
    trial("index.json", 750).run(json_damage::damaged(index.as_bytes()), read);
}
