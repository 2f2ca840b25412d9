//! The f32 originals of 16-bit weights, in a file.
//!
//! Every pass over 16-bit weights rounds them, and over thousands of steps the rounding adds up to a drift.
//! Their originals bound it: a file holds the weights in f32, on grids. Now and then the updates since the last
//! time are made there, exactly and a tensor at a time, and the weights in memory become the rounded
//! originals again (anchored walking). Memory stays what it was, and the weights after such a moment are a function of the start
//! weights and the updates alone, so that a log replays to the same bits.
use zograd_params::ParameterPath;

use crate::family::Perturbation;
use crate::perturbed::terms::{self, MergedPass};
use crate::{
    AppliedUpdate, Grid, Grids, ParameterSpace, ParameterSpec, PerturbError, Resolution, kernel,
};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use rayon::prelude::*;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Numbers that are read or written at a time.
const BLOCK: usize = 1 << 14;

/// The f32 originals of the weights that move: little-endian numbers in the order of the parameter space.
#[derive(Debug)]
pub struct Originals {
    path: PathBuf,
    space: ParameterSpace,
    noise: Perturbation,
    grids: Grids,
}

impl Originals {
    /// Writes the weights of `module`, rounded to `grids`, to a new file at `path`.
    ///
    /// # Errors
    /// [`PerturbError::Originals`] if the file cannot be written; [`PerturbError::NotOnGrids`] for the grids of another
    /// space.
    pub fn create<B: Backend, M: Module<B>>(
        path: PathBuf,
        module: &M,
        space: ParameterSpace,
        noise: impl Into<Perturbation>,
        grids: Grids,
    ) -> Result<Self, PerturbError> {
        grids.check(&space)?;
        let originals = Self {
            path,
            space,
            noise: noise.into(),
            grids,
        };
        originals.replace(|out| {
            let mut dump = Dump {
                path: ParameterPath::default(),
                originals: &originals,
                out,
                result: Ok(()),
            };
            module.visit(&mut dump);
            dump.result.map_err(|e| failed(&originals.path, &e))
        })?;
        Ok(originals)
    }

    /// The originals whose file lies at `path` already.
    ///
    /// # Errors
    /// As [`Self::create`]; the file has another size.
    pub fn open(
        path: PathBuf,
        space: ParameterSpace,
        noise: impl Into<Perturbation>,
        grids: Grids,
    ) -> Result<Self, PerturbError> {
        grids.check(&space)?;
        let found = std::fs::metadata(&path)
            .map_err(|e| failed(&path, &e))?
            .len();
        let expected = 4 * space.dimension();
        if found != expected {
            return Err(PerturbError::Originals(format!(
                "{}: {found} bytes, expected {expected}",
                path.display()
            )));
        }
        Ok(Self {
            path,
            space,
            noise: noise.into(),
            grids,
        })
    }

    /// How finely the originals can be moved.
    pub(crate) fn resolution(&self) -> Resolution {
        Resolution::new(self.noise.kind(), &self.space, &self.grids)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `updates` in the file: it is replaced at once, by one with all of them, or not at all.
    pub(crate) fn advance(&mut self, updates: &[AppliedUpdate]) -> Result<(), PerturbError> {
        let most = |since| self.grids.reach(&self.noise.amplitudes(&self.space, since));
        let passes = terms::merged(updates, &self.noise, most)?;
        let mut reader = self.reader()?;
        let failed = |e: std::io::Error| failed(&self.path, &e);
        self.replace(|out| {
            for (index, spec) in self.space.parameters().iter().enumerate() {
                let mut weights = reader.next(spec).map_err(failed)?;
                let grid = Some(self.grids.at(index));
                for MergedPass {
                    terms,
                    decay,
                    since,
                    ..
                } in &passes
                {
                    let streams = self.noise.streams(spec, *since, terms, true);
                    let pass = decay.pass_over(spec, &streams, grid);
                    kernel::add_noise(&mut weights, &pass);
                    let sizes = weights.par_iter().map(|w| w.abs());
                    let largest = sizes.reduce(|| 0.0, f32::max);
                    self.grids.check_size(index, f64::from(largest))?;
                }
                write(out, weights.iter().copied()).map_err(failed)?;
            }
            Ok(())
        })
    }

    /// Reads the parameters one after the other.
    pub(crate) fn reader(&self) -> Result<Reader, PerturbError> {
        let file = zograd_files::open(&self.path).map_err(|e| failed(&self.path, &e))?;
        Ok(Reader(BufReader::new(file)))
    }

    /// Writes a new file, brings it to the disk and puts it in the place of the old one.
    fn replace(
        &self,
        fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), PerturbError>,
    ) -> Result<(), PerturbError> {
        let failed = |e: std::io::Error| failed(&self.path, &e);
        let partial = self.path.with_extension("partial");
        zograd_files::remove(&partial).map_err(failed)?;
        let mut out = BufWriter::new(File::create_new(&partial).map_err(failed)?);
        fill(&mut out)?;
        let finish = || {
            out.into_inner()?.sync_all()?;
            std::fs::rename(&partial, &self.path)
        };
        finish().map_err(failed)
    }
}

fn failed(path: &Path, error: &std::io::Error) -> PerturbError {
    PerturbError::Originals(format!("{}: {error}", path.display()))
}

fn write(out: &mut impl Write, weights: impl Iterator<Item = f32>) -> std::io::Result<()> {
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

/// The file of the originals, from its first parameter on.
pub(crate) struct Reader(BufReader<File>);

impl Reader {
    /// The weights of the next parameter.
    pub(crate) fn next(&mut self, spec: &ParameterSpec) -> std::io::Result<Vec<f32>> {
        let mut weights = Vec::with_capacity(spec.len());
        let mut bytes = [0; 4 * BLOCK];
        while weights.len() < spec.len() {
            let count = BLOCK.min(spec.len() - weights.len());
            let bytes = &mut bytes[..4 * count];
            self.0.read_exact(bytes)?;
            let (numbers, _) = bytes.as_chunks::<4>();
            weights.extend(numbers.iter().copied().map(f32::from_le_bytes));
        }
        Ok(weights)
    }
}

/// Writes the parameters of a module that move.
struct Dump<'a, W> {
    path: ParameterPath,
    originals: &'a Originals,
    out: W,
    result: std::io::Result<()>,
}

impl<B: Backend, W: Write> ModuleVisitor<B> for Dump<'_, W> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        let Some(index) = self.originals.space.names().position(|n| n == name) else {
            return;
        };
        let spacing = Grid::spacing(self.originals.grids.at(index));
        let data = param.val().into_data();
        let on_grid = |w: f32| ((f64::from(w) / spacing).round_ties_even() * spacing) as f32;
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
        let mut reader = Reader(BufReader::new(file));
        for size in sizes {
            let spec = ParameterSpec::new("x".into(), vec![size], DType::F32);
            let read = reader.next(&spec).expect("read");
            assert!(read.into_iter().eq((0..size).map(number)));
        }
        assert_eq!(reader.0.read(&mut [0]).expect("the end"), 0);
    }
}
