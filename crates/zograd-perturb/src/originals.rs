//! The f32 originals of 16-bit weights, in a file.
//!
//! Every pass over 16-bit weights rounds them, and over thousands of steps the rounding adds up to a drift.
//! Their originals bound it: a file holds the weights in f32, on grids. Now and then the updates since the last
//! time are made there, exactly and a tensor at a time, and the weights in memory become the rounded
//! originals again (anchored walking). Memory stays what it was, and the weights after such a moment are a function of the start
//! weights and the updates alone, so that a log replays to the same bits.
use crate::family::Perturbation;
use crate::numbers::{Reader, dump, write};
use crate::perturbed::terms::{self, MergedPass};
use crate::perturbed::{Decay, Pull};
use crate::{
    AppliedUpdate, Grids, ParameterSpace, PerturbError, Resolution, StartWeights, kernel,
    start_weights,
};
use burn::module::Module;
use burn::tensor::DType;
use burn::tensor::backend::Backend;
use rayon::prelude::*;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// The f32 originals of the weights that move: the numbers of their file in the order of the parameter space.
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
        let (space, grids) = (&originals.space, Some(&originals.grids));
        originals.replace(|out| {
            dump(module, space, grids, out).map_err(|e| failed(&originals.path, &e))
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

    /// Makes `updates` in the file: it is replaced at once, by one with all of them, or not at all. Their decay goes towards
    /// `start`, if that is given.
    pub(crate) fn advance(
        &mut self,
        updates: &[AppliedUpdate],
        start: Option<&StartWeights>,
    ) -> Result<(), PerturbError> {
        let most = |since| self.grids.reach(&self.noise.amplitudes(&self.space, since));
        let passes = terms::merged(updates, &self.noise, most)?;
        let mut reader = self.reader()?;
        let mut start = start.map(StartWeights::reader).transpose()?;
        let failed = |e: std::io::Error| failed(&self.path, &e);
        self.replace(|out| {
            for (index, spec) in self.space.parameters().iter().enumerate() {
                let mut weights = reader.next(spec).map_err(failed)?;
                let grid = Some(self.grids.at(index));
                let start = match &mut start {
                    Some(start) if spec.decays => {
                        Some(start.next(spec).map_err(start_weights::failed)?)
                    }
                    Some(start) => {
                        start.skip(spec.len()).map_err(start_weights::failed)?;
                        Some(Vec::new())
                    }
                    None => None,
                };
                for MergedPass {
                    terms,
                    decay,
                    since,
                    ..
                } in &passes
                {
                    let streams = self.noise.streams(spec, *since, terms, true);
                    let decay = match &start {
                        None => *decay,
                        Some(start) => {
                            Pull::of(*decay, DType::F32, grid).over(&mut weights, start);
                            Decay::NONE
                        }
                    };
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
        Ok(Reader::new(file))
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
