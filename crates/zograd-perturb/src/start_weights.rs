//! The weights that a run started from, for decay towards them.

use crate::numbers::{Reader, dump};
use crate::{Grids, ParameterSpace, PerturbError};
use burn::module::Module;
use burn::tensor::backend::Backend;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

/// The start weights of what moves, in a file without a name that is gone with this value: 4 bytes a weight on the disk
/// and none in memory.
#[derive(Debug)]
pub struct StartWeights(File);

impl StartWeights {
    /// Keeps the weights of `module`, rounded to `grids`, if it walks on such, in the folder `at`.
    ///
    /// # Errors
    /// [`PerturbError::Start`] if the file cannot be written; [`PerturbError::NotOnGrids`] for the grids of another space.
    pub fn keep<B: Backend, M: Module<B>>(
        module: &M,
        space: &ParameterSpace,
        grids: Option<&Grids>,
        at: &Path,
    ) -> Result<Self, PerturbError> {
        if let Some(grids) = grids {
            grids.check(space)?;
        }
        // of a bare file name
        let here = at.as_os_str().is_empty();
        let at = if here { Path::new(".") } else { at };
        let written = || {
            let mut out = BufWriter::new(tempfile::tempfile_in(at)?);
            dump(module, space, grids, &mut out)?;
            out.flush()?;
            Ok(out.into_inner()?)
        };
        let failed = |e: std::io::Error| PerturbError::Start(format!("{}: {e}", at.display()));
        written().map(Self).map_err(failed)
    }

    /// Reads the parameters one after the other.
    pub(crate) fn reader(&self) -> Result<Reader, PerturbError> {
        let begun = || {
            let mut file = self.0.try_clone()?;
            file.rewind()?;
            Ok(Reader::new(file))
        };
        begun().map_err(failed)
    }
}

pub(crate) fn failed(error: std::io::Error) -> PerturbError {
    PerturbError::Start(error.to_string())
}
