//! A model and the adapter that belongs to it.

use super::train::kebab;
use crate::args::DtypeName;
use crate::backend::TrainBackend;
use crate::output::say;
use anyhow::{Context, Result, bail};
use burn::tensor::DType;
use std::path::Path;
use zograd_models::{
    AdapterConfig, BaseNote, Opt, OptConfig, content_hash, content_hash_of, is_adapter,
    save_adapter, save_pretrained,
};

/// Refuses an adapter folder that cannot be meant for this model, before any weights are loaded.
///
/// # Errors
/// It holds no adapter, or one that does not fit.
pub fn check(folder: &Path, model: &OptConfig) -> Result<AdapterConfig> {
    let named = || format!("--adapter {}", folder.display());
    let config = AdapterConfig::from_folder(folder).with_context(named)?;
    config.check(model).with_context(named)?;
    Ok(config)
}

/// Saves what a run tunes: the adapter of `model`, or the whole model where it has none.
///
/// # Errors
/// Something cannot be written.
pub fn keep<B: TrainBackend>(
    model: &Opt<B>,
    base: &BaseNote,
    tokenizer: Option<&Path>,
    out: &Path,
) -> Result<()> {
    match model.adapter() {
        Some(_) => save_adapter(model, base, out)?,
        None => save_pretrained(model, model.config(), tokenizer, out)?,
    }
    Ok(())
}

/// A hash of what a run tunes: the tensors of the adapter, or all where there is none.
pub fn tuned_hash<B: TrainBackend>(model: &Opt<B>) -> String {
    match model.adapter() {
        Some(_) => content_hash_of(model, is_adapter),
        None => content_hash(model),
    }
}

/// `base` with the adapter in `folder`.
///
/// # Errors
/// The adapter was trained on other weights, or its files are damaged.
pub fn attach<B: TrainBackend>(base: Opt<B>, folder: &Path) -> Result<Opt<B>> {
    let named = || format!("--adapter {}", folder.display());
    let dtype = kebab(&dtype_name(base.dtype()));
    match BaseNote::read(folder).with_context(named)? {
        Some(note) if note.dtype == dtype => {
            let found = content_hash(&base);
            if found != note.weights {
                bail!(
                    "{}: it was trained on other weights: {} ({}), these are {found}; give the model it was \
                     trained on with --model",
                    named(),
                    note.weights,
                    note.model
                );
            }
        }
        Some(note) => say(format_args!(
            "note: the adapter was trained on {} weights; whether these are the same as {dtype} cannot be told",
            note.dtype
        )),
        // a folder from elsewhere
        None => {}
    }
    base.with_adapter_from(folder).with_context(named)
}

fn dtype_name(dtype: DType) -> DtypeName {
    match dtype {
        DType::F16 => DtypeName::F16,
        DType::BF16 => DtypeName::Bf16,
        _ => DtypeName::F32,
    }
}
