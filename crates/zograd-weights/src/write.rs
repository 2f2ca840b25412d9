//! A safetensors file, written a piece of a tensor at a time. (The writer of the library asks for a tensor's bytes as
//! one vector, which is a second copy of the largest tensor beside the one that leaves the device.)

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use burn::tensor::TensorData;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::float::Float;

/// A tensor to be written.
pub struct StoredTensor {
    /// The type of its values.
    pub dtype: Float,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values in pieces, which are asked for once, when they are written.
    pub data: Box<dyn Fn() -> Box<dyn Iterator<Item = TensorData>>>,
}

impl StoredTensor {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}

/// The header begins at a multiple of this, as the library's does, so that the data can be mapped.
const ALIGNMENT: usize = 8;

/// Writes the file. Wide types come first and names in their order among equals, as in the library's files; the
/// metadata say that the layout is PyTorch's.
///
/// # Errors
/// A name comes twice, the file exists, or what the system says.
pub fn write_safetensors(mut tensors: Vec<(String, StoredTensor)>, path: &Path) -> io::Result<()> {
    tensors.sort_by(|(name, a), (other, b)| dtype(b).cmp(&dtype(a)).then(name.cmp(other)));
    let mut end = 0;
    let infos = tensors.iter().map(|(name, tensor)| {
        let start = end;
        end += tensor.bytes();
        let info = TensorInfo {
            dtype: dtype(tensor),
            shape: tensor.shape.clone(),
            data_offsets: (start, end),
        };
        (name.clone(), info)
    });
    let about = [("format".to_owned(), "pt".to_owned())].into();
    let metadata = Metadata::new(Some(about), infos.collect()).map_err(io::Error::other)?;
    let mut header = serde_json::to_vec(&metadata)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');

    let mut file = File::create_new(path)?;
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for (_, tensor) in &tensors {
        for piece in (tensor.data)() {
            // little-endian, and so is every machine burn's CPU backends run on
            file.write_all(piece.as_bytes())?;
        }
    }
    Ok(())
}

fn dtype(tensor: &StoredTensor) -> Dtype {
    match tensor.dtype {
        Float::F16 => Dtype::F16,
        Float::BF16 => Dtype::BF16,
        Float::F32 => Dtype::F32,
        Float::F64 => Dtype::F64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    #[test]
    fn the_library_reads_it_and_would_have_written_the_same() {
        let stored = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [values.len()]);
            StoredTensor {
                dtype: Float::F32,
                shape: vec![values.len()],
                data: Box::new(move || Box::new(std::iter::once(data.clone()))),
            }
        };
        let folder = tempfile::tempdir().expect("a scratch folder");
        let path = folder.path().join("model.safetensors");
        let tensors = vec![
            ("b".to_owned(), stored(&[1.0, 2.0])),
            ("a".to_owned(), stored(&[3.0])),
        ];
        write_safetensors(tensors, &path).expect("a writable folder");
        let found = std::fs::read(&path).expect("written");
        let read = SafeTensors::deserialize(&found).expect("valid");
        let views: Vec<_> = ["a", "b"]
            .map(|n| (n, read.tensor(n).expect("there")))
            .into();
        assert_eq!(views[0].1.data(), 3f32.to_le_bytes());
        let about = [("format".to_owned(), "pt".to_owned())].into();
        let expected = safetensors::serialize(views, Some(about)).expect("valid");
        assert!(found == expected);
    }
}
