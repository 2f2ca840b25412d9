//! Shapes that were published, by name.

use serde_json::{Value, json};

pub(crate) const NAMES: [&str; 4] = ["smollm2-135m", "llama-3.2-1b", "llama-3.1-8b", "qwen3-0.6b"];

/// The `config.json` of a published shape, in the keys of transformers 4.
pub(crate) fn published(name: &str) -> Option<Value> {
    let scaling = |factor: f64| {
        json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        })
    };
    // hidden, inner, layers, heads, key and value heads, width, vocabulary
    let (sizes, theta, positions, epsilon, tied, scaling) = match name {
        "smollm2-135m" => (
            [576, 1536, 30, 9, 3, 64, 49_152],
            1e5,
            8192,
            1e-5,
            true,
            Value::Null,
        ),
        "llama-3.2-1b" => {
            let sizes = [2048, 8192, 16, 32, 8, 64, 128_256];
            (sizes, 5e5, 131_072, 1e-5, true, scaling(32.0))
        }
        "llama-3.1-8b" => {
            let sizes = [4096, 14_336, 32, 32, 8, 128, 128_256];
            (sizes, 5e5, 131_072, 1e-5, false, scaling(8.0))
        }
        "qwen3-0.6b" => {
            let sizes = [1024, 3072, 28, 16, 8, 128, 151_936];
            (sizes, 1e6, 40_960, 1e-6, true, Value::Null)
        }
        _ => return None,
    };
    let [hidden, inner, layers, heads, shared, width, vocabulary] = sizes;
    let (model_type, class) = match name.starts_with("qwen3") {
        true => ("qwen3", "Qwen3ForCausalLM"),
        false => ("llama", "LlamaForCausalLM"),
    };
    Some(json!({
        "architectures": [class],
        "model_type": model_type,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": shared,
        "head_dim": width,
        "vocab_size": vocabulary,
        "max_position_embeddings": positions,
        "rms_norm_eps": epsilon,
        "rope_theta": theta,
        "rope_scaling": scaling,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
    }))
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use crate::ModelConfig;

    /// Counts of the published weights, a tied head once.
    #[test]
    fn every_name_is_a_valid_shape_of_its_size() {
        let published = [134_515_008, 1_235_814_400, 8_030_261_248, 596_049_920];
        for (name, published) in NAMES.iter().zip(published) {
            let config = ModelConfig::named(name).expect("listed");
            assert_eq!(config.num_parameters(), published, "{name}");
        }
    }
}
