//! One `pytorch_model.bin`: the zip format and the one before torch 1.6. The pickle inside is
//! interpreted as data; no code is run.

mod archive;
mod layout;
mod pickle;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use burn::tensor::TensorData;

use crate::decode::{DecodeError, decode};
use crate::entry::{Entry, Stored};
use crate::error::ReadError;
use crate::float::Float;
use crate::pointer;
use crate::storage::Storage;
use archive::{MAGIC, Region};
use pickle::{Fault, Made, Tensor};

/// What views may repeat in a small file, in bytes: the biases and norms of a model.
const MAX_REPEATED: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct PytorchFile {
    path: PathBuf,
    file: File,
    tensors: BTreeMap<Rc<str>, Tensor>,
    /// Where the storages are, by their keys.
    storages: HashMap<Rc<str>, Region>,
    /// Bytes that tensors may still have: twice as many as the file, for a head that is the token table, and some
    /// for views that repeat a number. Tensors that lie over one another could otherwise fill any memory from a
    /// small file.
    left: u64,
}

impl PytorchFile {
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let read = ReadError::read(path);
        let mut file = zograd_files::open(path).map_err(&read)?;
        pointer::check(&mut file, path)?;
        let size = file.metadata().map_err(read)?.len();
        let left = size.saturating_mul(2).saturating_add(MAX_REPEATED);
        let (tensors, storages) = scan(&mut file).map_err(|fault| match fault {
            Fault::Damaged(reason) => ReadError::damaged(path, reason),
            Fault::Foreign(reason) => ReadError::Unsupported {
                file: path.to_owned(),
                reason,
            },
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            tensors,
            storages,
            left,
        })
    }

    pub fn entries(&self) -> Vec<Entry> {
        let tensors = self.tensors.iter();
        tensors
            .map(|(name, tensor)| Entry {
                name: name.to_string(),
                shape: tensor.layout.shape.clone(),
                stored: match tensor.storage.kind.as_ref() {
                    "HalfStorage" => Stored::Float(Float::F16),
                    "BFloat16Storage" => Stored::Float(Float::BF16),
                    "FloatStorage" => Stored::Float(Float::F32),
                    "DoubleStorage" => Stored::Float(Float::F64),
                    other => Stored::Other(other.to_owned()),
                },
            })
            .collect()
    }

    pub fn read(&mut self, entry: &Entry, target: Storage) -> Result<TensorData, ReadError> {
        let Stored::Float(stored) = entry.stored else {
            return Err(entry.unreadable(&self.path));
        };
        let name = &entry.name;
        let wrong = |reason: String| ReadError::damaged(&self.path, format!("{name:?}: {reason}"));
        let Some(tensor) = self.tensors.get(name.as_str()) else {
            return Err(wrong("it is not there".to_owned()));
        };
        let (region, whole) =
            place(tensor, stored.size(), &self.storages).map_err(|reason| wrong(reason.into()))?;
        let count = tensor.layout.count().unwrap_or(usize::MAX) as u64;
        self.left = self
            .left
            .checked_sub(region.bytes.max(count.saturating_mul(stored.size() as u64)))
            .ok_or_else(|| wrong("the tensors together are larger than the file".to_owned()))?;
        let text = |error: std::io::Error| wrong(error.to_string());
        self.file
            .seek(SeekFrom::Start(region.start))
            .map_err(text)?;
        let mut bytes = Summed {
            input: (&mut self.file).take(region.bytes),
            crc: crc32fast::Hasher::new(),
        };
        let decoded = if tensor.layout.is_dense() && tensor.layout.is_row_major() {
            decode(&mut bytes, stored, &entry.shape, target)
        } else {
            let mut view = Vec::with_capacity(region.bytes as usize);
            bytes.read_to_end(&mut view).map_err(text)?;
            let rows = tensor.layout.to_row_major(&view, stored.size());
            decode(rows.as_slice(), stored, &entry.shape, target)
        };
        let crc = bytes.crc.finalize();
        let data = decoded.map_err(|error| match error {
            DecodeError::Io(error) => wrong(error.to_string()),
            DecodeError::NotFinite(value) => entry.not_finite(&self.path, value, target),
        })?;
        match region.crc.filter(|_| whole) {
            Some(expected) if expected != crc => Err(wrong("its checksum is wrong".to_owned())),
            _ => Ok(data),
        }
    }
}

/// Where the bytes of a tensor are, and whether they are all of its storage.
fn place(
    tensor: &Tensor,
    width: usize,
    storages: &HashMap<Rc<str>, Region>,
) -> Result<(Region, bool), &'static str> {
    let (storage, layout) = (&tensor.storage, &tensor.layout);
    let region = storages
        .get(&storage.key)
        .ok_or("its storage is not in the file")?;
    let width = width as u64;
    let outside = "it reaches beyond its storage";
    let span = layout.span().ok_or(outside)? as u64;
    let end = layout.offset.checked_add(span).ok_or(outside)?;
    if end > storage.elements || storage.elements > region.bytes / width {
        return Err(outside);
    }
    let piece = Region {
        start: region.start + layout.offset * width,
        bytes: span * width,
        crc: region.crc,
    };
    Ok((piece, piece.bytes == region.bytes))
}

type Contents = (BTreeMap<Rc<str>, Tensor>, HashMap<Rc<str>, Region>);

/// The tensors and storages of either format.
fn scan(file: &mut File) -> Result<Contents, Fault> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(text)?;
    match magic {
        MAGIC => zipped(file),
        _ => legacy(file),
    }
}

fn zipped(file: &mut File) -> Result<Contents, Fault> {
    let entries = archive::directory(file)?;
    let pickle = entries.keys().find(|name| name.ends_with("/data.pkl"));
    let pickle = pickle.ok_or("the archive has no data.pkl")?;
    let folder = pickle.trim_end_matches("data.pkl").to_owned();
    let region = entries[pickle];
    file.seek(SeekFrom::Start(region.start)).map_err(text)?;
    let input = (&mut *file).take(region.bytes);
    let tensors = state_dict(pickle::read(&mut BufReader::new(input))?)?;
    if let Some(order) = entries.get(&format!("{folder}byteorder")) {
        let mut first = [0; 3];
        file.seek(SeekFrom::Start(order.start)).map_err(text)?;
        file.read_exact(&mut first).map_err(text)?;
        if first == *b"big" {
            return Err("its numbers are big-endian".into());
        }
    }
    let folder = format!("{folder}data/");
    let storages = entries.iter().filter_map(|(name, region)| {
        let key = name.strip_prefix(&folder)?;
        Some((key.into(), *region))
    });
    Ok((tensors, storages.collect()))
}

/// A magic number, a protocol number and a description of the machine, the tensors, the keys of the
/// storages, and then the storages in that order: each the number of its elements and these.
fn legacy(file: &mut File) -> Result<Contents, Fault> {
    let size = file.metadata().map_err(text)?.len();
    file.rewind().map_err(text)?;
    let mut input = BufReader::new(file);
    for _ in 0..3 {
        pickle::read(&mut input)?;
    }
    let tensors = state_dict(pickle::read(&mut input)?)?;
    let Made::Texts(keys) = pickle::read(&mut input)? else {
        return Err("it has no list of storages".into());
    };
    let described: HashMap<&str, _> = tensors
        .values()
        .map(|tensor| (tensor.storage.key.as_ref(), &tensor.storage))
        .collect();
    let mut storages = HashMap::new();
    let mut start = input.stream_position().map_err(text)?;
    for key in keys {
        let storage = described.get(key.as_ref());
        let storage = storage.ok_or("it has a storage that no tensor uses")?;
        let width = pickle::width(&storage.kind).ok_or("a storage of an unknown type")?;
        let bytes = storage.elements.checked_mul(width);
        start = start.saturating_add(8);
        let end = bytes.and_then(|bytes| start.checked_add(bytes));
        let (Some(bytes), Some(end)) = (bytes, end.filter(|end| *end <= size)) else {
            return Err("its storages are cut off".into());
        };
        let mut count = [0; 8];
        input.seek(SeekFrom::Start(start - 8)).map_err(text)?;
        input.read_exact(&mut count).map_err(text)?;
        if u64::from_le_bytes(count) != storage.elements {
            return Err("a storage has another size than its tensors say".into());
        }
        let crc = None;
        storages.insert(key, Region { start, bytes, crc });
        start = end;
    }
    Ok((tensors, storages))
}

fn state_dict(made: Made) -> Result<BTreeMap<Rc<str>, Tensor>, Fault> {
    match made {
        Made::StateDict(tensors) => Ok(tensors),
        _ => Err(Fault::Foreign(
            "it is no state dict; save model.state_dict()".to_owned(),
        )),
    }
}

/// Passes bytes on and sums them up.
struct Summed<R> {
    input: R,
    crc: crc32fast::Hasher,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.crc.update(&buffer[..read]);
        Ok(read)
    }
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}
