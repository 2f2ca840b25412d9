//! What the tensors of an adapter are called in files.

use super::projection::Projection;

/// The weight file of an adapter folder.
pub(super) const TENSORS: &str = "adapter_model.safetensors";
/// The weight file of older PEFT folders.
pub(super) const TENSORS_BIN: &str = "adapter_model.bin";
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

/// The layer and the projection of a LoRA tensor with PEFT's name; `None` for other tensors.
pub(super) fn projection(tensor: &str) -> Option<(usize, Projection)> {
    let path = tensor.strip_prefix("base_model.model.model.")?;
    // OPT's layers have one more name before theirs
    let within = path
        .strip_prefix("decoder.")
        .unwrap_or(path)
        .strip_prefix("layers.")?;
    let (layer, within) = within.split_once('.')?;
    let stem = [".lora_A.weight", ".lora_B.weight"]
        .iter()
        .find_map(|factor| within.strip_suffix(factor))?;
    let mut all = Projection::ALL.into_iter();
    Some((layer.parse().ok()?, all.find(|it| it.path() == stem)?))
}

#[cfg(test)]
mod tests {
    use super::{Projection, name, projection};

    #[test]
    fn projections_are_found_by_the_names_of_their_tensors() {
        let tensor = |path: &str| projection(&format!("base_model.model.model.{path}.weight"));
        let found = tensor("decoder.layers.12.self_attn.k_proj.lora_A");
        assert_eq!(found, Some((12, Projection::KProj)));
        assert_eq!(
            tensor("decoder.layers.0.fc2.lora_B"),
            Some((0, Projection::Fc2))
        );
        assert_eq!(
            tensor("layers.1.mlp.gate_proj.lora_A"),
            Some((1, Projection::GateProj))
        );
        assert_eq!(tensor("decoder.layers.0.k_proj.lora_A"), None);
        assert_eq!(tensor("decoder.project_in.lora_A"), None);
    }

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
