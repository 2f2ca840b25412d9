//! Qwen2 and Qwen2.5 (arXiv 2407.10671): Llama with biases on queries, keys and values.

use super::llama::config::{LlamaConfig, read_kin, window, windows};
use crate::config::{Common, ConfigError, Keys};

/// Of a config.json with `model_type` qwen2.
pub(super) fn read(keys: &Keys<'_>) -> Result<(Common, LlamaConfig), ConfigError> {
    let (common, mut settings) = read_kin(keys, "qwen2")?;
    settings.bias_in = true;
    with_late_windows(keys, settings).map(|settings| (common, settings))
}

/// Windows, if they are switched on: of the layers from `max_window_layers` on.
pub(super) fn with_late_windows(
    keys: &Keys<'_>,
    settings: LlamaConfig,
) -> Result<LlamaConfig, ConfigError> {
    let used = keys.switch("use_sliding_window", false)?;
    let window = window(keys)?.filter(|_| used);
    // the default of transformers
    let first = keys.size("max_window_layers")?.unwrap_or(28);
    let layers = settings.layers.len();
    let windows = windows(keys, window, layers, |layer| layer >= first)?;
    Ok(settings.with_windows(windows))
}
