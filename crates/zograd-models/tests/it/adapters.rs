//! LoRA and prefixes agree with MeZO's code, on every path through the model, and survive their
//! files.
//!
//! Tolerance against it: as in `goldens.rs`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::reference::{Goldens, counts, floats, relative_error};
use crate::seeded;
use burn::module::AutodiffModule;
use burn::tensor::Device;
use burn_autodiff::Autodiff;
use burn_flex::Flex;
use burn_ndarray::NdArray;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use tempfile::TempDir;
use zograd_direction::Seed;
use zograd_models::{
    AdapterConfig, AdapterError, BaseNote, Decoding, Generation, LoadOptions, LoraConfig, Model,
    ModelBackend, ModelConfig, Plan, PrefixConfig, PrefixInit, Projection, Sampling, SaveError,
    Sequence, Sharing, Storage, content_hash_of, is_adapter, save_adapter, save_pretrained,
};

const TOLERANCE: f64 = 1e-4;

/// An adapter folder with the given tensors of MeZO's code.
fn folder(adapter: &str, config: &Value, rename: impl Fn(&str) -> Option<String>) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let path = crate::reference::shared(&format!("reference/{adapter}/goldens.safetensors"));
    let bytes = fs::read(path.expect("checked before")).expect("goldens");
    let tensors = SafeTensors::deserialize(&bytes).expect("goldens");
    let kept: HashMap<String, TensorView> = tensors
        .iter()
        .filter_map(|(name, tensor)| Some((rename(name)?, tensor)))
        .collect();
    write(dir.path(), config, kept);
    dir
}

fn write(dir: &Path, config: &Value, tensors: HashMap<String, TensorView>) {
    fs::write(dir.join("adapter_config.json"), config.to_string()).expect("written");
    let bytes = safetensors::serialize(tensors, None).expect("serialised");
    fs::write(dir.join("adapter_model.safetensors"), bytes).expect("written");
}

fn lora_folder() -> TempDir {
    let config = json!({
        "peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["v_proj", "q_proj"],
    });
    folder("lora", &config, |name| {
        name.contains("lora")
            .then(|| format!("base_model.model.{name}.weight"))
    })
}

fn prefix_folder() -> TempDir {
    let config = json!({"adapter": "zograd-prefix", "version": 1, "tokens": 5, "init": "random"});
    folder("prefix", &config, |name| {
        name.contains("prefix").then(|| name.to_owned())
    })
}

fn base<B: ModelBackend>() -> Option<Model<B>> {
    let path = crate::reference::shared("reference/tiny-opt-prenorm")?;
    let device = Device::<B>::default();
    let (model, _) = Model::load(&path, &LoadOptions::default(), &device).expect("the model loads");
    Some(model)
}

fn agrees<B: ModelBackend>(adapter: &str, folder: fn() -> TempDir) {
    let (Some(base), Some((_, goldens))) = (base::<B>(), Goldens::read(adapter)) else {
        return;
    };
    let folder = folder();
    let model = base.with_adapter_from(folder.path()).expect("it loads");

    let sequences = goldens.sequences("leftpad");
    let (shape, expected) = goldens.values("leftpad.last8_logits_f64");
    let vocabulary = shape[2];
    let logits = model.forward(&sequences).expect("valid ids");
    for (row, logits) in logits.into_iter().enumerate() {
        let [tokens, _] = logits.dims();
        let kept = tokens.min(shape[1]);
        let found: Vec<f64> = logits
            .slice([tokens - kept..tokens, 0..vocabulary])
            .into_data()
            .iter()
            .collect();
        let end = (row + 1) * shape[1] * vocabulary;
        let error = relative_error(&found, &expected[end - kept * vocabulary..end]);
        assert!(error < TOLERANCE, "{adapter} row {row}: {error}");
    }

    let golden = &goldens.json;
    let scored = counts(&golden["option_len"]);
    let groups: Vec<Vec<Sequence>> = sequences
        .iter()
        .zip(&scored)
        .map(|(ids, &scored)| vec![Sequence { ids, scored }])
        .collect();
    let plan = Plan::new(&groups, Sharing::Prefix).expect("valid");
    let scores = model.log_probs(&plan).expect("valid ids");
    let losses: Vec<f64> = plan
        .spans()
        .iter()
        .map(|span| {
            let sum: f64 = scores[span.clone()].iter().map(|x| f64::from(*x)).sum();
            -sum / span.len() as f64
        })
        .collect();
    let error = relative_error(&losses, &floats(&golden["per_example_loss_f64"]));
    assert!(error < TOLERANCE, "{adapter} losses: {error}");
}

/// The starting prefix is what MeZO's code takes from the cache of a forward pass.
fn real_activations_agree<B: ModelBackend>() {
    let Some(base) = base::<B>() else {
        return;
    };
    let path = crate::reference::shared("reference/prefix/real_act_init.safetensors");
    let bytes = fs::read(path.expect("beside the model")).expect("goldens");
    let tensors = SafeTensors::deserialize(&bytes).expect("goldens");
    let numbers = |name: &str| -> Vec<f64> {
        let data = tensors.tensor(name).expect("a golden").data();
        let words = data.as_chunks().0.iter();
        words.map(|word| f64::from_le_bytes(*word)).collect()
    };
    let ids = tensors.tensor("tokens").expect("ids").data();
    let ids: Vec<u32> = ids
        .as_chunks()
        .0
        .iter()
        .map(|word| u32::from_le_bytes(*word))
        .collect();
    for (layer, found) in base
        .keys_and_values(&ids)
        .expect("valid ids")
        .into_iter()
        .enumerate()
    {
        for (what, found) in ["keys", "values"].into_iter().zip(found) {
            let name = format!("model.decoder.layers.{layer}.self_attn.prefix_{what}_f64");
            let found: Vec<f64> = found.into_data().iter().collect();
            let error = relative_error(&found, &numbers(&name));
            assert!(error < TOLERANCE, "{name}: {error}");
        }
    }
}

macro_rules! on_backend {
    ($module:ident, $backend:ty) => {
        mod $module {
            type B = $backend;

            #[test]
            fn lora_agrees() {
                super::agrees::<B>("lora", super::lora_folder);
            }

            #[test]
            fn prefix_agrees() {
                super::agrees::<B>("prefix", super::prefix_folder);
            }

            #[test]
            fn real_activations_agree() {
                super::real_activations_agree::<B>();
            }
        }
    };
}

on_backend!(ndarray, burn_ndarray::NdArray);
on_backend!(flex, burn_flex::Flex);
// no overrides: the plain tensor operations, as on a GPU
on_backend!(autodiff, burn_autodiff::Autodiff<burn_ndarray::NdArray>);

/// A small model in either shape, with large weights so that scores differ.
fn small<B: ModelBackend>(pre_norm: bool) -> Model<B> {
    let config = ModelConfig::from_json(&format!(
        r#"{{"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2,
            "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 160,
            "do_layer_norm_before": {pre_norm}, "init_std": 0.3, "word_embed_proj_dim": 8}}"#,
    ))
    .expect("a valid configuration");
    seeded::model(&config, 7)
}

/// One adapter of each kind; LoRA on every projection.
fn adapters() -> [AdapterConfig; 3] {
    [
        AdapterConfig::Lora(LoraConfig {
            r: 3,
            alpha: 2.0,
            rank_stabilized: false,
            targets: Projection::ALL[..6].to_vec(),
        }),
        AdapterConfig::Prefix(PrefixConfig {
            tokens: 5,
            init: PrefixInit::Random,
        }),
        AdapterConfig::Prefix(PrefixConfig::default()),
    ]
}

/// The fresh adapter, moved so that LoRA's second factor is not zero.
fn moved<B: ModelBackend>(mut model: Model<B>) -> Model<B> {
    for layer in 0..model.config().num_hidden_layers {
        for which in Projection::ALL {
            let linear = model.projection_mut(layer, which);
            let Some(lora) = linear.and_then(|linear| linear.lora.as_mut()) else {
                continue;
            };
            let values = lora.a.val().sum_dim(1) + 0.1;
            let [wide, r] = lora.b.val().dims();
            let moved = values.transpose().expand([wide, r]) * 0.5;
            lora.b = lora.b.clone().map(|b| b + moved.clone());
        }
    }
    model
}

/// Three groups: unequal options after a long prompt, single-token options, and a lone sequence.
fn batch() -> Vec<Vec<(Vec<u32>, usize)>> {
    let prompt: Vec<u32> = (0..90).map(|i| (i * 7 + 3) % 40).collect();
    let with = |prompt: &[u32], tail: &[u32]| ([prompt, tail].concat(), tail.len());
    vec![
        vec![
            with(&prompt, &[1, 2, 3]),
            with(&prompt, &[4]),
            with(&prompt, &[5, 6]),
        ],
        vec![with(&prompt[..7], &[8]), with(&prompt[..7], &[9])],
        vec![with(&prompt[3..9], &[30, 31])],
    ]
}

fn scores<B: ModelBackend>(model: &Model<B>, sharing: Sharing) -> Vec<f32> {
    model.log_probs(&plan(sharing)).expect("valid ids")
}

fn plan(sharing: Sharing) -> Plan {
    let batch = batch();
    let groups: Vec<Vec<Sequence>> = batch
        .iter()
        .map(|group| {
            let sequences = group.iter();
            sequences
                .map(|(ids, scored)| Sequence {
                    ids,
                    scored: *scored,
                })
                .collect()
        })
        .collect();
    Plan::new(&groups, sharing).expect("valid")
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|score| score.is_finite()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f32::max)
}

/// As in `plan.rs`: rounding is far below, a wrongly visible token far above.
const ROUNDING: f32 = 5e-4;

#[test]
fn every_path_gives_the_scores_of_the_plain_one() {
    for pre_norm in [true, false] {
        for config in adapters() {
            let plain = small::<Autodiff<NdArray>>(pre_norm);
            let plain = plain.with_adapter(&config, Seed::new(3)).expect("valid");
            let plain = moved(plain);
            let fast: Model<NdArray> = plain.valid();
            assert_eq!(fast.adapter(), Some(&config));
            let expected = scores(&plain, Sharing::None);
            let without = scores(&fast.clone().without_adapter(), Sharing::None);
            assert!(
                distance(&expected, &without) > 1e-2,
                "{config:?} does nothing"
            );
            for found in [
                scores(&plain, Sharing::Prefix),
                scores(&fast, Sharing::None),
                scores(&fast, Sharing::Prefix),
            ] {
                let distance = distance(&found, &expected);
                assert!(distance < ROUNDING, "{config:?}: {distance}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "of one kind and shape")]
fn adapters_of_unlike_shapes_are_not_stacked() {
    let model = |tokens| {
        let config = AdapterConfig::Prefix(PrefixConfig {
            tokens,
            init: PrefixInit::Random,
        });
        let model = small::<NdArray>(true).with_adapter(&config, Seed::new(1));
        model.expect("valid")
    };
    let _ = Model::log_probs_of_each(&[model(5), model(7)], &plan(Sharing::Prefix));
}

/// Models that differ in their adapters score in one pass what each scores in a pass of its own. The products have
/// other numbers of rows, and are rounded otherwise if a backend's sums depend on it.
fn together_as_one_by_one<B: ModelBackend>() {
    let plan = plan(Sharing::Prefix);
    for pre_norm in [true, false] {
        for config in adapters() {
            // nine at least are more than go together in a pass of 1,024 tokens
            let base = small::<B>(pre_norm);
            let models: Vec<Model<B>> = (0..12)
                .map(|seed| {
                    let model = base.clone().with_adapter(&config, Seed::new(seed));
                    moved(model.expect("valid"))
                })
                .collect();
            let each = Model::log_probs_of_each(&models, &plan).expect("valid ids");
            assert_eq!(each.len(), models.len());
            for (model, found) in models.iter().zip(&each) {
                let expected = model.log_probs(&plan).expect("valid ids");
                let distance = distance(found, &expected);
                assert!(distance < ROUNDING, "{config:?}: {distance}");
            }
            let real =
                matches!(&config, AdapterConfig::Prefix(prefix) if prefix.init == PrefixInit::Real);
            let apart = distance(&each[0], &each[1]);
            assert!(real || apart > 1e-2, "{config:?}: {apart}");
            let one = Model::log_probs_of_each(&models[..1], &plan).expect("valid ids");
            assert_eq!(one, [models[0].log_probs(&plan).expect("valid ids")]);
        }
    }
    assert!(
        Model::<B>::log_probs_of_each(&[], &plan)
            .expect("nothing to do")
            .is_empty()
    );
}

#[test]
fn together_as_one_by_one_on_every_backend() {
    together_as_one_by_one::<NdArray>();
    together_as_one_by_one::<Flex>();
    together_as_one_by_one::<Autodiff<NdArray>>();
}

/// The cache of keys and values knows the prefix: a continuation is that of running all tokens every time.
#[test]
fn generation_sees_the_adapter() {
    fn greedy<B: ModelBackend>(model: &Model<B>, prompt: &[u32], count: usize) -> Vec<u32> {
        let mut ids = prompt.to_vec();
        for _ in 0..count {
            let logits = model.forward(&[ids.clone()]).expect("valid ids").remove(0);
            let [tokens, vocabulary] = logits.dims();
            let last = logits.slice([tokens - 1..tokens, 0..vocabulary]);
            let last: Vec<f32> = last.into_data().iter().collect();
            let best = (0..vocabulary).max_by(|a, b| last[*a].total_cmp(&last[*b]));
            ids.push(best.expect("a vocabulary") as u32);
        }
        ids.split_off(prompt.len())
    }
    let prompts = [vec![2, 9, 4, 7, 7], vec![30]];
    for config in adapters() {
        let plain = small::<Autodiff<NdArray>>(true);
        let plain = moved(plain.with_adapter(&config, Seed::new(3)).expect("valid"));
        let fast: Model<NdArray> = plain.valid();
        let expected = prompts.each_ref().map(|prompt| greedy(&fast, prompt, 8));
        // side by side: the shorter one is padded
        let together = prompts.each_ref().map(Vec::as_slice);
        let generation = Generation::greedy(8);
        for found in [
            fast.generate(&together, &generation).expect("it fits"),
            plain.generate(&together, &generation).expect("it fits"),
        ] {
            let found: Vec<Vec<u32>> = found.into_iter().map(|written| written.ids).collect();
            assert_eq!(found, expected, "{config:?}");
        }
    }
}

/// What models with adapters of their own write side by side is what each writes alone, token by token: greedily, drawn, or
/// by beams; with answers that end at different times, and more models than there is room for.
fn written_together_as_one_by_one<B: ModelBackend>() {
    let lengths = [3, 1, 9, 4];
    let prompts: Vec<Vec<u32>> = lengths
        .iter()
        .map(|length| (0..*length).map(|i| (i * 7 + length) % 40).collect())
        .collect();
    let few: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    // two models at a time: of no more than 256 rows the logits are there together
    let many: Vec<&[u32]> = few.iter().cycle().take(100).copied().collect();
    let hot = Sampling {
        temperature: 2.0,
        streams: vec![9, 4, 4, 7],
        ..Sampling::new(Seed::new(5))
    };
    for config in adapters() {
        let base = small::<B>(true);
        let models: Vec<Model<B>> = (0..5)
            .map(|seed| {
                let model = base.clone().with_adapter(&config, Seed::new(seed));
                moved(model.expect("valid"))
            })
            .collect();
        for (prompts, decoding) in [
            (&few, Decoding::Greedy),
            (&many, Decoding::Greedy),
            (&few, Decoding::Sampling(hot.clone())),
            (&few, Decoding::Beams(2)),
        ] {
            let generation = Generation {
                max_new_tokens: 7,
                stop: (0..8).collect(),
                decoding,
            };
            let each = Model::generate_by_each(&models, prompts, &generation).expect("it fits");
            assert_eq!(each.len(), models.len());
            for (model, found) in models.iter().zip(&each) {
                let expected = model.generate(prompts, &generation).expect("it fits");
                assert_eq!(found, &expected, "{config:?} {generation:?}");
            }
            let real =
                matches!(&config, AdapterConfig::Prefix(prefix) if prefix.init == PrefixInit::Real);
            assert!(real || each[1..].iter().any(|other| *other != each[0]));
            let lengths: Vec<usize> = each.iter().flatten().map(|w| w.ids.len()).collect();
            assert!(lengths.iter().any(|length| *length != lengths[0]));
        }
        let nothing = Model::<B>::generate_by_each(&[], &few, &Generation::greedy(3));
        assert!(nothing.expect("nothing to do").is_empty());
    }
}

/// Where a sum has one order however many rows a product has (`bits.rs`).
#[test]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    ignore = "no fused multiply-add"
)]
fn written_together_as_one_by_one_on_every_cpu_backend() {
    written_together_as_one_by_one::<NdArray>();
    written_together_as_one_by_one::<Flex>();
}

/// B is zero at first, so the model is the base.
#[test]
fn fresh_lora_changes_no_score() {
    let base = small::<NdArray>(true);
    let expected = scores(&base, Sharing::Prefix);
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let model = base.with_adapter(&lora, Seed::new(1)).expect("valid");
    assert_eq!(scores(&model, Sharing::Prefix), expected);
    assert_eq!(scores(&model.without_adapter(), Sharing::Prefix), expected);
}

/// The hash of the starting numbers, on two backends: replays depend on them. A prefix of real activations is
/// a forward pass, whose last bits may differ.
#[test]
fn value_stability() {
    fn start<B: ModelBackend>(config: &AdapterConfig) -> String {
        let model = small::<B>(true).with_adapter(config, Seed::new(42));
        content_hash_of(&model.expect("valid"), is_adapter)
    }
    let [lora, prefix, _] = adapters();
    for (config, expected) in [
        (
            lora,
            "sha256:e5d46e2147d89558446562e21bb21b23f289a020e18f81796a732d307e9e05d5",
        ),
        (
            prefix,
            "sha256:84b8282e00e77c485b4a59a0c430071f6c8f9c84466b2abf6cb8017f5f0d088e",
        ),
    ] {
        assert_eq!(start::<NdArray>(&config), expected);
        assert_eq!(start::<Flex>(&config), expected);
    }
}

fn note() -> BaseNote {
    BaseNote {
        model: "facebook/opt-125m".to_owned(),
        weights: "sha256:0".to_owned(),
        dtype: Storage::F32,
    }
}

#[test]
fn folders_hold_the_adapter_and_nothing_else() {
    for config in adapters() {
        let dir = tempfile::tempdir().expect("a folder");
        let model = small::<NdArray>(true).with_adapter(&config, Seed::new(3));
        let model = moved(model.expect("valid"));
        save_adapter(&model, &note(), dir.path()).expect("saved");
        let bytes = fs::read(dir.path().join("adapter_model.safetensors")).expect("tensors");
        let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
        let expected = match &config {
            AdapterConfig::Lora(lora) => 2 * 2 * lora.targets.len(),
            _ => 2 * 2,
        };
        assert_eq!(tensors.len(), expected);
        assert_eq!(BaseNote::read(dir.path()).expect("readable"), Some(note()));

        let base = model.clone().without_adapter();
        let again = base.with_adapter_from(dir.path()).expect("loads");
        assert_eq!(again.adapter(), Some(&config));
        let hash = |model: &Model<NdArray>| content_hash_of(model, |_| true);
        assert_eq!(hash(&again), hash(&model));

        // the files of a model are another matter
        let refused = save_pretrained(&model, model.config(), None, &dir.path().join("model"));
        assert!(matches!(refused, Err(SaveError::Adapter)));
        assert!(!dir.path().join("model").exists());
        let refused = save_adapter(&model.without_adapter(), &note(), &dir.path().join("new"));
        assert!(matches!(refused, Err(SaveError::NoAdapter)));
    }
}

#[test]
fn merging_keeps_the_scores() {
    let [lora, prefix, _] = adapters();
    for pre_norm in [true, false] {
        let model = small::<NdArray>(pre_norm).with_adapter(&lora, Seed::new(3));
        let model = moved(model.expect("valid"));
        let expected = scores(&model, Sharing::Prefix);
        let merged = model.merged().expect("LoRA can be merged");
        assert_eq!(merged.adapter(), None);
        let distance = distance(&scores(&merged, Sharing::Prefix), &expected);
        assert!(distance < ROUNDING, "{distance}");
        assert!(matches!(merged.merged(), Err(AdapterError::Absent)));
    }
    let model = small::<NdArray>(true).with_adapter(&prefix, Seed::new(3));
    let refused = model.expect("valid").merged();
    assert!(matches!(refused, Err(AdapterError::NotMergeable)));
}

#[test]
fn settings_out_of_range_are_named() {
    let lora = |change: fn(&mut LoraConfig)| {
        let mut lora = LoraConfig::default();
        change(&mut lora);
        AdapterConfig::Lora(lora)
    };
    let prefix = |tokens| {
        AdapterConfig::Prefix(PrefixConfig {
            tokens,
            init: PrefixInit::Real,
        })
    };
    for (config, part) in [
        (lora(|l| l.r = 0), "`lora-r = 0`"),
        (lora(|l| l.r = 17), "1 to 16"),
        (lora(|l| l.alpha = f64::NAN), "`lora-alpha = NaN`"),
        (lora(|l| l.targets.clear()), "`lora-targets = `"),
        (lora(|l| l.targets.push(Projection::QProj)), "each once"),
        (prefix(0), "`prefix-tokens = 0`"),
        (prefix(161), "1 to 160"),
    ] {
        let refused = small::<NdArray>(true).with_adapter(&config, Seed::new(0));
        let error = refused.expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
    let lora = AdapterConfig::Lora(LoraConfig::default());
    let model = small::<NdArray>(true).with_adapter(&lora, Seed::new(0));
    let twice = model.expect("valid").with_adapter(&prefix(5), Seed::new(0));
    assert!(matches!(twice, Err(AdapterError::Present)));
}

#[test]
fn damaged_folders_are_named() {
    let config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"],
    });
    let (a, b) = (vec![0; 2 * 16 * 4], vec![0; 2 * 16 * 4]);
    let tensors = |layers: usize, r: usize| {
        let mut tensors = HashMap::new();
        for layer in 0..layers {
            let name = |factor| {
                format!(
                    "base_model.model.model.decoder.layers.{layer}.self_attn.q_proj.lora_{factor}.weight"
                )
            };
            let view = |shape, data| TensorView::new(safetensors::Dtype::F32, shape, data);
            let view = |shape, data| view(shape, data).expect("a view");
            tensors.insert(name("A"), view(vec![r, 32 / r], &a));
            tensors.insert(name("B"), view(vec![16, 2], &b));
        }
        tensors
    };
    let dir = tempfile::tempdir().expect("a folder");
    let load = || small::<NdArray>(true).with_adapter_from(dir.path());
    let error = load().expect_err("nothing there").to_string();
    assert!(error.contains("adapter_config.json"), "{error}");
    write(dir.path(), &config, tensors(2, 2));
    assert!(load().is_ok());
    write(dir.path(), &config, tensors(1, 2));
    assert!(matches!(load(), Err(AdapterError::Missing { .. })));
    // a pattern need not fit in every layer, which is another matter
    let mut pattern = config.clone();
    pattern["target_modules"] = json!(r".*layers\.0\..*q_proj");
    write(dir.path(), &pattern, tensors(1, 2));
    let error = load().expect_err("only in the first layer").to_string();
    assert!(
        error.contains("layer 1 has the adapter at other projections"),
        "{error}"
    );
    let mut half = tensors(2, 2);
    half.retain(|name, _| !name.contains("layers.1.self_attn.q_proj.lora_B"));
    write(dir.path(), &pattern, half);
    assert!(matches!(load(), Err(AdapterError::Missing { .. })));
    write(dir.path(), &config, tensors(3, 2));
    assert!(matches!(load(), Err(AdapterError::Unexpected { .. })));
    write(dir.path(), &config, tensors(2, 4));
    assert!(matches!(load(), Err(AdapterError::Shape { .. })));
    for (config, part) in [
        (json!({"peft_type": "IA3"}), "IA3"),
        (json!({}), "names no kind"),
        (json!([]), "adapter_config.json"),
        (
            json!({"peft_type": "LORA", "r": 0, "lora_alpha": 4, "target_modules": ["q_proj"]}),
            "adapter_config.json: r = 0",
        ),
        (
            json!({"peft_type": "LORA", "r": 2, "lora_alpha": 0, "target_modules": ["q_proj"]}),
            "adapter_config.json: lora_alpha = 0",
        ),
        (json!({"adapter": "zograd-prefix", "version": 2}), "newer"),
        (json!({"adapter": "zograd-prefix", "version": 1}), "tokens"),
    ] {
        write(dir.path(), &config, tensors(2, 2));
        let error = load().expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
    fs::write(dir.path().join("adapter_model.safetensors"), [1, 2, 3]).expect("written");
    fs::write(dir.path().join("adapter_config.json"), config.to_string()).expect("written");
    assert!(matches!(load(), Err(AdapterError::Weights(_))));
}
