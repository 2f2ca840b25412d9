//! A model as a GGUF file.

use crate::Runs;
use crate::backend::{Job, RunBackend, dispatch};
use crate::error::{Blame, Result, refuse};
use crate::folder::OptionBiases;
use crate::inputs::{self, ModelSource};
use crate::settings::{Inputs, Machine, Storage};
use crate::watch::Watch;
use std::path::Path;
use zograd_models::gguf::{WrittenType, is_gguf};
use zograd_models::{Family, ModelConfig};

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
            watch,
        };
        dispatch(&machine, job)
    }
}

/// Numbers that share a scale in Q8_0.
const BLOCK: usize = 32;

/// Lengths of the rows of a model's matrices.
fn row_lengths(config: &ModelConfig) -> [usize; 3] {
    let inner = match &config.family {
        Family::Llama(llama) => llama.intermediate_size,
        Family::Opt(opt) => opt.ffn_dim,
        _ => config.hidden_size,
    };
    let heads = config.num_attention_heads * config.head_dim;
    [config.hidden_size, heads, inner]
}

struct ConvertJob<'a> {
    source: &'a ModelSource,
    written: WrittenType,
    out: &'a Path,
    watch: &'a mut dyn Watch,
}

impl Job for ConvertJob<'_> {
    type Output = ();

    fn run<B: RunBackend>(self, device: &B::Device) -> Result<()> {
        let folder = &self.source.folder;
        let model = inputs::load::<B>(folder, Storage::F32, device).about("`model`")?;
        let rows = row_lengths(model.config());
        let odd = rows.into_iter().find(|length| length % BLOCK != 0);
        if let (WrittenType::Q8_0, Some(length)) = (self.written, odd) {
            self.watch.note(&format!(
                "note: rows of {length} numbers are not made of blocks of {BLOCK}: matrices with such rows are written as f16"
            ));
        }
        if OptionBiases::lie_in(folder) {
            self.watch.note(
                "note: the biases of the options that lie beside these weights have no place in a GGUF file: scores are those \
                 without them",
            );
        }
        let tokenizer = Some(self.source.tokenizer.as_path());
        model
            .save_gguf(tokenizer, self.written, self.out)
            .about("`out`")
    }
}
