//! A plain model from a model and its LoRA adapter.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::Unfinished;
use crate::inputs::{self, ModelSource};
use crate::settings::{Inputs, Machine, Storage};
use crate::watch::Watch;
use std::path::Path;
use zograd_models::{AdapterConfig, ModelConfig, content_hash, save_pretrained};

impl Runs {
    /// Writes the model of `inputs` with the adapter added to its weights into `out`; returns their content hash.
    ///
    /// # Errors
    /// An adapter that does not fit or is no LoRA, a folder that is not empty.
    pub fn merge(
        &self,
        inputs: &Inputs,
        adapter: &Path,
        storage: Storage,
        out: &Path,
        watch: &mut dyn Watch,
    ) -> Result<String> {
        Unfinished::check(out)?;
        let source = ModelSource::find(inputs, watch)?;
        let config = ModelConfig::from_folder(&source.folder).about("`model`")?;
        if let AdapterConfig::Prefix(_) = inputs::check_adapter_folder(adapter, &config)? {
            refuse!(
                "`adapter = {}`: a prefix is no change of weights and cannot be merged; measure with it as \
                 an `adapter`",
                adapter.display()
            );
        }
        let machine = Machine::cpu(storage).complete()?;
        let begun = Unfinished::begin(out)?;
        let job = MergeJob {
            source: &source,
            adapter,
            out: begun.path(),
            storage,
            watch,
        };
        let weights = dispatch(&machine, job)?;
        begun.finish()?;
        Ok(weights)
    }
}

struct MergeJob<'a> {
    source: &'a ModelSource,
    adapter: &'a Path,
    out: &'a Path,
    storage: Storage,
    watch: &'a mut dyn Watch,
}

impl Job for MergeJob<'_> {
    type Output = String;

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<String> {
        let base = inputs::load::<B>(&self.source.folder, self.storage, device).about("`model`")?;
        let model = inputs::attach(base, self.adapter, self.storage, self.watch)?;
        let model = model.merged().or_input()?;
        save_pretrained(
            &model,
            model.config(),
            Some(&self.source.tokenizer),
            self.out,
        )
        .while_running()?;
        Ok(content_hash(&model))
    }
}
