//! A model as a GGUF file.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::inputs::{self, ModelSource};
use crate::settings::{Inputs, Machine, Storage};
use crate::watch::Watch;
use std::path::Path;
use zograd_models::gguf::{WrittenType, is_gguf};

impl Runs {
    /// Writes the model of `inputs` as a GGUF file, with its tokenizer and chat template.
    ///
    /// # Errors
    /// The model is of a family without a form in GGUF, or has an adapter beside its weights; `out` exists, or is not
    /// called `.gguf`.
    pub fn convert(
        &self,
        inputs: &Inputs,
        written: WrittenType,
        out: &Path,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        if !is_gguf(out) {
            refuse!("`out = {}`: a GGUF file is called NAME.gguf", out.display());
        }
        if out.exists() {
            refuse!(
                "`out = {}`: the file exists; nothing is written over",
                out.display()
            );
        }
        let source = ModelSource::find(inputs, watch)?;
        source.refuse_own_adapter()?;
        let machine = Machine::cpu(Storage::F32).complete()?;
        let job = ConvertJob {
            source: &source,
            written,
            out,
        };
        dispatch(&machine, job)
    }
}

struct ConvertJob<'a> {
    source: &'a ModelSource,
    written: WrittenType,
    out: &'a Path,
}

impl Job for ConvertJob<'_> {
    type Output = ();

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<()> {
        let folder = &self.source.folder;
        let model = inputs::load::<B>(folder, Storage::F32, device).about("`model`")?;
        let tokenizer = Some(self.source.tokenizer.as_path());
        model
            .save_gguf(tokenizer, self.written, self.out)
            .about("`out`")
    }
}
