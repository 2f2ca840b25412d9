//! Against autodiff of the whole model, in which the keys and values of the prompt are detached.

use std::collections::BTreeMap;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{DType, Distribution, Tensor, TensorData};
use burn_autodiff::Autodiff;
use burn_ndarray::NdArray;
use zograd_direction::Seed;
use zograd_params::ParameterPath;

use super::{GradientSize, Stride, TailRule};
use crate::decoder::Decoder;
use crate::forward::scores_at;
use crate::run::{Layouts, attend, run_with};
use crate::{
    AdapterConfig, LoraConfig, Model, ModelConfig, Plan, PrefixConfig, Projection, Sequence,
    Sharing,
};

type Plain = NdArray;
type Ad = Autodiff<Plain>;

/// Subtracts the gradient itself, and adds up its squares.
#[derive(Default)]
struct Whole {
    squares: f64,
    parameters: usize,
}

impl TailRule for Whole {
    fn stride(&mut self, _id: ParamId, size: GradientSize, _decays: bool) -> Stride {
        self.squares += size.squares;
        self.parameters += 1;
        Stride {
            keep: 1.0,
            factor: 1.0,
        }
    }
}

/// Numbers of parameters by their names.
type Numbers = BTreeMap<String, Vec<f64>>;

#[derive(Default)]
struct Values {
    path: ParameterPath,
    found: Numbers,
}

impl ModuleVisitor<Plain> for Values {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Plain, D>>) {
        let numbers = param.val().into_data().iter::<f64>().collect();
        self.found.insert(self.path.name(), numbers);
    }
}

fn values(model: &Model<Plain>) -> Numbers {
    let mut read = Values::default();
    model.visit(&mut read);
    read.found
}

/// The gradients of all parameters.
struct Gradients<'a> {
    path: ParameterPath,
    of: &'a <Ad as AutodiffBackend>::Gradients,
    found: Numbers,
}

impl ModuleVisitor<Ad> for Gradients<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<Ad, D>>) {
        if let Some(gradient) = param.val().grad(self.of) {
            let gradient = gradient.into_data().iter::<f64>().collect();
            self.found.insert(self.path.name(), gradient);
        }
    }
}

/// By autodiff of the whole model.
fn whole<D: Decoder<Backend = Ad>>(model: &D, plan: &Plan, slope: &[f32], cut: bool) -> Numbers {
    let device = Default::default();
    let mut mask = vec![0.0f64; plan.ids().len()];
    for token in plan.logit_tokens() {
        mask[*token] = 1.0;
    }
    let tokens = mask.len();
    let mask = TensorData::new(mask, [tokens, 1]);
    let dtype = model.token_table().weight.val().dtype();
    let mask = Tensor::<Ad, 2>::from_data(mask, (&device, dtype));
    let own = |of: Tensor<Ad, 2>| match cut {
        true => {
            let fixed = of.clone().detach() * (mask.clone() * -1.0 + 1.0);
            of * mask.clone() + fixed
        }
        false => of,
    };
    let layouts = Layouts::new(model, &plan.packing);
    let hidden = run_with(
        model,
        &plan.packing,
        Some(&plan.logit_tokens),
        |layer, of| {
            let [query, key, value] = of;
            let of = [query, own(key), own(value)];
            attend(&model.layers()[layer], of, layouts.of(layer))
        },
    );
    let scores = scores_at(model, hidden.expect("nobody interrupts"), plan);
    let count = slope.len();
    let slope = TensorData::new(slope.to_vec(), [count]);
    let slope = Tensor::<Ad, 1>::from_data(slope, (&device, scores.dtype()));
    let gradients = (scores * slope).sum().backward();
    let mut found = Gradients {
        path: ParameterPath::default(),
        of: &gradients,
        found: Numbers::new(),
    };
    model.visit(&mut found);
    found.found
}

/// Groups of two options: of one token each, or of several.
fn plan(length: usize, options: [usize; 2]) -> Plan {
    let ids = |example: usize, option: usize| -> Vec<u32> {
        let context = (0..length + example % 3).map(|i| (i * 7 + example * 5 + 2) as u32);
        let tail = (0..options[option]).map(|i| (i * 3 + option + 11 * example) as u32);
        context.chain(tail).map(|id| id % 61).collect()
    };
    let all: Vec<[Vec<u32>; 2]> = (0..4).map(|e| [ids(e, 0), ids(e, 1)]).collect();
    let groups: Vec<Vec<Sequence>> = all
        .iter()
        .map(|pair| {
            let options = pair.iter().zip(options);
            options
                .map(|(ids, scored)| Sequence { ids, scored })
                .collect()
        })
        .collect();
    Plan::new(&groups, Sharing::Prefix).expect("valid")
}

/// Slopes of every sign; of single tokens they cancel at each position, as those of a comparison do.
fn slope(plan: &Plan) -> Vec<f32> {
    let scores = plan.stats().targets;
    let each = (0..scores).map(|i| {
        let size = 0.25 + 0.125 * (i / 2 % 4) as f32;
        if i % 2 == 0 { size } else { -size }
    });
    each.collect()
}

fn config(json: &str) -> ModelConfig {
    ModelConfig::from_json(&format!(
        r#"{{"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 64,
            {json}}}"#
    ))
    .expect("a valid configuration")
}

fn opt(json: &str) -> ModelConfig {
    config(&format!(r#""ffn_dim": 40, "init_std": 0.2, {json}"#))
}

fn llama(json: &str) -> ModelConfig {
    config(&format!(
        r#""intermediate_size": 40, "initializer_range": 0.2, "num_key_value_heads": 2, {json}"#
    ))
}

/// In f64, so that a difference is one of formulas.
fn fresh(config: &ModelConfig) -> Model<Plain> {
    Model::init_with_dtype(config, DType::F64, &Default::default())
}

/// Has the parameters move whose names begin so.
struct Moving<'a>(ParameterPath, &'a str);
impl ModuleMapper<Ad> for Moving<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.0.enter(name, container);
    }
    fn exit_module(&mut self, _name: &str, container: &str) {
        self.0.exit(container);
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<Ad, D>>) -> Param<Tensor<Ad, D>> {
        param.set_require_grad(self.0.name().starts_with(self.1))
    }
}

/// The model, all of whose parameters move whose names begin with `part`.
fn moving(model: Model<Plain>, part: &str) -> Model<Ad> {
    let path = ParameterPath::default();
    Model::<Ad>::from_inner(model).map(&mut Moving(path, part))
}

/// Random numbers where a fresh adapter has zeros.
struct Shake;

impl ModuleMapper<Plain> for Shake {
    fn map_float<const D: usize>(
        &mut self,
        param: Param<Tensor<Plain, D>>,
    ) -> Param<Tensor<Plain, D>> {
        param.map(|of| {
            let noise = of.random_like(Distribution::Normal(0.0, 0.1));
            of + noise
        })
    }
}

/// The gradient of the tail, by what it moves.
fn of_tail(model: &Model<Ad>, plan: &Plan, slope: &[f32]) -> (Numbers, Whole) {
    let before = values(&model.valid());
    let mut rule = Whole::default();
    let tail = model.tail(plan).expect("valid ids");
    let moved = model.clone().walked_back(tail, slope, &mut rule);
    let after = values(&moved.valid());
    let moved = before.into_iter().map(|(name, before)| {
        let pairs = before.iter().zip(&after[&name]);
        (name.clone(), pairs.map(|(a, b)| a - b).collect())
    });
    (moved.collect(), rule)
}

/// Both gradients agree to `tolerance` of a tensor's largest number, and parameters without one stay.
fn check(model: &Model<Plain>, plan: &Plan, tolerance: f64) {
    let slope = slope(plan);
    let tracked = moving(model.clone(), "");
    let expected = match &tracked {
        Model::Opt(model) => whole(model, plan, &slope, true),
        Model::Llama(model) => whole(model, plan, &slope, true),
    };
    let (found, rule) = of_tail(&tracked, plan, &slope);
    let mut squares = 0.0;
    assert!(expected.len() > 10);
    for (name, found) in &found {
        let Some(expected) = expected.get(name) else {
            assert!(found.iter().all(|number| *number == 0.0), "{name}");
            continue;
        };
        squares += expected.iter().map(|x| x * x).sum::<f64>();
        let largest = expected.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let off = (found - expected).abs();
            // the weights themselves are rounded when they move
            assert!(
                off <= tolerance * largest + tolerance * 1e-3,
                "{name}: {found} and {expected} of {largest}"
            );
        }
    }
    assert_eq!(rule.parameters, expected.len());
    assert!((rule.squares / squares - 1.0).abs() < tolerance.max(1e-9) * 10.0);
}

fn plans() -> [Plan; 4] {
    [
        plan(9, [1, 1]),
        plan(9, [1, 1]).unnormalised(),
        plan(9, [4, 2]),
        plan(13, [9, 1]),
    ]
}

/// OPT in all its forms.
#[test]
fn the_tail_of_opt_is_autodiff_with_the_prompt_detached() {
    for json in [
        r#""do_layer_norm_before": true"#,
        r#""tie_word_embeddings": false, "activation_function": "gelu""#,
        r#""word_embed_proj_dim": 10, "do_layer_norm_before": false, "enable_bias": false"#,
    ] {
        let model = fresh(&opt(json));
        plans().iter().for_each(|plan| check(&model, plan, 1e-9));
    }
}

/// Grouped heads, rotary positions, norms of heads, windows, norms after, scaled embeddings.
#[test]
fn the_tail_of_llama_and_its_kin_is_autodiff_with_the_prompt_detached() {
    for json in [
        r#""model_type": "llama", "rms_norm_eps": 1e-5, "tie_word_embeddings": true"#,
        r#""model_type": "mistral", "rms_norm_eps": 1e-5, "sliding_window": 4, "tie_word_embeddings": false"#,
        r#""model_type": "qwen2", "rms_norm_eps": 1e-6, "tie_word_embeddings": true"#,
        r#""model_type": "qwen3", "rms_norm_eps": 1e-6, "head_dim": 8, "tie_word_embeddings": true"#,
        r#""model_type": "gemma3_text", "rms_norm_eps": 1e-6, "head_dim": 8, "sliding_window": 4,
           "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]"#,
    ] {
        let model = fresh(&llama(json));
        plans().iter().for_each(|plan| check(&model, plan, 1e-9));
    }
}

/// The kernels of f32 round otherwise than autodiff's plain operations: 2^-24 of numbers that sums of some hundred terms
/// and three layers enlarge.
#[test]
fn the_tail_in_f32_agrees_to_its_rounding() {
    for config in [
        opt(r#""do_layer_norm_before": true"#),
        llama(r#""model_type": "llama", "rms_norm_eps": 1e-5, "tie_word_embeddings": true"#),
    ] {
        let model: Model<Plain> = Model::init(&config, &Default::default());
        plans().iter().for_each(|plan| check(&model, plan, 5e-4));
    }
}

#[test]
fn adapters_have_a_tail_too() {
    for config in [
        opt(r#""do_layer_norm_before": true"#),
        llama(r#""model_type": "llama", "rms_norm_eps": 1e-5, "tie_word_embeddings": true"#),
    ] {
        let lora = LoraConfig {
            targets: vec![Projection::QProj, Projection::VProj, Projection::KProj],
            ..LoraConfig::default()
        };
        for adapter in [
            AdapterConfig::Lora(lora),
            AdapterConfig::Prefix(PrefixConfig::default()),
        ] {
            let model = fresh(&config).with_adapter(&adapter, Seed::new(3));
            let model = model.expect("valid").map(&mut Shake);
            plans().iter().for_each(|plan| check(&model, plan, 1e-9));
        }
    }
}

/// A table of several blocks.
#[test]
fn a_large_table_follows_in_blocks() {
    let json = r#"{"vocab_size": 40001, "hidden_size": 64, "ffn_dim": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": 64, "init_std": 0.2}"#;
    let config = ModelConfig::from_json(json).expect("a valid configuration");
    check(&fresh(&config), &plan(9, [4, 2]), 1e-9);
}

/// What does not move is not walked to: of a head alone no layer is kept, and of the last layer one.
#[test]
fn the_walk_ends_where_nothing_moves() {
    let config = opt(r#""tie_word_embeddings": false"#);
    let plan = plan(9, [1, 1]);
    let (tokens, read) = (plan.ids().len(), plan.logit_tokens().len());
    for (part, layers) in [
        ("lm_head", 0),
        ("decoder.layers.2.fc2", 1),
        ("decoder.layers.1", 2),
    ] {
        let model = moving(fresh(&config), part);
        let tail = model.tail(&plan).expect("valid ids");
        assert_eq!(tail.kept(), layers * (2 * tokens + read) * 24 + read * 24);
        let expected = match &model {
            Model::Opt(model) => whole(model, &plan, &slope(&plan), true),
            Model::Llama(_) => unreachable!("it is OPT"),
        };
        let (found, rule) = of_tail(&model, &plan, &slope(&plan));
        assert_eq!(rule.parameters, expected.len());
        for (name, numbers) in found {
            let moved = numbers.iter().any(|number| *number != 0.0);
            assert_eq!(moved, name.starts_with(part), "{name}");
        }
    }
}

/// What the prompt's positions add is left out, and is not nothing: the tail is another direction, near to the gradient.
#[test]
fn the_tail_is_not_the_whole_gradient() {
    let model = moving(fresh(&opt(r#""do_layer_norm_before": true"#)), "");
    let (plan, Model::Opt(opt)) = (plan(9, [1, 1]), &model) else {
        unreachable!("it is OPT");
    };
    let (cut, all) = (
        whole(opt, &plan, &slope(&plan), true),
        whole(opt, &plan, &slope(&plan), false),
    );
    let dot = |a: &Numbers, b: &Numbers| -> f64 {
        let pairs = a.iter().flat_map(|(name, a)| a.iter().zip(&b[name]));
        pairs.map(|(a, b)| a * b).sum()
    };
    let cosine = dot(&cut, &all) / (dot(&cut, &cut) * dot(&all, &all)).sqrt();
    assert!((0.3..0.999).contains(&cosine), "{cosine}");
}
