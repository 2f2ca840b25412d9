//! Rotary positions that reach further than those of training: what a file says of them, as Hugging Face's
//! `rope_scaling`, and back.

use serde_json::{Map, Value, json};

use super::error::GgufError;
use super::keys::Keys;

/// The scaling of Llama 3, whose parameters but for the factor are the same in all of its models. Files have what
/// follows from it: a factor for each frequency.
const LOW: f64 = 1.0;
const HIGH: f64 = 4.0;
const ORIGINAL: f64 = 8192.0;

/// How far the factors of a file may be from ours: they are made in f32, from frequencies that are powers in f32.
const TOLERANCE: f64 = 1e-4;

/// `rope_scaling` of the factors or of the metadata; `None` for plain positions.
pub(super) fn scaling(
    keys: &Keys,
    factors: Option<&[f32]>,
    theta: f64,
) -> Result<Option<Value>, GgufError> {
    if let Some(factors) = factors {
        let largest = factors.iter().copied().fold(1.0, f32::max);
        let same = |ours: &[f64]| {
            ours.iter()
                .zip(factors)
                .all(|(ours, found)| (ours / f64::from(*found) - 1.0).abs() < TOLERANCE)
        };
        let ours = llama3(theta, 2 * factors.len(), f64::from(largest));
        if !same(&ours) {
            let reason = "its rotary factors (rope_freqs.weight) are not those of Llama 3";
            return Err(keys.unsupported(reason.to_owned()));
        }
        return Ok(Some(json!({
            "rope_type": "llama3",
            "factor": f64::from(largest),
            "low_freq_factor": LOW,
            "high_freq_factor": HIGH,
            "original_max_position_embeddings": ORIGINAL as u64,
        })));
    }
    let kind = keys.text("rope.scaling.type")?;
    // files from before there were kinds have a factor alone
    let factor = match keys.float("rope.scaling.factor")? {
        None => keys.float("rope.scale_linear")?,
        factor => factor,
    };
    let Some(factor) = factor.filter(|factor| *factor != 0.0 && *factor != 1.0) else {
        return match kind {
            None | Some("none" | "linear") => Ok(None),
            Some(other) => Err(keys.unsupported(format!(
                "its rotary positions are scaled by {other:?}, without a factor"
            ))),
        };
    };
    match kind {
        Some("none") => Ok(None),
        None | Some("linear") => Ok(Some(json!({"rope_type": "linear", "factor": factor}))),
        Some("yarn") => {
            let mut scaling = json!({"rope_type": "yarn", "factor": factor});
            if let Some(length) = keys.whole("rope.scaling.original_context_length")? {
                scaling["original_max_position_embeddings"] = length.into();
            }
            Ok(Some(scaling))
        }
        Some(other) => Err(keys.unsupported(format!(
            "its rotary positions are scaled by {other:?}; linear, yarn and those of Llama 3 are read"
        ))),
    }
}

/// The factors that Llama 3 divides its frequencies by: one where a wave is short, `factor` where it is long.
fn llama3(theta: f64, width: usize, factor: f64) -> Vec<f64> {
    let frequencies = (0..width / 2).map(|i| theta.powf(-2.0 * i as f64 / width as f64));
    frequencies
        .map(|frequency| {
            let wave = 2.0 * std::f64::consts::PI / frequency;
            if wave < ORIGINAL / HIGH {
                return 1.0;
            }
            if wave > ORIGINAL / LOW {
                return factor;
            }
            let smooth = (ORIGINAL / wave - LOW) / (HIGH - LOW);
            1.0 / ((1.0 - smooth) / factor + smooth)
        })
        .collect()
}

/// What a configuration says of rotary positions.
pub(super) struct Rope {
    pub theta: f64,
    /// Keys of the family, without its name: floats and texts.
    pub keys: Vec<(&'static str, Value)>,
    /// Those of Llama 3, for a width of head.
    pub factors: Option<Vec<f32>>,
}

/// `rope_theta` and `rope_scaling`, or `rope_parameters` of newer configurations.
pub(super) fn of_config(config: &Map<String, Value>, width: usize) -> Result<Rope, GgufError> {
    let object = |key: &str| config.get(key).and_then(Value::as_object);
    let newer = object("rope_parameters");
    // of the layers that see everything, where kinds of layers differ
    let newer = newer.map(|all| {
        let full = all.get("full_attention").and_then(Value::as_object);
        full.unwrap_or(all)
    });
    let scaling = newer.or(object("rope_scaling"));
    let number = |from: Option<&Map<String, Value>>, key: &str| from?.get(key)?.as_f64();
    let theta = number(newer, "rope_theta").or(number(Some(config), "rope_theta"));
    let theta = theta.unwrap_or(10_000.0);
    let mut rope = Rope {
        theta,
        keys: Vec::new(),
        factors: None,
    };
    let kind = scaling.and_then(|it| it.get("rope_type").or(it.get("type")));
    let Some(kind) = kind.and_then(Value::as_str) else {
        return Ok(rope);
    };
    let no_form = |reason: String| Err(GgufError::NoForm(reason));
    let factor = number(scaling, "factor");
    match (kind, factor) {
        ("default", _) => {}
        ("llama3", Some(factor)) => {
            let fixed = [
                ("low_freq_factor", LOW),
                ("high_freq_factor", HIGH),
                ("original_max_position_embeddings", ORIGINAL),
            ];
            for (key, value) in fixed {
                if number(scaling, key) != Some(value) {
                    return no_form(format!("`rope_scaling` has a {key} other than {value}"));
                }
            }
            let factors = llama3(theta, width, factor).into_iter();
            rope.factors = Some(factors.map(|factor| factor as f32).collect());
        }
        ("linear" | "yarn", Some(factor)) => {
            rope.keys.push(("rope.scaling.type", kind.into()));
            rope.keys.push(("rope.scaling.factor", factor.into()));
            let original = number(scaling, "original_max_position_embeddings");
            if let Some(original) = original {
                let key = "rope.scaling.original_context_length";
                rope.keys.push((key, (original as u64).into()));
            }
        }
        _ => return no_form(format!("`rope_scaling` is of the kind {kind:?}")),
    }
    Ok(rope)
}
