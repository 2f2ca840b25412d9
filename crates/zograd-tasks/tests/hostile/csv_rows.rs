//! Tables of texts.

use crate::{read, trial};
use proptest::prelude::*;
use std::fs;
use zograd_hostile::bytes as damage;

#[test]
fn damaged_tables() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(
        folder.path().join("validation.csv"),
        "sentence,label\nfine,1\n",
    )
    .expect("written");
    let path = folder.path().join("train.csv");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("written");
        read(folder.path())
    };
    let table = "sentence;label;idx\r\n\"fine; \"\"so\"\" they say\nall of it\";1;0\r\ndull;0;1\r\n\"\";1;2\r\n";
    assert_eq!(read(table.as_bytes()), Ok(()));
    trial("CSV, bytes", 1000).run(damage::damaged(table.as_bytes().to_vec()), read);
    // cells and rows that are long for the file, and names of no end
    let odd = prop_oneof![
        Just([b"sentence,label\n\"".to_vec(), vec![b'a'; 1 << 20]].concat()),
        Just([b"sentence,label\n".to_vec(), vec![b','; 1 << 20]].concat()),
        Just(vec![b','; 1 << 20]),
        Just(vec![b'"'; 1 << 20]),
        Just(vec![b'\n'; 1 << 20]),
    ];
    trial("CSV, long", 20).run(odd, read);
}
