//! PEFT's `adapter_config.json` for LoRA.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::config::LoraConfig;
use super::file;
use super::projection::Projection;
use crate::config::whole;

/// Settings that would change what the tensors mean: each must be absent or empty.
const UNSUPPORTED: [&str; 17] = [
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "fan_in_fan_out",
    "kasa_config",
    "layer_replication",
    "layers_to_transform",
    "lora_bias",
    "modules_to_save",
    "monteclora_config",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
];

/// How `A` and `B` may have begun: in these ways the base weights stayed as they were.
const INITIALISATIONS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// Ways whose names begin so: a part of the base weights was taken off, and the adapter belongs to what was left.
const CHANGING: [&str; 5] = ["pissa", "olora", "corda", "loftq", "lora_ga"];

/// What PEFT reads as this adapter of `base`.
pub(super) fn write(lora: &LoraConfig, base: &str) -> Value {
    // PEFT declares alpha as an integer, and takes any number
    let whole = lora.alpha.fract() == 0.0 && lora.alpha < 1e9;
    let alpha = if whole {
        json!(lora.alpha as u64)
    } else {
        json!(lora.alpha)
    };
    let mut config = json!({
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
    });
    if lora.rank_stabilized {
        config["use_rslora"] = true.into();
    }
    config
}

/// What a PEFT configuration says of an adapter.
#[derive(Debug, PartialEq)]
pub(super) struct Described {
    r: usize,
    alpha: f64,
    rank_stabilized: bool,
    /// `None`: modules are named in full, by a pattern or with exceptions, so that the tensors say which they are.
    targets: Option<Vec<Projection>>,
}

/// What is said of an adapter that this layer has at other projections than the first one.
pub(super) fn unlike_the_first(layer: usize) -> String {
    format!(
        "target_modules: layer {layer} has the adapter at other projections than the first one, which is not \
         supported; merge the adapter with PEFT, and give the merged model"
    )
}

impl Described {
    /// Whether the tensors say which modules have the adapter.
    pub fn is_by_tensors(&self) -> bool {
        self.targets.is_none()
    }

    /// The adapter with these tensors.
    ///
    /// # Errors
    /// What the adapters here do not have.
    pub fn with<E>(
        self,
        tensors: impl FnOnce() -> Result<Vec<String>, E>,
        refused: impl Fn(String) -> E,
    ) -> Result<LoraConfig, E> {
        let Self {
            r,
            alpha,
            rank_stabilized,
            targets,
        } = self;
        let targets = match targets {
            Some(targets) => targets,
            None => targets_of(&tensors()?).map_err(refused)?,
        };
        Ok(LoraConfig {
            r,
            alpha,
            rank_stabilized,
            targets,
        })
    }
}

/// The adapter that a PEFT configuration describes.
///
/// # Errors
/// What is missing, wrong, or not supported, and what to do.
pub(super) fn read(config: &Map<String, Value>) -> Result<Described, String> {
    let get = |key: &str| config.get(key).unwrap_or(&Value::Null);
    for key in UNSUPPORTED {
        if !is_empty(get(key)) {
            return Err(unsupported(key, get(key)));
        }
    }
    match get("bias") {
        Value::Null => {}
        Value::String(bias) if bias == "none" => {}
        other => return Err(unsupported("bias", other)),
    }
    check_initialisation(get("init_lora_weights"))?;
    let r = match whole(get("r")) {
        Some(0) => return Err("r = 0: a rank is at least 1".to_owned()),
        Some(r) => usize::try_from(r).unwrap_or(usize::MAX),
        None => return Err("r must be a whole number".to_owned()),
    };
    let Some(alpha) = get("lora_alpha").as_f64() else {
        return Err("lora_alpha must be a number".to_owned());
    };
    if alpha <= 0.0 {
        let given = get("lora_alpha");
        return Err(format!(
            "lora_alpha = {given}: it must be above 0, or the adapter does nothing"
        ));
    }
    let rank_stabilized = match get("use_rslora") {
        Value::Null => false,
        Value::Bool(switch) => *switch,
        _ => return Err("use_rslora must be true or false".to_owned()),
    };
    let mut targets = match get("target_modules") {
        // a pattern, or the word all-linear
        Value::String(_) => None,
        Value::Array(names) => named(names)?,
        _ => {
            return Err(
                "target_modules must be a list of module names, such as q_proj, or a pattern"
                    .to_owned(),
            );
        }
    };
    if !is_empty(get("exclude_modules")) {
        targets = None;
    }
    Ok(Described {
        r,
        alpha,
        rank_stabilized,
        targets,
    })
}

/// Refuses an adapter for which the base weights were changed when it began, or may have been.
fn check_initialisation(how: &Value) -> Result<(), String> {
    let name = match how {
        Value::Null | Value::Bool(_) => return Ok(()),
        // PEFT takes some of them in either case
        Value::String(name) => name.to_ascii_lowercase(),
        _ => String::new(),
    };
    if INITIALISATIONS.contains(&name.as_str()) {
        return Ok(());
    }
    let why = match CHANGING.iter().any(|changing| name.starts_with(*changing)) {
        true => "PEFT changes the base weights for it",
        false => "it is not known here, and PEFT may have changed the base weights for it",
    };
    Err(format!(
        "init_lora_weights = {how} is not supported: {why}, so that the adapter does not fit the model as it is; convert \
         it to an ordinary one in PEFT (path_initial_model_for_weight_conversion), or merge it there and give the merged \
         model"
    ))
}

fn unsupported(key: &str, value: &Value) -> String {
    format!(
        "{key} = {value} is not supported; merge the adapter with PEFT, and give the merged model"
    )
}

/// The projections that are named by the last part of their names; `None` if some are named in full.
fn named(names: &[Value]) -> Result<Option<Vec<Projection>>, String> {
    let (mut targets, mut in_full) = (Vec::with_capacity(names.len()), false);
    for name in names {
        let name = name.as_str().unwrap_or_default();
        let last = name.rsplit('.').next().unwrap_or(name);
        let target = Projection::named(last).map_err(|error| format!("target_modules: {error}"))?;
        in_full |= name != last && name != target.path();
        targets.push(target);
    }
    // a set in Python: its order means nothing
    targets.sort_unstable();
    Ok((!in_full).then_some(targets))
}

/// The projections that have tensors of these names: in every layer the same.
fn targets_of(tensors: &[String]) -> Result<Vec<Projection>, String> {
    let mut layers: BTreeMap<usize, BTreeSet<Projection>> = BTreeMap::new();
    for tensor in tensors {
        let Some((layer, projection)) = file::projection(tensor) else {
            return Err(format!(
                "target_modules: the tensor {tensor} belongs to no projection of a layer; merge the adapter with \
                 PEFT, and give the merged model"
            ));
        };
        layers.entry(layer).or_default().insert(projection);
    }
    if layers.is_empty() {
        return Err("target_modules: no tensor belongs to a projection of a layer".to_owned());
    }
    let first = layers.get(&0).cloned().unwrap_or_default();
    match layers.iter().find(|(_, targets)| **targets != first) {
        Some((layer, _)) => Err(unlike_the_first(*layer)),
        None => Ok(first.into_iter().collect()),
    }
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

    /// With the tensors of `projections` (`0.fc1`: of layer 0) in the file.
    fn parsed_with(value: Value, projections: &[&str]) -> Result<LoraConfig, String> {
        let described = read(value.as_object().expect("an object"))?;
        let name = |path: &&str| {
            ["lora_A", "lora_B"].map(|factor| {
                format!("base_model.model.model.decoder.layers.{path}.{factor}.weight")
            })
        };
        described.with(
            || Ok(projections.iter().flat_map(name).collect()),
            |error| error,
        )
    }

    fn parsed(value: Value) -> Result<LoraConfig, String> {
        parsed_with(value, &[])
    }

    #[test]
    fn what_is_written_reads_back() {
        for alpha in [16.0, 0.5] {
            let lora = LoraConfig {
                r: 4,
                alpha,
                rank_stabilized: alpha < 1.0,
                targets: vec![Projection::QProj, Projection::Fc2],
            };
            assert_eq!(parsed(write(&lora, "base")), Ok(lora));
        }
    }

    #[test]
    fn an_adapter_that_changed_the_base_when_it_began_is_refused() {
        for how in [
            "pissa",
            "pissa_niter_16",
            "olora",
            "corda",
            "loftq",
            "lora_ga",
            "new",
        ] {
            let mut config = write(&LoraConfig::default(), "base");
            config["init_lora_weights"] = json!(how);
            let error = parsed(config).expect_err(how);
            let expected = format!("init_lora_weights = \"{how}\" is not supported");
            assert!(error.starts_with(&expected), "{error}");
            let is_known = error.contains(": PEFT changes the base weights");
            assert_eq!(is_known, how != "new", "{error}");
        }
        for how in [
            json!(true),
            json!(false),
            json!(null),
            json!("gaussian"),
            json!("eva"),
            json!("orthogonal"),
            json!("mica"),
            json!("MiCA"),
        ] {
            let mut config = write(&LoraConfig::default(), "base");
            config["init_lora_weights"] = how;
            assert_eq!(parsed(config), Ok(LoraConfig::default()));
        }
    }

    #[test]
    fn modules_may_be_named_in_full_or_by_a_pattern() {
        let both = [
            "0.self_attn.q_proj",
            "0.self_attn.v_proj",
            "1.self_attn.q_proj",
            "1.self_attn.v_proj",
        ];
        let full: Vec<String> = both
            .iter()
            .map(|path| format!("model.decoder.layers.{path}"))
            .collect();
        for (modules, excluded) in [
            (json!(full), json!(null)),
            (json!(both), json!(null)),
            (json!(r".*\.(q_proj|v_proj)"), json!(null)),
            (json!("all-linear"), json!(null)),
            (json!(["q_proj", "v_proj", "fc1"]), json!(["fc1"])),
        ] {
            let mut config = write(&LoraConfig::default(), "base");
            config["target_modules"] = modules;
            config["exclude_modules"] = excluded;
            assert_eq!(parsed_with(config, &both), Ok(LoraConfig::default()));
        }
        for (tensors, part) in [
            (&["0.fc1", "1.fc2"][..], "layer 1 has"),
            // only where the first layer has none
            (&["1.fc2"], "layer 1 has"),
            (&["0.norm"], "0.norm"),
            (&[], "no tensor"),
        ] {
            let mut config = write(&LoraConfig::default(), "base");
            config["target_modules"] = json!("all-linear");
            let error = parsed_with(config, tensors).expect_err(part);
            assert!(
                error.contains("target_modules") && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn what_would_mean_another_model_is_refused() {
        for (key, value) in [
            ("use_dora", json!(true)),
            ("rank_pattern", json!({"fc1": 4})),
            ("bias", json!("all")),
            ("r", json!("8")),
            ("r", json!(0)),
            ("lora_alpha", json!(null)),
            ("lora_alpha", json!(0)),
            ("lora_alpha", json!(-1.5)),
            ("target_modules", json!(null)),
            ("target_modules", json!(["project_in"])),
            ("target_modules", json!(["model.decoder.project_in"])),
        ] {
            let mut config = write(&LoraConfig::default(), "base");
            config[key] = value;
            let error = parsed(config).expect_err(key);
            assert!(error.contains(key), "{error}");
        }
        let mut config = write(&LoraConfig::default(), "base");
        config["target_modules"] = json!(["self_attn.v_proj", "q_proj"]);
        config["rank_pattern"] = json!({});
        config["r"] = json!(8.0);
        assert_eq!(parsed(config), Ok(LoraConfig::default()));
    }
}
