//! Weights in a file: little-endian f32 numbers in the order of the parameter space.

use crate::each::{Look, each};
use crate::{Grid, Grids, ParameterSpace, ParameterSpec};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use std::fs::File;
use std::io::{BufReader, Read, Write};

/// Numbers that are read or written at a time.
const BLOCK: usize = 1 << 14;

/// Writes the parameters of `module` that are in `space`, rounded to `grids`, if there are any.
pub(crate) fn dump<B: Backend, M: Module<B>>(
    module: &M,
    space: &ParameterSpace,
    grids: Option<&Grids>,
    out: impl Write,
) -> std::io::Result<()> {
    let mut dump = Dump {
        grids,
        out,
        result: Ok(()),
    };
    each(module, space, &mut dump);
    dump.result
}

/// Writes numbers.
pub(crate) fn write(
    out: &mut impl Write,
    weights: impl Iterator<Item = f32>,
) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(4 * BLOCK);
    for weight in weights {
        bytes.extend_from_slice(&weight.to_le_bytes());
        if bytes.len() == 4 * BLOCK {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)
}

/// The numbers of a file, one after the other.
pub(crate) struct Reader(BufReader<File>);

impl Reader {
    /// From where the file is.
    pub(crate) fn new(file: File) -> Self {
        Self(BufReader::new(file))
    }

    /// The weights of the next parameter.
    pub(crate) fn next(&mut self, spec: &ParameterSpec) -> std::io::Result<Vec<f32>> {
        let mut weights = vec![0.0; spec.len()];
        self.fill(&mut weights)?;
        Ok(weights)
    }

    /// The next numbers, as many as there is room for.
    pub(crate) fn fill(&mut self, weights: &mut [f32]) -> std::io::Result<()> {
        let mut bytes = [0; 4 * BLOCK];
        for weights in weights.chunks_mut(BLOCK) {
            let bytes = &mut bytes[..4 * weights.len()];
            self.0.read_exact(bytes)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            for (weight, number) in weights.iter_mut().zip(numbers) {
                *weight = f32::from_le_bytes(*number);
            }
        }
        Ok(())
    }

    /// Leaves out so many numbers.
    pub(crate) fn skip(&mut self, count: usize) -> std::io::Result<()> {
        self.0.seek_relative(4 * count as i64)
    }
}

/// Writes parameters.
struct Dump<'a, W> {
    grids: Option<&'a Grids>,
    out: W,
    result: std::io::Result<()>,
}

impl<B: Backend, W: Write> Look<B> for Dump<'_, W> {
    fn look<const D: usize>(&mut self, index: usize, param: &Param<Tensor<B, D>>) {
        let spacing = self.grids.map(|grids| Grid::spacing(grids.at(index)));
        let data = param.val().into_data();
        let on_grid = |w: f32| match spacing {
            Some(spacing) => ((f64::from(w) / spacing).round_ties_even() * spacing) as f32,
            None => w,
        };
        // number by number: a copy of the largest tensor in f32 may be as large as half of the model
        if self.result.is_ok() {
            self.result = write(&mut self.out, data.iter::<f32>().map(on_grid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::DType;

    /// Blocks end where they want, parameters too.
    #[test]
    fn numbers_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("numbers");
        let sizes = [3, BLOCK, 2 * BLOCK + 5];
        let number = |i: usize| i as f32 - 1.5;
        let mut file = File::create(&path).expect("a file");
        for size in sizes {
            write(&mut file, (0..size).map(number)).expect("written");
        }
        let file = zograd_files::open(&path).expect("a file");
        let mut reader = Reader::new(file);
        for size in sizes {
            let spec = ParameterSpec::new("x".into(), vec![size], DType::F32);
            let read = reader.next(&spec).expect("read");
            assert!(read.into_iter().eq((0..size).map(number)));
        }
        assert_eq!(reader.0.read(&mut [0]).expect("the end"), 0);
    }
}
