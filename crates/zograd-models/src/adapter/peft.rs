//! PEFT's `adapter_config.json` for LoRA.

use serde_json::{Map, Value, json};

use super::config::LoraConfig;
use super::projection::Projection;

/// Settings that would change what the tensors mean: each must be absent or empty.
const UNSUPPORTED: [&str; 16] = [
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "layers_to_transform",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "use_rslora",
];

/// What PEFT reads as this adapter of `base`.
pub(super) fn write(lora: &LoraConfig, base: &str) -> Value {
    // PEFT declares alpha as an integer, and takes any number
    let whole = lora.alpha.fract() == 0.0 && lora.alpha < 1e9;
    let alpha = if whole {
        json!(lora.alpha as u64)
    } else {
        json!(lora.alpha)
    };
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": lora.r,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": lora.targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "modules_to_save": null,
    })
}

/// The adapter that a PEFT configuration describes.
///
/// # Errors
/// What is missing, wrong, or not supported, and what to do.
pub(super) fn read(config: &Map<String, Value>) -> Result<LoraConfig, String> {
    for key in UNSUPPORTED {
        let value = config.get(key).unwrap_or(&Value::Null);
        if !is_empty(value) {
            return Err(format!(
                "{key} = {value} is not supported; merge the adapter with PEFT, and give the merged model"
            ));
        }
    }
    match config.get("bias").unwrap_or(&Value::Null) {
        Value::Null => {}
        Value::String(bias) if bias == "none" => {}
        other => {
            return Err(format!(
                "bias = {other} is not supported; merge the adapter with PEFT, and give the merged model"
            ));
        }
    }
    let r = match config.get("r").and_then(Value::as_u64) {
        Some(r) => usize::try_from(r).unwrap_or(usize::MAX),
        None => return Err("r must be a whole number".to_owned()),
    };
    let Some(alpha) = config.get("lora_alpha").and_then(Value::as_f64) else {
        return Err("lora_alpha must be a number".to_owned());
    };
    let Some(Value::Array(names)) = config.get("target_modules") else {
        return Err("target_modules must be a list of module names, such as q_proj".to_owned());
    };
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let name = name.as_str().unwrap_or_default();
        let last = name.strip_prefix("self_attn.").unwrap_or(name);
        targets.push(Projection::named(last).map_err(|error| format!("target_modules: {error}"))?);
    }
    // a set in Python: its order means nothing
    targets.sort_unstable();
    Ok(LoraConfig { r, alpha, targets })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: Value) -> Result<LoraConfig, String> {
        read(value.as_object().expect("an object"))
    }

    #[test]
    fn what_is_written_reads_back() {
        for alpha in [16.0, 0.5] {
            let lora = LoraConfig {
                r: 4,
                alpha,
                targets: vec![Projection::QProj, Projection::Fc2],
            };
            assert_eq!(parsed(write(&lora, "base")), Ok(lora));
        }
    }

    #[test]
    fn what_would_mean_another_model_is_refused() {
        for (key, value) in [
            ("use_dora", json!(true)),
            ("rank_pattern", json!({"fc1": 4})),
            ("bias", json!("all")),
            ("r", json!("8")),
            ("lora_alpha", json!(null)),
            ("target_modules", json!("all-linear")),
            ("target_modules", json!(["project_in"])),
        ] {
            let mut config = write(&LoraConfig::default(), "base");
            config[key] = value;
            let error = parsed(config).expect_err(key);
            assert!(error.contains(key), "{error}");
        }
        let mut config = write(&LoraConfig::default(), "base");
        config["target_modules"] = json!(["self_attn.v_proj", "q_proj"]);
        config["rank_pattern"] = json!({});
        assert_eq!(parsed(config), Ok(LoraConfig::default()));
    }
}
