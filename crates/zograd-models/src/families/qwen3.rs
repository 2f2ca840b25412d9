//! Qwen3 (arXiv 2505.09388): Llama whose queries and keys are normed head by head.

use super::llama::config::{LlamaConfig, read_kin};
use super::qwen2::with_late_windows;
use crate::config::{Common, ConfigError, Keys};

/// Of a config.json with `model_type` qwen3.
pub(super) fn read(keys: &Keys<'_>) -> Result<(Common, LlamaConfig), ConfigError> {
    // the class's own default is no function of the other sizes
    keys.needed("head_dim")?;
    let (common, mut settings) = read_kin(keys, "qwen3")?;
    settings.head_norms = true;
    let bias = keys.switch("attention_bias", false)?;
    (settings.bias_in, settings.bias_out) = (bias, bias);
    with_late_windows(keys, settings).map(|settings| (common, settings))
}
