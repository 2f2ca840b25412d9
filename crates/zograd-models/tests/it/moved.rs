//! What tests of probes share: small models, groups of options, and what parameters a probe moves.

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use std::collections::HashSet;
use zograd_models::{Model, ModelBackend, ModelConfig, Plan, Probe, Sequence, Sharing};
use zograd_params::ParameterPath;

/// OPT of three layers.
pub fn opt(json: &str) -> ModelConfig {
    ModelConfig::from_json(&format!(
        r#"{{"num_hidden_layers": 3, "num_attention_heads": 2, "max_position_embeddings": 400,
            "init_std": 0.2, {json}}}"#
    ))
    .expect("a valid configuration")
}

/// OPT in all its forms: the usual one, one with a head of its own, and one with norms behind and projections.
pub fn opts() -> [ModelConfig; 3] {
    [
        "",
        r#", "tie_word_embeddings": false, "activation_function": "gelu""#,
        r#", "word_embed_proj_dim": 10, "do_layer_norm_before": false, "enable_bias": false"#,
    ]
    .map(|more| {
        let sizes = r#""vocab_size": 61, "hidden_size": 24, "ffn_dim": 56"#;
        opt(&format!("{sizes}{more}"))
    })
}

/// Groups of two options after a prompt of about this length; of one token each, or of several.
pub fn plan(examples: usize, length: usize, options: [usize; 2], vocabulary: u32) -> Plan {
    let ids = |example: usize, option: usize| -> Vec<u32> {
        let context = (0..length + example % 3).map(|i| (i * 7 + example * 5 + 2) as u32);
        let tail = (0..options[option]).map(|i| (i * 3 + option + 11 * example) as u32);
        context.chain(tail).map(|id| id % vocabulary).collect()
    };
    let all: Vec<[Vec<u32>; 2]> = (0..examples).map(|e| [ids(e, 0), ids(e, 1)]).collect();
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

/// Parameters that move, by their ids.
pub struct Moving(HashSet<ParamId>);

impl Moving {
    /// Those that `moves` names, by name and rank.
    pub fn of<B: ModelBackend>(model: &Model<B>, moves: impl Fn(&str, usize) -> bool) -> Self {
        struct Ids<F>(ParameterPath, F, HashSet<ParamId>);
        impl<B: Backend, F: Fn(&str, usize) -> bool> ModuleVisitor<B> for Ids<F> {
            fn enter_module(&mut self, name: &str, container: &str) {
                self.0.enter(name, container);
            }
            fn exit_module(&mut self, _name: &str, container: &str) {
                self.0.exit(container);
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
                if self.1(&self.0.name(), D) {
                    self.2.insert(param.id);
                }
            }
        }
        let mut ids = Ids(ParameterPath::default(), moves, HashSet::new());
        model.visit(&mut ids);
        assert!(!ids.2.is_empty());
        Self(ids.2)
    }

    pub fn has(&self, id: ParamId) -> bool {
        self.0.contains(&id)
    }

    /// Whether a part of the model has one of them.
    pub fn any_in<B: Backend, M: Module<B>>(&self, part: &M) -> bool {
        struct Any<'a>(&'a Moving, bool);
        impl<B: Backend> ModuleVisitor<B> for Any<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
                self.1 |= self.0.has(param.id);
            }
        }
        let mut any = Any(self, false);
        part.visit(&mut any);
        any.1
    }
}

/// Rows of the tables that a probe makes of one.
pub fn rows_of<B: Backend>(tables: Vec<Param<Tensor<B, 2>>>, rows: &[u32]) -> Vec<Tensor<B, 2>> {
    let rows: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
    let tables = tables.into_iter().map(|table| table.val());
    let some = tables.map(|table| {
        let rows = Tensor::from_ints(&rows[..], &table.device());
        table.select(0, rows)
    });
    some.collect()
}

/// The scores of the models that probes make.
pub fn moved_scores<B: ModelBackend, P: Probe<B>>(
    model: &Model<B>,
    plan: &Plan,
    probes: &[P],
) -> Vec<Vec<f32>> {
    let moved = probes.iter().flat_map(|probe| probe.moved(model));
    let scores = moved.map(|model| model.log_probs(plan).expect("valid ids"));
    scores.collect()
}
