//! Probes of low rank that touch no weight: the losses of weights that walk, up to rounding.

use crate::seeded;
use crate::tiny::{Cpu, model, prompts};
use zograd_models::{LanguageModel, Model, ModelConfig, content_hash_of};
use zograd_perturb::family::{FamilySpec, PerturbationSpec};
use zograd_perturb::{
    AppliedUpdate, Direction, Grids, NoiseKind, ParameterSpace, Perturbed, Seed, Selection,
};
use zograd_select::{MethodSpec, Methods, StepContext};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Classification, Objective, Prober, Rule, Standing, TeacherForcing, Walking, measure,
    measure_at_each, run_step,
};

pub const EPS: f64 = 1e-2;

/// A Llama with grouped heads.
pub fn llama() -> Model<Cpu> {
    let config = ModelConfig::from_json(
        r#"{"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "hidden_act": "silu", "tie_word_embeddings": true, "initializer_range": 0.3}"#,
    )
    .expect("a valid configuration");
    seeded::model(&config, 11)
}

/// Subspaces that are drawn anew within a few steps.
fn specs() -> [PerturbationSpec; 2] {
    [
        FamilySpec::Subzero {
            rank: 4,
            refresh: 2,
        },
        FamilySpec::Lozo {
            rank: 2,
            refresh: 2,
        },
    ]
    .map(PerturbationSpec::new)
}

/// On grids where steps are exact.
pub fn perturbed(
    module: &Model<Cpu>,
    spec: &PerturbationSpec,
    exact: bool,
) -> Perturbed<Cpu, Model<Cpu>> {
    let module = module.clone();
    let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
    let noise = spec
        .clone()
        .perturbation(NoiseKind::Gaussian, &module, &space, Seed::new(9))
        .expect("in their range");
    if !exact {
        return Perturbed::new(module, space, noise, EPS).expect("its own space");
    }
    let grids = Grids::of_noise(&module, &space, &noise, EPS, 1e-3).expect("finite");
    Perturbed::on_grids(module, space, noise, EPS, grids).expect("f32")
}

fn methods() -> [MethodSpec; 4] {
    let with_pool = |name| MethodSpec::new(name).with("pool", 4);
    [
        MethodSpec::new("mezo"),
        with_pool("gv").with("faithful-cost", false),
        with_pool("greedy"),
        with_pool("pool-regression"),
    ]
}

/// Losses of some units are made of numbers that f32 rounds at 2^-24 of them, some tens of times one after the other.
/// With exact steps walking rounds every weight to its grid as well, and grids with room for noise of low rank, whose largest
/// numbers are large, are coarse: here 2^-17, so that a weight is off by 2^-19 on average. That times the length of the
/// gradient, some units, is the error.
fn tolerance(exact: bool) -> f64 {
    if exact { 5e-5 } else { 1e-5 }
}

/// Every loss of every step, and a step is one pass: its update.
#[test]
fn losses_are_those_of_walking_and_a_step_is_one_pass() {
    let prompts = prompts();
    let batch: Vec<&Prompt> = prompts.iter().take(6).collect();
    for module in [model(), llama()] {
        for (spec, exact) in specs()
            .iter()
            .flat_map(|spec| [(spec, true), (spec, false)])
        {
            for objective in [&Classification as &dyn Objective, &TeacherForcing] {
                for method in methods() {
                    let mut strategy = Methods::built_in().build(&method).expect("valid");
                    let mut stood = perturbed(&module, spec, exact);
                    let mut walked = perturbed(&module, spec, exact);
                    for step in 0..4 {
                        let label = format!("{spec:?} {method:?} exact: {exact}, step {step}");
                        let context = StepContext::new(step, Seed::new(5).child(step), EPS);
                        let passes = stood.passes();
                        let mut prober = Standing::new(&mut stood, |model, probes| {
                            let found = measure_at_each(model, probes, &batch, objective)?;
                            Ok(found.iter().map(|found| found.loss(objective)).collect())
                        });
                        let rule = Rule::new(1e-3, 0.0);
                        let report = run_step(strategy.as_mut(), &context, &mut prober, rule);
                        let report = report.expect("a step");
                        assert_eq!(stood.passes() - passes, 1, "{label}");

                        // the same directions, and the same update
                        walked.begin(step).expect("at rest");
                        let directions: Vec<Direction> = report
                            .evaluations
                            .iter()
                            .map(|told| told.direction.clone())
                            .collect();
                        let mut prober = Walking::new(&mut walked, |model| {
                            Ok(measure(model, &batch, objective, None)?.loss(objective))
                        });
                        let losses = prober.losses(&directions).expect("finite");
                        for (told, walked) in report.evaluations.iter().zip(&losses) {
                            let error = told.loss - walked.mean;
                            assert!(error.abs() < tolerance(exact), "{label}: {error}");
                        }
                        let update = AppliedUpdate::new(report.direction.clone(), 1e-3)
                            .with_decay(0.0, step);
                        walked.update(&update).expect("a pass");
                    }
                    if exact {
                        // what was applied is the walk's, to the bit
                        let hash = |model: &Model<Cpu>| content_hash_of(model, |_| true);
                        assert_eq!(hash(stood.module()), hash(walked.module()), "{method:?}");
                    }
                }
            }
        }
    }
}

/// All directions that are asked for together are one batch, and each is what it is alone.
#[test]
fn probes_together_say_what_each_says_alone() {
    let prompts = prompts();
    let batch: Vec<&Prompt> = prompts.iter().take(3).collect();
    let z = |k| Direction::unit(Seed::new(k));
    let v = z(1) * 0.5 - z(2);
    let directions = [z(1), z(2), v.clone(), -v, Direction::zero()];
    for module in [model(), llama()] {
        for spec in specs() {
            let mut model = perturbed(&module, &spec, true);
            assert!(model.module().takes_probes());
            let mut prober = Standing::new(&mut model, |model, probes| {
                let found = measure_at_each(model, probes, &batch, &Classification)?;
                let losses = found.iter().map(|found| found.loss(&Classification));
                Ok(losses.collect())
            });
            prober.begin(0).expect("at rest");
            let together = prober.losses(&directions).expect("finite");
            for (direction, together) in directions.iter().zip(&together) {
                let alone = prober.losses(std::slice::from_ref(direction));
                let alone = alone.expect("finite")[0].mean;
                match cfg!(target_arch = "x86_64") {
                    true => assert_eq!(alone, together.mean),
                    // the matrix library may sum in another order for another number of rows
                    false => assert!((alone - together.mean).abs() < 1e-5),
                }
            }
            let some = prober.some_losses(&directions, 1..3).expect("finite");
            assert_eq!(some.len(), 2);
            if cfg!(target_arch = "x86_64") {
                assert_eq!(some[0].mean, together[1].mean);
                assert_eq!(some[1].mean, together[2].mean);
            }
        }
    }
}
