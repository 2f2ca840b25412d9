//! One file: its metadata, and where its tensors are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::input::Input;
use super::metadata::Metadata;
use super::{ALIGNMENT, MAGIC, tensor_type};
use crate::decode::{DecodeError, decode};
use crate::entry::{Entry, Stored};
use crate::error::ReadError;
use crate::pointer;
use crate::source::TensorSource;
use crate::storage::Storage;

/// Tensors of a file, and keys of its metadata, that are read at most: what they occupy in memory is several times
/// what they take in the file. The largest models have some thousands.
const MAX_COUNT: usize = 1 << 16;

/// Dimensions of a tensor in ggml.
const MAX_DIMENSIONS: u32 = 4;

/// A GGUF file of version 2 or 3, little-endian. The dimensions of a tensor are given as everywhere else, rows first;
/// the file has them in reverse.
///
/// ```
/// use zograd_weights::gguf::{GgufFile, Quantised};
/// use zograd_weights::{Storage, Stored, TensorSource};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gguf/blocks.gguf");
/// let mut file = GgufFile::open(path.as_ref())?;
/// assert_eq!(file.metadata().text("general.architecture")?, Some("none"));
/// assert_eq!(file.entries()["Q4_K"].stored, Stored::Quantised(Quantised::Q4_K));
/// let values = file.read("Q4_K", Storage::F32)?;
/// assert_eq!(values.num_elements() % 256, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct GgufFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    entries: BTreeMap<String, Entry>,
    /// Where a tensor begins in the file.
    starts: BTreeMap<String, u64>,
}

/// Why a file was refused, before it is known by name.
enum Refused {
    Damaged(String),
    Unsupported(String),
    Twice(String),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl GgufFile {
    /// Reads the metadata, and what the file says of its tensors.
    ///
    /// # Errors
    /// The file cannot be read, is no GGUF, big-endian or of another version, or is damaged: a count, a text, an array or
    /// a tensor goes beyond its end, tensors lie over one another, a key or a tensor comes twice, a value is of no type.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let read = ReadError::read(path);
        let mut file = zograd_files::open(path).map_err(&read)?;
        pointer::check(&mut file, path)?;
        let size = file.metadata().map_err(&read)?.len();
        let contents = Contents::read(&mut Input::new(BufReader::new(&file), size), size);
        let contents = contents.map_err(|refused| match refused {
            Refused::Damaged(reason) => ReadError::damaged(path, reason),
            Refused::Unsupported(reason) => ReadError::Unsupported {
                file: path.to_owned(),
                reason,
            },
            Refused::Twice(tensor) => ReadError::Duplicate {
                tensor,
                first: path.to_owned(),
                second: path.to_owned(),
            },
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata: contents.metadata,
            entries: contents.entries,
            starts: contents.starts,
        })
    }

    /// Its keys and values.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

impl TensorSource for GgufFile {
    fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    fn place(&self) -> &Path {
        &self.path
    }

    fn file_of(&self, _name: &str) -> &Path {
        &self.path
    }

    fn files(&self) -> Vec<&Path> {
        vec![&self.path]
    }

    fn read(&mut self, name: &str, target: Storage) -> Result<TensorData, ReadError> {
        let (Some(entry), Some(start)) = (self.entries.get(name), self.starts.get(name)) else {
            return Err(ReadError::NoTensor {
                place: self.path.clone(),
                tensor: name.to_owned(),
            });
        };
        let read = ReadError::read(&self.path);
        self.file.seek(SeekFrom::Start(*start)).map_err(&read)?;
        let decoded = match entry.stored {
            Stored::Float(float) => decode(&self.file, float, &entry.shape, target),
            Stored::Quantised(blocks) => decode(&self.file, blocks, &entry.shape, target),
            Stored::Other(_) => return Err(entry.unreadable(&self.path)),
        };
        decoded.map_err(|error| match error {
            DecodeError::Io(source) => read(source),
            DecodeError::NotFinite(value) => entry.not_finite(&self.path, value, target),
        })
    }
}

struct Contents {
    metadata: Metadata,
    entries: BTreeMap<String, Entry>,
    starts: BTreeMap<String, u64>,
}

impl Contents {
    fn read(input: &mut Input<impl BufRead>, size: u64) -> Result<Self, Refused> {
        if input.bytes()? != MAGIC {
            return Err(Refused::Damaged(
                "it does not begin with the letters GGUF".to_owned(),
            ));
        }
        version(input.u32()?)?;
        let tensors = bounded(input.count("tensors", 24)?, "tensors")?;
        let keys = bounded(input.count("keys of metadata", 13)?, "keys")?;
        let metadata = metadata(input, keys)?;
        let mut found = Vec::new();
        for _ in 0..tensors {
            found.push(tensor(input)?);
        }
        let alignment = match metadata.whole("general.alignment") {
            Ok(alignment) => alignment.unwrap_or(ALIGNMENT),
            Err(error) => return Err(Refused::Damaged(error.to_string())),
        };
        if !alignment.is_power_of_two() {
            let reason = format!("its alignment {alignment} is no power of two");
            return Err(Refused::Damaged(reason));
        }
        let data = input.position().checked_next_multiple_of(alignment);
        let data = data.ok_or_else(|| "its alignment is larger than any file".to_owned())?;
        for tensor in &found {
            tensor.check(data, size, alignment)?;
        }
        check_overlaps(&mut found)?;
        let (mut entries, mut starts) = (BTreeMap::new(), BTreeMap::new());
        for tensor in found {
            let (name, start) = (tensor.entry.name.clone(), data + tensor.offset);
            if entries.insert(name.clone(), tensor.entry).is_some() {
                return Err(Refused::Twice(name));
            }
            starts.insert(name, start);
        }
        Ok(Self {
            metadata,
            entries,
            starts,
        })
    }
}

fn version(version: u32) -> Result<(), Refused> {
    match version {
        2 | 3 => Ok(()),
        1 => Err(Refused::Unsupported(
            "it is GGUF of version 1; convert it to version 3".to_owned(),
        )),
        swapped if matches!(swapped.swap_bytes(), 1..=3) => Err(Refused::Unsupported(
            "it is big-endian GGUF; only little-endian files are read".to_owned(),
        )),
        other => Err(Refused::Unsupported(format!(
            "it is GGUF of version {other}; only 2 and 3 are read"
        ))),
    }
}

fn bounded(count: usize, what: &str) -> Result<usize, Refused> {
    match count <= MAX_COUNT {
        true => Ok(count),
        false => Err(Refused::Damaged(format!(
            "it claims {count} {what}; at most {MAX_COUNT} are read"
        ))),
    }
}

fn metadata(input: &mut Input<impl BufRead>, keys: usize) -> Result<Metadata, Refused> {
    let mut metadata = Metadata::default();
    for _ in 0..keys {
        let key = input.text()?;
        let value = input.value();
        let value = value.map_err(|reason| format!("its metadata {key:?}: {reason}"))?;
        if metadata.set(&key, value).is_some() {
            return Err(Refused::Damaged(format!(
                "its metadata has {key:?} more than once"
            )));
        }
    }
    Ok(metadata)
}

/// A tensor as the file lists it.
struct Listed {
    entry: Entry,
    /// From the beginning of the data.
    offset: u64,
    /// Its size; none if its type is not read.
    bytes: Option<u64>,
}

fn tensor(input: &mut Input<impl BufRead>) -> Result<Listed, Refused> {
    let name = input.text()?;
    let wrong = |reason: String| Refused::Damaged(format!("{name:?}: {reason}"));
    let dimensions = input.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(wrong(format!(
            "it has {dimensions} dimensions; at most {MAX_DIMENSIONS} are read"
        )));
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        let size = usize::try_from(input.u64()?);
        shape.push(size.map_err(|error| wrong(error.to_string()))?);
    }
    // neighbours come first in the file
    let row = shape.first().copied().unwrap_or(1);
    shape.reverse();
    let mut sizes = shape.iter();
    let count = sizes.try_fold(1usize, |count, size| count.checked_mul(*size));
    let count = count.ok_or_else(|| wrong(format!("no machine holds its shape {shape:?}")))?;
    let (stored, block) = tensor_type::stored(input.u32()?);
    let mut bytes = None;
    if let Some((values, size)) = block {
        if row % values != 0 {
            return Err(wrong(format!(
                "its rows of {row} values are no whole blocks of {values}"
            )));
        }
        bytes = (count / values).checked_mul(size);
        if bytes.is_none() {
            return Err(wrong(format!("no machine holds its shape {shape:?}")));
        }
    }
    Ok(Listed {
        offset: input.u64()?,
        bytes: bytes.map(|bytes| bytes as u64),
        entry: Entry {
            name,
            shape,
            stored,
        },
    })
}

impl Listed {
    fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.bytes.unwrap_or(0))
    }

    /// Whether it lies in the file, and where tensors may begin.
    fn check(&self, data: u64, size: u64, alignment: u64) -> Result<(), Refused> {
        let name = &self.entry.name;
        let end = self.end().and_then(|end| end.checked_add(data));
        if end.is_none_or(|end| end > size) {
            let reason = format!("{name:?} reaches beyond the end of the file");
            return Err(Refused::Damaged(reason));
        }
        if !self.offset.is_multiple_of(alignment) {
            let reason = format!("{name:?} begins at no multiple of {alignment} bytes");
            return Err(Refused::Damaged(reason));
        }
        Ok(())
    }
}

/// Every byte belongs to one tensor: otherwise a small file could hold a large model.
fn check_overlaps(tensors: &mut [Listed]) -> Result<(), Refused> {
    tensors.sort_by_key(|tensor| tensor.offset);
    let filled = tensors.iter().filter(|tensor| tensor.bytes > Some(0));
    let filled: Vec<&Listed> = filled.collect();
    let pairs = filled.windows(2);
    for pair in pairs {
        if pair[0].end() > Some(pair[1].offset) {
            let [first, second] = [0, 1].map(|i| &pair[i].entry.name);
            let reason = format!("{first:?} and {second:?} lie over one another");
            return Err(Refused::Damaged(reason));
        }
    }
    Ok(())
}
