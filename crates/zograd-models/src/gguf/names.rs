//! Names of tensors, as llama.cpp and as Hugging Face have them.

use super::architecture::Architecture;

/// Factors of the rotary frequencies. No parameter: they follow from the configuration.
pub(super) const ROPE_FACTORS: &str = "rope_freqs.weight";

/// Outside the layers: llama.cpp's name, Hugging Face's.
const OUTSIDE: [(&str, &str); 3] = [
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
];

/// In a layer, of every family.
const LAYER: [(&str, &str); 10] = [
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("attn_norm", "input_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// In a layer that has a norm before the gated layers.
const TWO_NORMS: [(&str, &str); 1] = [("ffn_norm", "post_attention_layernorm")];

/// In a layer that has norms around both of its halves.
const FOUR_NORMS: [(&str, &str); 3] = [
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];

fn norms(architecture: Architecture) -> &'static [(&'static str, &'static str)] {
    match architecture {
        Architecture::Gemma3 => &FOUR_NORMS,
        _ => &TWO_NORMS,
    }
}

/// Hugging Face's name of a tensor; `None` if the family has no such.
pub(super) fn to_hugging_face(architecture: Architecture, name: &str) -> Option<String> {
    let (stem, kind) = parted(name)?;
    if let Some(rest) = stem.strip_prefix("blk.") {
        let (layer, part) = numbered(rest)?;
        let mut parts = LAYER.iter().chain(norms(architecture));
        let (_, theirs) = parts.find(|(ours, _)| *ours == part)?;
        return Some(format!("model.layers.{layer}.{theirs}.{kind}"));
    }
    let (_, theirs) = OUTSIDE.iter().find(|(ours, _)| *ours == stem)?;
    Some(format!("{theirs}.{kind}"))
}

/// llama.cpp's name of a tensor; `None` if the family has no such.
pub(super) fn to_gguf(architecture: Architecture, name: &str) -> Option<String> {
    let (stem, kind) = parted(name)?;
    if let Some(rest) = stem.strip_prefix("model.layers.") {
        let (layer, part) = numbered(rest)?;
        let mut parts = LAYER.iter().chain(norms(architecture));
        let (ours, _) = parts.find(|(_, theirs)| *theirs == part)?;
        return Some(format!("blk.{layer}.{ours}.{kind}"));
    }
    let (ours, _) = OUTSIDE.iter().find(|(_, theirs)| *theirs == stem)?;
    Some(format!("{ours}.{kind}"))
}

/// A name without its last part, which is `weight` or `bias`.
fn parted(name: &str) -> Option<(&str, &str)> {
    let parts = name.rsplit_once('.')?;
    matches!(parts.1, "weight" | "bias").then_some(parts)
}

/// The number of a layer and what follows it. Other ways to write the number would be other names of one tensor.
fn numbered(rest: &str) -> Option<(usize, &str)> {
    let (digits, part) = rest.split_once('.')?;
    let number: usize = digits.parse().ok()?;
    (number.to_string() == digits).then_some((number, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_there_and_back() {
        use Architecture::{Gemma3, Llama, Qwen2, Qwen3};
        for (architecture, ours, theirs) in [
            (Llama, "token_embd.weight", "model.embed_tokens.weight"),
            (Llama, "output_norm.weight", "model.norm.weight"),
            (Llama, "output.weight", "lm_head.weight"),
            (
                Llama,
                "blk.0.attn_q.weight",
                "model.layers.0.self_attn.q_proj.weight",
            ),
            (
                Qwen2,
                "blk.31.attn_k.bias",
                "model.layers.31.self_attn.k_proj.bias",
            ),
            (
                Llama,
                "blk.7.attn_output.weight",
                "model.layers.7.self_attn.o_proj.weight",
            ),
            (
                Llama,
                "blk.7.attn_norm.weight",
                "model.layers.7.input_layernorm.weight",
            ),
            (
                Llama,
                "blk.7.ffn_norm.weight",
                "model.layers.7.post_attention_layernorm.weight",
            ),
            (
                Gemma3,
                "blk.7.ffn_norm.weight",
                "model.layers.7.pre_feedforward_layernorm.weight",
            ),
            (
                Gemma3,
                "blk.7.post_attention_norm.weight",
                "model.layers.7.post_attention_layernorm.weight",
            ),
            (
                Gemma3,
                "blk.7.post_ffw_norm.weight",
                "model.layers.7.post_feedforward_layernorm.weight",
            ),
            (
                Qwen3,
                "blk.7.attn_q_norm.weight",
                "model.layers.7.self_attn.q_norm.weight",
            ),
            (
                Qwen3,
                "blk.7.ffn_gate.weight",
                "model.layers.7.mlp.gate_proj.weight",
            ),
            (
                Llama,
                "blk.7.ffn_down.weight",
                "model.layers.7.mlp.down_proj.weight",
            ),
            (
                Llama,
                "blk.7.ffn_up.weight",
                "model.layers.7.mlp.up_proj.weight",
            ),
        ] {
            assert_eq!(to_hugging_face(architecture, ours).as_deref(), Some(theirs));
            assert_eq!(to_gguf(architecture, theirs).as_deref(), Some(ours));
        }
    }

    #[test]
    fn what_a_family_lacks_has_no_name() {
        for name in [
            ROPE_FACTORS,
            "blk.0.post_ffw_norm.weight",
            "blk.00.attn_q.weight",
            "blk.+1.attn_q.weight",
            "blk.0.attn_q.scale",
            "blk.0.ffn_gate_exps.weight",
            "output",
            "",
        ] {
            assert_eq!(to_hugging_face(Architecture::Llama, name), None, "{name}");
        }
        let theirs = "model.layers.0.pre_feedforward_layernorm.weight";
        assert_eq!(to_gguf(Architecture::Qwen3, theirs), None);
    }
}
