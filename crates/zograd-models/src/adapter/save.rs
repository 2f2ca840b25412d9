//! An adapter folder from a model.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::config::AdapterConfig;
use super::load::BaseNote;
use super::{file, peft};
use crate::backend::ModelBackend;
use crate::model::Model;
use crate::weights::SaveError;
use crate::weights::save::{Parameters, write, write_tensors};

/// Writes the adapter of `model`, and nothing of the base, into the folder `out`, which is created:
///
/// | file | LoRA | prefix |
/// |---|---|---|
/// | `adapter_config.json` | as PEFT's | `{"adapter": "zograd-prefix", "version": 1, "tokens": ..., "init": ...}` |
/// | `adapter_model.safetensors` | `base_model.model.model.PATH.lora_A.weight`, `[r, in]`, and `lora_B`, `[out, r]` | `model.decoder.layers.N.self_attn.prefix_keys` and `prefix_values`, `[tokens, hidden_size]` |
/// | `base.json` | `base`: the model it belongs to | the same |
///
/// Python's `peft` loads a LoRA folder as it is. Files are written as [`save_pretrained`] does.
///
/// [`save_pretrained`]: crate::save_pretrained
///
/// # Errors
/// The model has no adapter, or something cannot be written.
pub fn save_adapter<B: ModelBackend>(
    model: &Model<B>,
    base: &BaseNote,
    out: &Path,
) -> Result<(), SaveError> {
    let config = match model.adapter() {
        None => return Err(SaveError::NoAdapter),
        Some(AdapterConfig::Lora(lora)) => peft::write(lora, &base.model),
        Some(AdapterConfig::Prefix(prefix)) => json!({
            "adapter": file::PREFIX,
            "version": file::PREFIX_VERSION,
            "tokens": prefix.tokens,
            "init": prefix.init,
            "base_model_name_or_path": base.model,
        }),
    };
    fs::create_dir_all(out).map_err(|source| SaveError::Write {
        path: out.to_owned(),
        source,
    })?;
    let parameters = Parameters::of(model, file::name)?;
    write_tensors(parameters.tensors, &out.join(file::TENSORS))?;
    write_json(&json!(base), &out.join(file::BASE))?;
    // last: a folder with it is complete
    write_json(&config, &out.join(file::CONFIG))
}

fn write_json(value: &Value, path: &Path) -> Result<(), SaveError> {
    write(path, format!("{value:#}\n"))
}
