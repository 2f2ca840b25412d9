//! A model and the adapter that belongs to it.

use super::mixed_up;
use crate::backend::RunBackend;
use crate::error::{Blame, Result, refuse};
use crate::settings::Storage;
use crate::watch::Watch;
use std::path::Path;
use zograd_models::{
    AdapterConfig, BaseNote, Model, ModelConfig, content_hash, content_hash_of, is_adapter,
    save_adapter, save_pretrained,
};

/// Refuses an adapter folder that cannot be meant for this model, before any weights are loaded.
///
/// # Errors
/// It holds no adapter, or one that does not fit.
pub fn check_adapter_folder(folder: &Path, model: &ModelConfig) -> Result<AdapterConfig> {
    let named = || format!("`adapter = {}`", folder.display());
    mixed_up::check_adapter(folder)?;
    let config = AdapterConfig::from_folder(folder).about(named())?;
    model.check_adapter(&config).about(named())?;
    Ok(config)
}

/// Saves what a run tunes: the adapter of `model`, or the whole model where it has none.
///
/// # Errors
/// Something cannot be written.
pub fn keep<B: RunBackend>(
    model: &Model<B>,
    base: &BaseNote,
    tokenizer: Option<&Path>,
    out: &Path,
) -> Result<()> {
    match model.adapter() {
        Some(_) => save_adapter(model, base, out).while_running(),
        None => save_pretrained(model, model.config(), tokenizer, out).while_running(),
    }
}

/// A hash of what a run tunes: the tensors of the adapter, or all where there is none.
pub fn tuned_hash<B: RunBackend>(model: &Model<B>) -> String {
    match model.adapter() {
        Some(_) => content_hash_of(model, is_adapter),
        None => content_hash(model),
    }
}

/// `base`, whose weights are stored as `dtype` says, with the adapter in `folder`.
///
/// # Errors
/// The adapter was trained on other weights, or its files are damaged.
pub fn attach<B: RunBackend>(
    base: Model<B>,
    folder: &Path,
    dtype: Storage,
    watch: &mut dyn Watch,
) -> Result<Model<B>> {
    let named = || format!("`adapter = {}`", folder.display());
    match BaseNote::read(folder).about(named())? {
        Some(note) if note.dtype == dtype => {
            let found = content_hash(&base);
            if found != note.weights {
                refuse!(
                    "{}: it was trained on other weights: {} ({}), these are {found}; give the model it was trained \
                     on (`model`)",
                    named(),
                    note.weights,
                    note.model
                );
            }
        }
        Some(note) => watch.note(&format!(
            "note: the adapter was trained on {} weights; whether these are the same as {dtype} cannot be told",
            note.dtype
        )),
        // a folder from elsewhere
        None => {}
    }
    base.with_adapter_from(folder).about(named())
}
