//! Mistral (arXiv 2310.06825): Llama whose layers see a window of the tokens before.

use super::llama::config::{LlamaConfig, read_kin, window, windows};
use crate::config::{Common, ConfigError, Keys};

/// Of a config.json with `model_type` mistral.
pub(super) fn read(keys: &Keys<'_>) -> Result<(Common, LlamaConfig), ConfigError> {
    let (common, settings) = read_kin(keys, "mistral")?;
    let layers = settings.layers.len();
    let windows = windows(keys, window(keys)?, layers, |_| true)?;
    Ok((common, settings.with_windows(windows)))
}
