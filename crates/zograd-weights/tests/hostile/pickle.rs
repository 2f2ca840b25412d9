//! `pytorch_model.bin`: the archive, the pickle in it, and the format before torch 1.6.

use crate::folder::{bytes, folder, reads};
use crate::trial;
use proptest::prelude::*;
use proptest::sample::Index;
use rawzip::{CompressionMethod, ZipArchive, ZipArchiveWriter};
use std::io::{Read, Write};
use zograd_hostile::bytes as damage;

const FILE: &str = "pytorch_model.bin";

/// The entries of an archive, read and written by an independent implementation.
fn entries(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let archive = ZipArchive::from_slice(archive).expect("an archive");
    let mut headers = archive.entries();
    let mut entries = Vec::new();
    while let Some(header) = headers.next_entry().expect("a header") {
        let name = String::from_utf8(header.file_path().as_ref().to_vec()).expect("UTF-8");
        let entry = archive.get_entry(header.wayfinder()).expect("an entry");
        let mut bytes = Vec::new();
        let mut stored = entry.verifying_reader(entry.data());
        stored.read_to_end(&mut bytes).expect("stored");
        entries.push((name, bytes));
    }
    entries
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    for (name, bytes) in entries {
        let file = archive.new_file(name.as_str());
        let file = file.compression_method(CompressionMethod::STORE);
        let (mut entry, config) = file.start().expect("a new entry");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(bytes).expect("in memory");
        let (_, descriptor) = writer.finish().expect("in memory");
        entry.finish(descriptor).expect("in memory");
    }
    archive.finish().expect("in memory")
}

/// The fixture with another pickle in it, its checksums and sizes right.
fn with_pickle(original: &[(String, Vec<u8>)], pickle: Vec<u8>) -> Vec<u8> {
    let mut entries = original.to_vec();
    let data = entries
        .iter_mut()
        .find(|(name, _)| name.ends_with("data.pkl"));
    data.expect("a pickle").1 = pickle;
    archive(&entries)
}

fn pickle_of(original: &[(String, Vec<u8>)]) -> Vec<u8> {
    let data = original.iter().find(|(name, _)| name.ends_with("data.pkl"));
    data.expect("a pickle").1.clone()
}

/// A pickle's opcodes with their arguments, up to the end of the first pickle.
fn opcodes(mut pickle: &[u8]) -> Vec<Vec<u8>> {
    let mut opcodes = Vec::new();
    while let Some(opcode) = pickle.first() {
        let line = |lines: usize| {
            let ends = pickle
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n');
            ends.map(|(at, _)| at + 1).nth(lines - 1).expect("a line")
        };
        let length = match opcode {
            b'K' | b'q' | b'h' | 0x80 => 2,
            b'M' => 3,
            b'J' | b'r' | b'j' => 5,
            b'G' => 9,
            0x8a => 2 + usize::from(pickle[1]),
            b'X' => 5 + u32::from_le_bytes(*pickle[1..].first_chunk().expect("a length")) as usize,
            b'c' => line(2),
            _ => 1,
        };
        let (this, rest) = pickle.split_at(length);
        opcodes.push(this.to_vec());
        pickle = rest;
        if this == b"." {
            break;
        }
    }
    opcodes
}

/// Opcodes that have no business in a state dict, or much, as often as they are wanted.
fn inserted(marker: &str) -> Vec<Vec<u8>> {
    let touch = format!("touch {marker}");
    let text = |text: &str| {
        [
            &b"X"[..],
            &(text.len() as u32).to_le_bytes(),
            text.as_bytes(),
        ]
        .concat()
    };
    let call = |name: &str| [format!("c{name}\n(").as_bytes(), &text(&touch), b"tR"].concat();
    vec![
        call("os\nsystem"),
        call("posix\nsystem"),
        call("subprocess\ngetoutput"),
        call("builtins\neval"),
        call("torch\nload"),
        call("torch._utils\n_rebuild_tensor_v2"),
        format!("ios\nsystem\n(S'{touch}'\nt").into_bytes(),
        format!("(S'{touch}'\nios\nsystem\n").into_bytes(),
        [
            &b"\x8c\x02os\x8c\x06system\x93"[..],
            &text(&touch),
            b"\x85R",
        ]
        .concat(),
        [&b"cos\nsystem\n"[..], &text(&touch), b"\x85\x81"].concat(),
        b"ccollections\nOrderedDict\n)R".to_vec(),
        b"h\x00h\x00\x86q\x00".repeat(2000),
        b"\x85".repeat(100_000),
        b"(".repeat(100_000),
        b"}".repeat(300_000),
        b"\x8a\xff".to_vec(),
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(),
        b"\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80".to_vec(),
        b"J\xff\xff\xff\x7f".to_vec(),
        b"J\xff\xff\xff\xff".to_vec(),
        b"X\xff\xff\xff\xff".to_vec(),
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
        b"r\xff\xff\xff\xff".to_vec(),
        b"j\xff\xff\xff\xff".to_vec(),
        b"X\x02\x00\x00\x00\xff\xfe".to_vec(),
        text("../../../../etc/passwd"),
        b"R".to_vec(),
        b"b".to_vec(),
        b"Q".to_vec(),
        b"u".to_vec(),
        b"s".to_vec(),
        b"e".to_vec(),
        b"0".to_vec(),
        b"2".to_vec(),
        b".".to_vec(),
        b"N".to_vec(),
        b")".to_vec(),
        b"]".to_vec(),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Remove(Index),
    Repeat(Index, usize),
    Exchange(Index, Index),
    Insert(Index, usize),
    /// Another number in place of one.
    Number(Index, usize),
}

/// A pickle after one to three changes to its opcodes.
fn changed(pickle: &[u8], marker: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let (opcodes, more) = (opcodes(pickle), inserted(marker));
    let change = prop_oneof![
        1 => any::<Index>().prop_map(Change::Remove),
        1 => (any::<Index>(), 1usize..4).prop_map(|(at, n)| Change::Repeat(at, n)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Exchange(a, b)),
        2 => (any::<Index>(), 0..more.len()).prop_map(|(at, which)| Change::Insert(at, which)),
        3 => (any::<Index>(), 0..damage::NUMBERS.len()).prop_map(|(at, n)| Change::Number(at, n)),
    ];
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut opcodes = opcodes.clone();
        for change in changes {
            let count = opcodes.len();
            match change {
                Change::Remove(at) if count > 1 => drop(opcodes.remove(at.index(count))),
                Change::Remove(_) => {}
                Change::Repeat(at, times) => {
                    let at = at.index(count);
                    let opcode = opcodes[at].clone();
                    opcodes.splice(at..at, vec![opcode; times]);
                }
                Change::Exchange(a, b) => opcodes.swap(a.index(count), b.index(count)),
                Change::Insert(at, which) => {
                    opcodes.insert(at.index(count), more[which].clone());
                }
                Change::Number(at, number) => {
                    let number = damage::NUMBERS[number].to_le_bytes();
                    let places: Vec<usize> = (0..count)
                        .filter(|i| b"KMJqrhj\x8a".contains(&opcodes[*i][0]))
                        .collect();
                    if !places.is_empty() {
                        let long = [&b"\x8a\x08"[..], &number].concat();
                        opcodes[places[at.index(places.len())]] = long;
                    }
                }
            }
        }
        opcodes.concat()
    })
}

#[test]
fn the_archive_is_read_as_others_read_it() {
    // the last with sizes and places as 64 bits
    for name in ["zip_f16.bin", "zip_bf16.bin", "zip64_f16.bin"] {
        let folder = folder();
        let read = reads(&folder, FILE);
        let original = bytes(name);
        assert_eq!(read(&original), Ok(()), "{name}");
        let entries = entries(&original);
        assert_eq!(
            with_pickle(&entries, pickle_of(&entries)),
            archive(&entries)
        );
        assert_eq!(read(&archive(&entries)), Ok(()));
        assert_eq!(opcodes(&pickle_of(&entries)).concat(), pickle_of(&entries));
    }
}

#[test]
fn damaged_archives() {
    let (folder, original) = (folder(), bytes("zip_f16.bin"));
    let read = reads(&folder, FILE);
    trial("zip", 750).run(damage::damaged(original.clone()), &read);
    trial("zip, cut", 500).each(damage::truncations(&original), &read);
    // where all lengths and places are: the directory and the record behind it
    let directory = original.windows(4).position(|word| word == b"PK\x01\x02");
    let (data, directory) = original.split_at(directory.expect("a directory"));
    let (data, directory) = (data.to_vec(), directory.to_vec());
    let files =
        damage::damaged(directory).prop_map(move |directory| [&data[..], &directory].concat());
    trial("zip, directory", 750).run(files, &read);
}

/// A flipped bit anywhere in the numbers is noticed by the checksum of their storage, unless two tensors
/// share it.
#[test]
fn flipped_numbers_are_noticed() {
    let (folder, original) = (folder(), bytes("zip_f16.bin"));
    let read = reads(&folder, FILE);
    let archive = ZipArchive::from_slice(&original).expect("an archive");
    let mut headers = archive.entries();
    let mut bits = Vec::new();
    while let Some(header) = headers.next_entry().expect("a header") {
        let name = header.file_path();
        if String::from_utf8_lossy(name.as_ref()).contains("/data/") {
            let entry = archive.get_entry(header.wayfinder()).expect("an entry");
            let (start, end) = entry.compressed_data_range();
            bits.extend(8 * start as usize..8 * end as usize);
        }
    }
    assert!(!bits.is_empty());
    let files = bits.into_iter().map(|bit| {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    trial("zip, flipped bits of the numbers", 500).each(files, |bytes| {
        let seen = read(bytes);
        assert!(seen.is_err(), "a flipped bit was not noticed");
        seen
    });
}

#[test]
fn damaged_pickles_in_good_archives() {
    let folder = folder();
    let marker = folder.path().join("executed");
    let original = entries(&bytes("zip_f16.bin"));
    let pickle = pickle_of(&original);
    let read = reads(&folder, FILE);
    let shared = original.clone();
    let files = changed(&pickle, marker.to_str().expect("UTF-8"))
        .prop_map(move |pickle| with_pickle(&original, pickle));
    trial("pickle, opcodes", 1000).run(files, &read);
    let files = damage::damaged(pickle).prop_map(move |pickle| with_pickle(&shared, pickle));
    trial("pickle, bytes", 500).run(files, &read);
    assert!(!marker.exists(), "a pickle was run");
}

#[test]
fn damaged_older_files() {
    let folder = folder();
    let marker = folder.path().join("executed");
    let original = bytes("legacy_f32.bin");
    let read = reads(&folder, FILE);
    assert_eq!(read(&original), Ok(()));
    trial("older format", 750).run(damage::damaged(original.clone()), &read);
    trial("older format, cut", 500).each(damage::truncations(&original), &read);
    // each of the five pickles at its front
    let (mut pickles, mut rest) = (Vec::new(), original.as_slice());
    for _ in 0..5 {
        let pickle = opcodes(rest).concat();
        rest = &rest[pickle.len()..];
        pickles.push(pickle);
    }
    let data = rest.to_vec();
    let marker_name = marker.to_str().expect("UTF-8").to_owned();
    let files = (0..pickles.len()).prop_flat_map(move |which| {
        let (pickles, data) = (pickles.clone(), data.clone());
        changed(&pickles[which], &marker_name).prop_map(move |pickle| {
            let mut pickles = pickles.clone();
            pickles[which] = pickle;
            [pickles.concat(), data.clone()].concat()
        })
    });
    trial("older format, opcodes", 750).run(files, &read);
    assert!(!marker.exists(), "a pickle was run");
}

/// What would run code if this were Python: refused by its name, in every place of either format.
#[test]
fn payloads_are_refused_by_name() {
    let folder = folder();
    let marker = folder.path().join("executed");
    let touch = format!("touch {}", marker.display());
    let read = reads(&folder, FILE);
    let original = entries(&bytes("zip_f16.bin"));
    for (payload, name) in [
        (format!("cos\nsystem\n(S'{touch}'\ntR."), "os.system"),
        (format!("cposix\nsystem\n(S'{touch}'\ntR."), "posix.system"),
        (
            format!("c__builtin__\neval\n(S'{touch}'\ntR."),
            "__builtin__.eval",
        ),
        (format!("cnt\nsystem\n(S'{touch}'\ntR."), "nt.system"),
        ("ctorch.hub\nload\n)R.".to_owned(), "torch.hub.load"),
        // opcodes that import and call at once, or take the name from the stack
        (format!("(S'{touch}'\nios\nsystem\n."), "0x53"),
        ("ios\nsystem\n.".to_owned(), "0x69"),
        ("0123".to_owned(), "0x30"),
    ] {
        let zipped = with_pickle(&original, payload.clone().into_bytes());
        for file in [zipped, payload.clone().into_bytes()] {
            let error = read(&file).expect_err("must be refused");
            assert!(error.contains(name), "{name}: {error}");
        }
        let mut older = bytes("legacy_f32.bin");
        older.splice(137..137, payload.into_bytes());
        assert!(read(&older).expect_err("must be refused").contains(name));
    }
    assert!(!marker.exists(), "a pickle was run");
}

/// A state dict of f16 tensors that all lie at the beginning of one storage of `elements` numbers.
fn overlapping(tensors: &[(String, Vec<usize>)], elements: i32) -> Vec<u8> {
    let text = |text: &str| {
        [
            &b"X"[..],
            &(text.len() as u32).to_le_bytes(),
            text.as_bytes(),
        ]
        .concat()
    };
    let int = |value: usize| [&b"J"[..], &(value as i32).to_le_bytes()].concat();
    let tuple = |values: &[usize]| {
        let values: Vec<u8> = values.iter().flat_map(|value| int(*value)).collect();
        [&b"("[..], &values, b"t"].concat()
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    for (name, shape) in tensors {
        let strides: Vec<usize> = (0..shape.len())
            .map(|i| shape[i + 1..].iter().product())
            .collect();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend(text("storage"));
        pickle.extend(b"ctorch\nHalfStorage\n");
        pickle.extend([text("0"), text("cpu"), int(elements as usize)].concat());
        pickle.extend(b"tQK\x00");
        pickle.extend([tuple(shape), tuple(&strides)].concat());
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    pickle
}

/// A model of any size could come from a few bytes if tensors might share them without limit.
#[test]
fn tensors_over_one_another_do_not_multiply() {
    let folder = folder();
    let (hidden, layers) = (64, 20);
    let (square, line) = (vec![hidden, hidden], vec![hidden]);
    let mut tensors: Vec<(String, Vec<usize>)> = vec![
        ("decoder.embed_tokens.weight".into(), square.clone()),
        ("decoder.embed_positions.weight".into(), square.clone()),
        ("decoder.final_layer_norm.weight".into(), line.clone()),
        ("decoder.final_layer_norm.bias".into(), line.clone()),
    ];
    for layer in 0..layers {
        for (part, shape) in [
            ("self_attn.q_proj", &square),
            ("self_attn.k_proj", &square),
            ("self_attn.v_proj", &square),
            ("self_attn.out_proj", &square),
            ("fc1", &square),
            ("fc2", &square),
            ("self_attn_layer_norm", &line),
            ("final_layer_norm", &line),
        ] {
            tensors.push((
                format!("decoder.layers.{layer}.{part}.weight"),
                shape.clone(),
            ));
            tensors.push((format!("decoder.layers.{layer}.{part}.bias"), line.clone()));
        }
    }
    let elements = hidden * hidden;
    let read = reads(&folder, FILE);
    let file = |numbers: usize, pickle: Vec<u8>| {
        let numbers = vec![0; 2 * numbers];
        let entries = [
            ("a/data.pkl".to_owned(), pickle),
            ("a/data/0".to_owned(), numbers),
        ];
        archive(&entries)
    };
    let pickle = overlapping(&tensors, elements as i32);
    let error = read(&file(elements, pickle.clone())).expect_err("122 squares from one");
    assert!(error.contains("larger than the file"), "{error}");
    // and a storage that claims more than the archive has
    let error = read(&file(elements / 2, pickle)).expect_err("half a square");
    assert!(error.contains("reaches beyond its storage"), "{error}");
}
