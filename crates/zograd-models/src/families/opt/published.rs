//! The shapes Meta published, by name.

use serde_json::{Value, json};

pub(crate) const NAMES: [&str; 8] = [
    "opt-125m", "opt-350m", "opt-1.3b", "opt-2.7b", "opt-6.7b", "opt-13b", "opt-30b", "opt-66b",
];

/// The `config.json` of a published shape: Table 1 of the OPT paper (arXiv 2205.01068), and for
/// opt-350m the post-norm layers and the narrow token table of its published weights.
pub(crate) fn published(name: &str) -> Option<Value> {
    let (hidden, layers, heads) = match name {
        "opt-125m" => (768, 12, 12),
        "opt-350m" => (1024, 24, 16),
        "opt-1.3b" => (2048, 24, 32),
        "opt-2.7b" => (2560, 32, 32),
        "opt-6.7b" => (4096, 32, 32),
        "opt-13b" => (5120, 40, 40),
        "opt-30b" => (7168, 48, 56),
        "opt-66b" => (9216, 64, 72),
        _ => return None,
    };
    let is_350m = name == "opt-350m";
    Some(json!({
        "_name_or_path": format!("facebook/{name}"),
        "architectures": ["OPTForCausalLM"],
        "model_type": "opt",
        "activation_function": "relu",
        "attention_dropout": 0.0,
        "bos_token_id": 2,
        "do_layer_norm_before": !is_350m,
        "dropout": 0.1,
        "enable_bias": true,
        "eos_token_id": 2,
        "ffn_dim": 4 * hidden,
        "hidden_size": hidden,
        "init_std": 0.02,
        "layer_norm_elementwise_affine": true,
        "layerdrop": 0.0,
        "max_position_embeddings": 2048,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "pad_token_id": 1,
        "prefix": "</s>",
        "tie_word_embeddings": true,
        "torch_dtype": "float16",
        "use_cache": true,
        "vocab_size": 50272,
        "word_embed_proj_dim": if is_350m { 512 } else { hidden },
        "_remove_final_layer_norm": false,
    }))
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use crate::ModelConfig;

    /// Counts of the published weights (transformers' `num_parameters` with the tied head once).
    #[test]
    fn every_name_is_a_valid_shape_of_its_size() {
        let counts = NAMES.map(|name| {
            let config = ModelConfig::named(name).expect("listed");
            config.num_parameters() as f64 / 1e9
        });
        let published = [0.125, 0.331, 1.316, 2.652, 6.658, 12.853, 29.975, 65.721];
        for ((name, count), published) in NAMES.iter().zip(counts).zip(published) {
            assert!((count / published - 1.0).abs() < 5e-3, "{name}: {count}e9");
        }
        assert!(ModelConfig::named("opt-1b").is_err());
    }
}
