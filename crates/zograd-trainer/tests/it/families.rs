//! Every family of perturbations with every strategy: on a quadratic, where all losses and updates are known, and on a
//! model.

use crate::steps::methods;
use crate::tiny::{Cpu, model, prompts};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use zograd_models::{Model, content_hash};
use zograd_perturb::family::{BlockOrder, FamilySpec, MaskRule, PerturbationSpec, Scales};
use zograd_perturb::{
    Direction, Grids, NoiseKind, ParameterSpace, Perturbation, Perturbed, Seed, Selection,
};
use zograd_select::{MethodSpec, Methods, StepContext};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Classification, Rule, Standing, StepReport, Walking, measure, measure_at_each, run_step,
};

const EPS: f64 = 1e-2;

/// Every family, with settings that change within a few steps.
pub fn specs() -> Vec<PerturbationSpec> {
    let scaled = PerturbationSpec {
        scales: Scales {
            vectors: 3.0,
            positions: 0.0,
        },
        ..PerturbationSpec::default()
    };
    let mut all: Vec<_> = [
        FamilySpec::Dense,
        FamilySpec::Subzero {
            rank: 4,
            refresh: 3,
        },
        FamilySpec::Lozo {
            rank: 2,
            refresh: 2,
        },
        FamilySpec::Blocks {
            order: BlockOrder::InTurn,
        },
        FamilySpec::Sparse {
            mask: MaskRule::Small,
            density: 0.5,
            hash: None,
        },
    ]
    .into_iter()
    .map(PerturbationSpec::new)
    .collect();
    all.push(scaled);
    all
}

#[derive(Module, Debug)]
struct Bowl<B: Backend> {
    layers: Vec<Param<Tensor<B, 2>>>,
    bias: Param<Tensor<B, 1>>,
}

/// Half the squared distance from 1 of some hundred weights.
impl Bowl<Cpu> {
    fn new(scale: f32) -> Self {
        let device = Default::default();
        let matrix = |k: usize| {
            let values: [f32; 320] =
                std::array::from_fn(|i| scale * (((i * 7 + k) % 31) as f32 / 40.0 - 0.3));
            let flat = Tensor::<Cpu, 1>::from_floats(values, &device);
            Param::from_tensor(flat.reshape([16, 20]))
        };
        let bias: [f32; 20] = std::array::from_fn(|i| scale * (i as f32 / 40.0));
        Self {
            layers: (0..3).map(matrix).collect(),
            bias: Param::from_tensor(Tensor::from_floats(bias, &device)),
        }
    }

    fn values(&self) -> Vec<f64> {
        let matrices = self.layers.iter().map(|matrix| matrix.val().into_data());
        let all = matrices.chain([self.bias.val().into_data()]);
        all.flat_map(|data| data.iter::<f32>().map(f64::from).collect::<Vec<_>>())
            .collect()
    }

    fn loss(&self) -> f64 {
        loss(&self.values())
    }
}

fn loss(values: &[f64]) -> f64 {
    values.iter().map(|x| 0.5 * (x - 1.0).powi(2)).sum()
}

/// The perturbation of a run that starts from the bowl.
fn perturbation(spec: &PerturbationSpec) -> (Perturbation, ParameterSpace) {
    let bowl = Bowl::new(1.0);
    let space = ParameterSpace::select(&bowl, &Selection::All).expect("parameters");
    let noise = spec
        .clone()
        .perturbation(NoiseKind::Gaussian, &bowl, &space, Seed::new(9));
    (noise.expect("in their range"), space)
}

/// With room for steps at this learning rate.
fn perturbed(spec: &PerturbationSpec, lr: f64) -> Perturbed<Cpu, Bowl<Cpu>> {
    let (noise, space) = perturbation(spec);
    let bowl = Bowl::new(1.0);
    let grids = Grids::of_noise(&bowl, &space, &noise, EPS, lr).expect("finite");
    Perturbed::on_grids(bowl, space, noise, EPS, grids).expect("f32")
}

/// A direction as a vector, in a step: what it makes of weights that are 0.
fn vector(spec: &PerturbationSpec, step: u64, direction: &Direction) -> Vec<f64> {
    let (noise, space) = perturbation(spec);
    let mut model = Perturbed::new(Bowl::new(0.0), space, noise, 1.0).expect("its own space");
    model.begin(step).expect("at rest");
    model.move_to(direction).expect("a pass");
    model.module().values()
}

fn context(step: u64) -> StepContext {
    StepContext::new(step, Seed::new(11).child(step), EPS)
}

/// On a quadratic every loss that a strategy is told is `L + eps g v + eps^2 v^2 / 2` for the very direction that it asked
/// for, the slope of a two-sided step is `g v` itself, and the weights move by `lr` times the direction that is reported,
/// through steps in which a seed changes its meaning. A loss costs a forward and a pass, and the update one more pass.
#[test]
fn every_strategy_is_told_the_losses_of_the_family_and_makes_its_updates() {
    let lr = 1e-3;
    // what weights keep, no other model can say
    let methods: Vec<_> = methods()
        .into_iter()
        .filter(|method| method.name() != "adamu")
        .collect();
    for spec in specs() {
        for method in &methods {
            let mut strategy = Methods::built_in().build(method).expect("valid");
            let mut model = perturbed(&spec, lr);
            for step in 0..7 {
                let label = format!("{spec:?}, {method:?}, step {step}");
                let before = model.module().values();
                let (passes, mut forwards) = (model.passes(), 0);
                let mut prober = Walking::new(&mut model, |bowl| {
                    forwards += 1;
                    Ok(bowl.loss())
                });
                let rule = Rule::new(lr, 0.0);
                let report = run_step(strategy.as_mut(), &context(step), &mut prober, rule);
                let report = report.expect("a step");
                assert_eq!(forwards, strategy.forwards(), "{label}");
                // the weights as they are cost no pass
                let probes = report
                    .evaluations
                    .iter()
                    .filter(|told| !told.direction.is_zero());
                assert_eq!(
                    model.passes() - passes,
                    probes.count() as u64 + 1,
                    "{label}"
                );
                let gradient: Vec<f64> = before.iter().map(|x| x - 1.0).collect();
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
                for told in &report.evaluations {
                    let v = vector(&spec, step, &told.direction);
                    let expected =
                        loss(&before) + EPS * dot(&gradient, &v) + 0.5 * EPS * EPS * dot(&v, &v);
                    // a thousand weights, each rounded to 2^-23 at most a few times
                    assert!(
                        (told.loss - expected).abs() < 5e-4,
                        "{label}: {} {expected}",
                        told.loss
                    );
                }
                if method.name() == "mezo" {
                    let v = vector(&spec, step, &report.evaluations[0].direction);
                    let expected = dot(&gradient, &v);
                    let error = (report.projected_gradient - expected).abs();
                    assert!(error < 5e-4 / EPS, "{label}: {error}");
                }
                let step_vector = vector(&spec, step, &report.direction);
                let after = model.module().values();
                for ((a, b), v) in before.iter().zip(&after).zip(&step_vector) {
                    assert!((b - (a - lr * v)).abs() < 1e-5, "{label}");
                }
            }
        }
    }
}

/// The answer is known: all weights that move become 1, and those that a mask leaves out stay.
#[test]
fn every_family_finds_the_minimum() {
    for spec in specs() {
        // the weights wander before they settle
        let mut model = perturbed(&spec, 1e-2);
        let start = model.module().values();
        let mut strategy = Methods::built_in()
            .build(&MethodSpec::new("mezo"))
            .expect("valid");
        let (mut moved, mut last) = (vec![false; start.len()], start.clone());
        // a block has a third of the dimension, and every fourth step
        let lr = match spec.family {
            FamilySpec::Blocks { .. } => 2e-3,
            _ => 6e-4,
        };
        for step in 0..12_000 {
            let mut prober = Walking::new(&mut model, |bowl: &Bowl<Cpu>| Ok(bowl.loss()));
            let rule = Rule::new(lr, 0.0);
            let report = run_step(strategy.as_mut(), &context(step), &mut prober, rule);
            assert_eq!(report.expect("a step").skipped, None);
            if step < 12 {
                let now = model.module().values();
                for ((moved, a), b) in moved.iter_mut().zip(&last).zip(&now) {
                    *moved |= a != b;
                }
                last = now;
            }
        }
        let end = model.module().values();
        let still: Vec<usize> = (0..start.len()).filter(|i| !moved[*i]).collect();
        match spec.family {
            FamilySpec::Sparse { .. } => assert_eq!(still.len(), 480, "half of the matrices"),
            // a step of 0 on the grid is rare, and 12 of them are not seen
            _ => assert!(still.is_empty(), "{spec:?}: {}", still.len()),
        }
        let known: f64 = still.iter().map(|i| 0.5 * (start[*i] - 1.0).powi(2)).sum();
        let (first, found) = (loss(&start), loss(&end));
        assert!(still.iter().all(|i| start[*i] == end[*i]));
        assert!(
            found - known < 0.01 * (first - known),
            "{spec:?}: {first}, {found}, {known}"
        );
    }
}

struct Made {
    reports: Vec<StepReport>,
    weights: String,
    /// Passes and noise streams.
    cost: (u64, u64),
}

fn make(spec: &PerturbationSpec, method: &MethodSpec, stands: bool) -> Made {
    let module = model();
    let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
    let noise = spec
        .clone()
        .perturbation(NoiseKind::Gaussian, &module, &space, Seed::new(9))
        .expect("in their range");
    let grids = Grids::of_noise(&module, &space, &noise, EPS, 1e-2).expect("finite");
    let mut model: Perturbed<Cpu, Model<Cpu>> =
        Perturbed::on_grids(module, space, noise, EPS, grids).expect("f32");
    let prompts = prompts();
    let batch: Vec<&Prompt> = prompts.iter().take(6).collect();
    let mut strategy = Methods::built_in().build(method).expect("valid");
    let mut reports = Vec::new();
    for step in 0..5 {
        let rule = Rule::new(1e-3, 0.1);
        let report = if stands {
            let mut prober = Standing::new(&mut model, |model, probes| {
                let found = measure_at_each(model, probes, &batch, &Classification)?;
                Ok(found
                    .iter()
                    .map(|found| found.loss(&Classification))
                    .collect())
            });
            run_step(strategy.as_mut(), &context(step), &mut prober, rule)
        } else {
            let mut prober = Walking::new(&mut model, |model| {
                Ok(measure(model, &batch, &Classification, None)?.loss(&Classification))
            });
            run_step(strategy.as_mut(), &context(step), &mut prober, rule)
        };
        reports.push(report.expect("a step"));
    }
    Made {
        cost: (model.passes(), model.streams()),
        reports,
        weights: content_hash(&model.into_module().expect("at rest")),
    }
}

/// Weights that stand still lead to the losses and the weights of those that walk, to the bit. Passes and streams are those of dense noise, whatever a stream is.
///
/// Families of low rank touch no weight but in the update, until something is kept that shapes their noise. Their losses are those of
/// walking up to rounding, above all that of every weight to its grid, which walking alone makes: with the room that the
/// largest numbers of such noise want the grids here are 2^-15, a weight is off by 2^-17 on average, and the gradient is
/// some units long.
#[test]
fn standing_and_walking_make_the_same_steps() {
    let dense = PerturbationSpec::default();
    let costs = methods().into_iter().map(|method| {
        let of = |stands| make(&dense, &method, stands).cost;
        (of(false), of(true))
    });
    let costs: Vec<_> = costs.collect();
    for spec in specs() {
        for (method, (walking, standing)) in methods().into_iter().zip(&costs) {
            let (walked, stood) = (make(&spec, &method, false), make(&spec, &method, true));
            let low_rank = matches!(
                spec.family,
                FamilySpec::Subzero { .. } | FamilySpec::Lozo { .. }
            );
            let passes = match (low_rank, method.name()) {
                (false, _) => standing.0,
                // its first step: a probe with its opposite
                (true, "hizoo" | "adamu") => standing.0 - 1,
                (true, _) => stood.reports.len() as u64,
            };
            assert_eq!(stood.cost, (passes, standing.1), "{spec:?} {method:?}");
            // which streams two hops share depends on who won
            assert_eq!(walked.cost.0, walking.0, "{spec:?} {method:?}");
            for (step, (walked, stood)) in walked.reports.iter().zip(&stood.reports).enumerate() {
                if cfg!(target_arch = "x86_64") && !low_rank {
                    assert_eq!(walked.evaluations, stood.evaluations, "{spec:?} {method:?}");
                }
                assert_eq!(walked.evaluations.len(), stood.evaluations.len());
                for (a, b) in walked.evaluations.iter().zip(&stood.evaluations) {
                    let most = if low_rank { 1e-4 } else { 1e-5 };
                    assert!((a.loss - b.loss).abs() < most, "{a:?} and {b:?}");
                }
                assert_eq!(stood.tokens, walked.tokens, "{spec:?} {method:?} {step}");
            }
            if cfg!(target_arch = "x86_64") && !low_rank {
                assert_eq!(walked.weights, stood.weights, "{spec:?} {method:?}");
            }
        }
    }
}
