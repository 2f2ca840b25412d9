//! `pytorch_model.bin` with tensors that share a storage, repeat its numbers or leave some out.

use std::fs;
use std::io::Write;
use std::path::Path;

use rawzip::{CompressionMethod, ZipArchiveWriter};

use crate::folder::{Tensors, expected, folder, load, refused};

/// A tensor as `torch.save` writes it.
struct View {
    name: String,
    storage: usize,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The archive of f32 storages and views of them.
fn write(storages: &[Vec<f32>], views: &[View], path: &Path) {
    let mut archive = ZipArchiveWriter::new(Vec::new());
    let mut put = |name: &str, bytes: &[u8]| {
        let file = archive.new_file(name);
        let file = file.compression_method(CompressionMethod::STORE);
        let (mut entry, config) = file.start().expect("a new entry");
        let mut writer = config.wrap(&mut entry);
        writer.write_all(bytes).expect("in memory");
        let (_, descriptor) = writer.finish().expect("in memory");
        entry.finish(descriptor).expect("in memory");
    };
    let text = |text: &str| {
        let length = (text.len() as u32).to_le_bytes();
        [&b"X"[..], &length, text.as_bytes()].concat()
    };
    let int = |value: usize| [&b"J"[..], &(value as i32).to_le_bytes()].concat();
    let tuple = |values: &[usize]| {
        let values: Vec<u8> = values.iter().flat_map(|value| int(*value)).collect();
        [&b"("[..], &values, b"t"].concat()
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    for view in views {
        pickle.extend(text(&view.name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend(text("storage"));
        pickle.extend(b"ctorch\nFloatStorage\n");
        let elements = int(storages[view.storage].len());
        pickle.extend([text(&view.storage.to_string()), text("cpu"), elements].concat());
        pickle.extend(b"tQ");
        pickle.extend([int(view.offset), tuple(&view.shape), tuple(&view.strides)].concat());
        pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
    }
    pickle.extend(b"u.");
    put("a/data.pkl", &pickle);
    for (number, storage) in storages.iter().enumerate() {
        let bytes: Vec<u8> = storage.iter().flat_map(|x| x.to_le_bytes()).collect();
        put(&format!("a/data/{number}"), &bytes);
    }
    fs::write(path, archive.finish().expect("in memory")).expect("written");
}

/// Every tensor alone in its storage, row by row.
fn plain(tensors: &Tensors) -> (Vec<Vec<f32>>, Vec<View>) {
    let storages = tensors.values().map(|(_, values)| values.clone()).collect();
    let views = tensors
        .iter()
        .enumerate()
        .map(|(storage, (name, (shape, _)))| View {
            name: name.clone(),
            storage,
            offset: 0,
            strides: (0..shape.len())
                .map(|i| shape[i + 1..].iter().product())
                .collect(),
            shape: shape.clone(),
        });
    (storages, views.collect())
}

fn find<'v>(views: &'v mut [View], name: &str) -> &'v mut View {
    views
        .iter_mut()
        .find(|view| view.name == name)
        .expect("known")
}

const BIAS: &str = "decoder.layers.0.fc1.bias";
const TABLE: &str = "decoder.embed_tokens.weight";

#[test]
fn two_names_may_share_a_storage() {
    let folder = folder(|folder| {
        let (storages, mut views) = plain(&expected());
        let table = find(&mut views, TABLE);
        let head = View {
            name: "lm_head.weight".to_owned(),
            shape: table.shape.clone(),
            strides: table.strides.clone(),
            ..*table
        };
        views.push(head);
        write(&storages, &views, &folder.join("pytorch_model.bin"));
    });
    let mut found = load(folder.path()).expect("loads");
    let head = found.remove("lm_head.weight");
    assert_eq!(head.as_ref(), found.get(TABLE));
    assert_eq!(found, expected());
}

#[test]
fn expanded_and_cut_tensors_load() {
    let mut wanted = expected();
    let table = wanted["decoder.embed_tokens.weight"].1.clone();
    // one number, repeated; every second of a table's numbers from the third on
    let width = wanted[BIAS].1.len();
    let half: Vec<f32> = table[2..].iter().step_by(2).take(width).copied().collect();
    for (storage, offset, stride, values) in [
        (vec![0.25], 0, 0, vec![0.25; width]),
        (table.clone(), 2, 2, half),
    ] {
        let folder = folder(|folder| {
            let (mut storages, mut views) = plain(&expected());
            storages.push(storage);
            let view = find(&mut views, BIAS);
            (view.storage, view.offset) = (storages.len() - 1, offset);
            view.strides = vec![stride];
            write(&storages, &views, &folder.join("pytorch_model.bin"));
        });
        let found = load(folder.path()).expect("loads");
        wanted.get_mut(BIAS).expect("known").1 = values;
        assert_eq!(found, wanted);
    }
}

#[test]
fn a_view_must_lie_in_its_storage() {
    for (offset, stride) in [(0, 2), (1, 1), (0, usize::MAX >> 33)] {
        let folder = folder(|folder| {
            let (storages, mut views) = plain(&expected());
            let view = find(&mut views, BIAS);
            (view.offset, view.strides) = (offset, vec![stride]);
            write(&storages, &views, &folder.join("pytorch_model.bin"));
        });
        let message = refused(folder.path());
        assert!(message.contains("reaches beyond its storage"), "{message}");
    }
}
