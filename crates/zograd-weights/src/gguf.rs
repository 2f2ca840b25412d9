//! GGUF, the format of llama.cpp: metadata and tensors in one file.

mod container;
mod input;
mod metadata;
mod quantised;
mod tensor_type;
mod value;
mod write;

pub use container::GgufFile;
pub use metadata::{Metadata, MetadataError};
pub use quantised::Quantised;
pub use tensor_type::WrittenType;
pub use value::{Array, Value};
pub use write::write_gguf;

/// The first bytes of a file.
const MAGIC: [u8; 4] = *b"GGUF";

/// Where tensors begin, unless the metadata says otherwise: at multiples of this many bytes.
const ALIGNMENT: u64 = 32;
