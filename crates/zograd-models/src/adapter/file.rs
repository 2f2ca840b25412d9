//! What the tensors of an adapter are called in files.

/// The weight file of an adapter folder.
pub(super) const TENSORS: &str = "adapter_model.safetensors";
/// The configuration in an adapter folder.
pub(super) const CONFIG: &str = "adapter_config.json";
/// The note of what the adapter belongs to.
pub(super) const BASE: &str = "base.json";

/// What the configuration of a prefix says it is.
pub(super) const PREFIX: &str = "zograd-prefix";
/// Version of the files of a prefix; other ones are refused.
pub(super) const PREFIX_VERSION: u64 = 1;

/// The name in the file of the adapter parameter at this path: PEFT's for LoRA, MeZO's for prefixes;
/// `None` for other parameters.
pub(super) fn name(path: &str) -> Option<String> {
    let peft = |stem: &str, factor| format!("base_model.model.model.{stem}.{factor}.weight");
    let mezo = |stem: &str, part| format!("model.{stem}.{part}");
    None.or_else(|| Some(peft(path.strip_suffix(".lora.a")?, "lora_A")))
        .or_else(|| Some(peft(path.strip_suffix(".lora.b")?, "lora_B")))
        .or_else(|| Some(mezo(path.strip_suffix(".prefix.keys")?, "prefix_keys")))
        .or_else(|| Some(mezo(path.strip_suffix(".prefix.values")?, "prefix_values")))
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_those_of_peft_and_of_mezo() {
        for (path, expected) in [
            (
                "decoder.layers.3.fc1.lora.b",
                Some("base_model.model.model.decoder.layers.3.fc1.lora_B.weight"),
            ),
            (
                "decoder.layers.0.self_attn.prefix.keys",
                Some("model.decoder.layers.0.self_attn.prefix_keys"),
            ),
            ("decoder.layers.0.fc1.weight", None),
        ] {
            assert_eq!(name(path).as_deref(), expected);
        }
    }
}
