//! A model that is looked at elsewhere says what it says when it is there.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_ndarray::NdArray;
use std::cell::RefCell;
use zograd_direction::Seed;
use zograd_models::{
    AdapterConfig, LanguageModel, LoraConfig, Model, ModelError, Plan, PrefixConfig, Probe, Still,
};

use crate::moved::{Moving, moved_scores, opt, opts, plan, rows_of};
use crate::seeded;

type Cpu = NdArray;

/// Some parameters times each of some factors.
struct Scaled {
    moving: Moving,
    factors: Vec<f32>,
    /// Numbers that were made.
    made: RefCell<usize>,
}

impl Scaled {
    /// Of the parameters that `moves` names.
    fn new(model: &Model<Cpu>, moves: impl Fn(&str) -> bool, factors: &[f32]) -> Self {
        Self {
            moving: Moving::of(model, |name, _| moves(name)),
            factors: factors.to_vec(),
            made: RefCell::new(0),
        }
    }
}

impl Probe<Cpu> for Scaled {
    fn points(&self) -> usize {
        self.factors.len()
    }

    fn moves<M: Module<Cpu>>(&self, part: &M) -> bool {
        self.moving.any_in(part)
    }

    fn moved<M: Module<Cpu>>(&self, part: &M) -> Vec<M> {
        struct Scale<'a>(&'a Scaled, f32);
        impl<B: Backend> ModuleMapper<B> for Scale<'_> {
            fn map_float<const D: usize>(
                &mut self,
                param: Param<Tensor<B, D>>,
            ) -> Param<Tensor<B, D>> {
                if !self.0.moving.has(param.id) {
                    return param;
                }
                *self.0.made.borrow_mut() += param.shape().num_elements();
                let factor = self.1;
                param.map(|tensor| tensor.mul_scalar(factor))
            }
        }
        let factors = self.factors.iter();
        let scaled = factors.map(|factor| part.clone().map(&mut Scale(self, *factor)));
        scaled.collect()
    }

    fn makes_rows(&self) -> bool {
        true
    }

    fn rows(&self, table: &Param<Tensor<Cpu, 2>>, rows: &[u32]) -> Vec<Tensor<Cpu, 2>> {
        let before = *self.made.borrow();
        let moved = rows_of(self.moved(table), rows);
        *self.made.borrow_mut() = before
            + match self.moving.has(table.id) {
                true => self.points() * rows.len() * table.dims()[1],
                false => 0,
            };
        moved
    }
}

/// The scores of the probes are those of moved models, to the bit: a block sees the same products.
fn check(model: &Model<Cpu>, plan: &Plan, moves: &dyn Fn(&str) -> bool) {
    let probes = [&[1.25f32, 0.75][..], &[0.5], &[1.0], &[1.5, -1.0]]
        .map(|factors| Scaled::new(model, moves, factors));
    let expected = moved_scores(model, plan, &probes);
    let mut still = Still::new();
    let found = model.log_probs_at_each(plan, &probes, &mut still);
    let found = found.expect("valid ids");
    assert_eq!(found.len(), 6);
    assert_eq!(found[0].len(), plan.stats().targets);
    assert_ne!(found[0], found[1], "the parameters matter");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(found, expected);
    }
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        // elsewhere the matrix library may sum in another order for another number of rows
        let close = (found - expected).abs() <= 1e-5 * expected.abs().max(1.0);
        assert!(close, "{found} and {expected}");
    }
    // one after the other, with what was kept, they are the same again
    for (index, probe) in probes.iter().enumerate() {
        let alone = model.log_probs_at_each(plan, std::slice::from_ref(probe), &mut still);
        let start = [0, 2, 3, 4][index];
        let together = &found[start..start + probe.points()];
        assert_eq!(alone.expect("valid ids"), together);
    }
}

#[test]
fn every_part_moves_to_where_it_is_asked() {
    for config in opts() {
        let model: Model<Cpu> = seeded::model(&config, 5);
        for plan in [
            plan(5, 9, [1, 1], 61),
            plan(5, 9, [1, 1], 61).unnormalised(),
            plan(3, 14, [4, 2], 61),
            // logits of more than one chunk of positions
            plan(2, 30, [160, 130], 61),
        ] {
            for moves in [
                &(|_: &str| true) as &dyn Fn(&str) -> bool,
                &|name| name.contains("layer_norm.weight") || name.contains("project_out"),
                &|name| name.starts_with("decoder.layers.1."),
                &|name| name.contains("embed_tokens") || name.contains("lm_head"),
                &|name| name.contains("embed_positions"),
            ] {
                check(&model, &plan, moves);
            }
        }
    }
}

/// A table that is made in several blocks, of which the last is no larger than the others.
#[test]
fn a_large_table_moves_in_blocks() {
    let config = opt(r#""vocab_size": 40001, "hidden_size": 64, "ffn_dim": 64"#);
    let model: Model<Cpu> = seeded::model(&config, 5);
    check(&model, &plan(3, 6, [2, 3], 40_001), &|_| true);
    check(&model, &plan(3, 6, [1, 1], 40_001), &|_| true);
}

/// More tokens than go through the layers together: probes in groups, a layer at a time in each.
#[test]
fn many_tokens_are_run_in_groups() {
    let config = opt(r#""vocab_size": 61, "hidden_size": 8, "ffn_dim": 8"#);
    let model: Model<Cpu> = seeded::model(&config, 5);
    let plan = plan(4, 380, [1, 1], 61);
    assert!(plan.stats().tokens > 4096 / 3);
    check(&model, &plan, &|_| true);
    check(&model, &plan, &|name| name.contains("layers.2."));
}

#[test]
fn adapters_move_too() {
    let config = opt(r#""vocab_size": 61, "hidden_size": 24, "ffn_dim": 56"#);
    for adapter in [
        AdapterConfig::Lora(LoraConfig::default()),
        AdapterConfig::Prefix(PrefixConfig::default()),
    ] {
        let model: Model<Cpu> = seeded::model(&config, 5);
        let model = model.with_adapter(&adapter, Seed::new(3)).expect("valid");
        check(&model, &plan(4, 9, [1, 2], 61), &|_| true);
    }
}

/// Of a table no more is made than is read: the tokens of the batch and the candidates, where scores are compared; the
/// whole head where the normaliser is wanted.
#[test]
fn rows_that_are_not_read_are_not_made() {
    let config = opt(r#""vocab_size": 61, "hidden_size": 24, "ffn_dim": 56"#);
    let model: Model<Cpu> = seeded::model(&config, 5);
    let made = |plan: &Plan| {
        let probe = Scaled::new(&model, |name| name.contains("embed_tokens"), &[1.5]);
        let probes = [probe];
        let scored = model.log_probs_at_each(plan, &probes, &mut Still::new());
        scored.expect("valid ids");
        *probes[0].made.borrow()
    };
    let plan = plan(1, 5, [1, 1], 61);
    let mut ids = plan.ids().to_vec();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(made(&plan), (ids.len() + 61) * 24);
    assert_eq!(made(&plan.unnormalised()), (ids.len() + 2) * 24);
}

/// Scores without their normaliser differ from those with it by one number at each position.
#[test]
fn unnormalised_scores_differ_by_one_number_a_position() {
    let config = opt(r#""vocab_size": 61, "hidden_size": 24, "ffn_dim": 56"#);
    let model: Model<Cpu> = seeded::model(&config, 5);
    let plan = plan(7, 9, [1, 1], 61);
    assert!(plan.is_normalised());
    let whole = model.log_probs(&plan).expect("valid ids");
    let plan = plan.unnormalised();
    assert!(!plan.is_normalised());
    let bare = model.log_probs(&plan).expect("valid ids");
    assert!(whole.iter().all(|score| *score < 0.0));
    for pair in plan.spans().chunks(2) {
        let difference = |scores: &[f32]| scores[pair[0].start] - scores[pair[1].start];
        // logits of a few units, rounded at 2^-24 of them in sums of 24 terms
        assert!((difference(&whole) - difference(&bare)).abs() < 1e-5);
        assert!((whole[pair[0].start] - bare[pair[0].start]).abs() > 0.1);
    }
}

/// What is kept serves only probes that leave it where it is.
#[test]
fn what_is_kept_is_run_again_once_it_moves() {
    let config = opt(r#""vocab_size": 61, "hidden_size": 24, "ffn_dim": 56"#);
    let model: Model<Cpu> = seeded::model(&config, 5);
    let model = model.untied();
    let plan = plan(3, 9, [1, 2], 61);
    let mut still = Still::new();
    for (moves, all) in [
        (
            &(|name: &str| name == "lm_head.weight") as &dyn Fn(&str) -> bool,
            true,
        ),
        (&|name| name.starts_with("decoder.layers.1."), false),
        (&|name| name.starts_with("decoder.layers.2."), false),
        (&|name| name.starts_with("decoder.layers.0."), false),
        (&|name| name.contains("embed_positions"), false),
        (&|name| name == "lm_head.weight", true),
    ] {
        let probe = [Scaled::new(&model, moves, &[1.25, 0.75])];
        let found = model.log_probs_at_each(&plan, &probe, &mut still);
        let expected = model.log_probs_at_each(&plan, &probe, &mut Still::new());
        assert_eq!(found, expected);
        assert_eq!(still.has_all_layers(), all);
    }
}

/// A model of one's own need not take probes, and says so.
#[test]
fn a_model_without_probes_says_so() {
    struct Mute;
    impl LanguageModel for Mute {
        type Backend = Cpu;

        fn log_probs(&self, _: &Plan) -> Result<Vec<f32>, ModelError> {
            Ok(Vec::new())
        }

        fn generate(
            &self,
            _: &[&[u32]],
            _: &zograd_models::Generation,
        ) -> Result<Vec<zograd_models::Continuation>, ModelError> {
            Ok(Vec::new())
        }
    }
    assert!(!Mute.takes_probes());
    let plan = plan(1, 5, [1, 1], 61);
    let refused = Mute.log_probs_at_each::<Scaled>(&plan, &[], &mut Still::new());
    assert_eq!(refused, Err(ModelError::NoProbes));
}
