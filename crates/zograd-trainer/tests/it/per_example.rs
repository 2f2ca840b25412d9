//! Examples with directions of their own: each loss is that of one example where it is probed, and steps follow from them.

use crate::low_rank::{EPS, llama, perturbed};
use crate::tiny::{Cpu, model, prompt};
use zograd_models::Model;
use zograd_perturb::family::{FamilySpec, PerturbationSpec, Scales};
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{PerExample, StepContext, try_run_step_together};
use zograd_tasks::Prompt;
use zograd_trainer::{
    AnswerF1, Calibrated, Classification, Examples, Loss, Objective, Prober, Rule, Scoring,
    Standing, TeacherForcing, TrainConfig, TrainError, Training, Walking, exact_gradient,
    losses_by_example, measure, run_step,
};

/// Prompts of several lengths, whose options have a token or two.
fn prompts(count: usize) -> Vec<Prompt> {
    let one = |row: usize| {
        let words = (0..row % 4).map(|k| 14 + ((row * 7 + k * 5) % 13) as u32);
        let context = [2, 10 + (row % 2) as u32].into_iter().chain(words);
        let context: Vec<u32> = context.chain([5]).collect();
        let option = |answer: &[u32]| ([&context[..], answer].concat(), answer.len());
        prompt(row, &[option(&[7]), option(&[8, 9])], row % 2)
    };
    (0..count).map(one).collect()
}

/// Families of low rank, with vectors that move and that do not.
fn specs() -> Vec<PerturbationSpec> {
    let families = [
        FamilySpec::Lozo {
            rank: 1,
            refresh: 1,
        },
        FamilySpec::Lozo {
            rank: 2,
            refresh: 50,
        },
        FamilySpec::Subzero {
            rank: 4,
            refresh: 2,
        },
    ];
    let scaled = families.into_iter().flat_map(|family| {
        let spec = PerturbationSpec::new(family);
        let scales = Scales {
            vectors: 0.0,
            ..Scales::default()
        };
        let matrices_alone = PerturbationSpec {
            scales,
            ..spec.clone()
        };
        [spec, matrices_alone]
    });
    scaled.collect()
}

/// The loss of one example.
fn alone(model: &Model<Cpu>, example: &Prompt, objective: &dyn Objective) -> (Loss, usize) {
    let found = measure(model, &[example], objective, None).expect("it can be scored");
    (found.loss(objective), found.tokens)
}

/// Against weights that walk to the direction of each example and are asked about it alone. A loss of some units is made of
/// f32 numbers that are rounded at 2^-24 of them, some tens of times. With two examples the tokens are few, and with seven
/// many: then they go another way through norms.
#[test]
fn a_loss_is_that_of_its_example_alone_at_its_own_weights() {
    let prompts = prompts(7);
    for (module, examples) in [(model(), 7), (model(), 2), (llama(), 7), (llama(), 2)] {
        let batch: Vec<&Prompt> = prompts.iter().take(examples).collect();
        for spec in specs() {
            for (objective, pool) in [
                (&Classification as &dyn Objective, 2),
                (&Classification, 3),
                (&TeacherForcing, 2),
            ] {
                let label = format!("{spec:?}, {examples} examples, {pool} candidates");
                let mut strategy = PerExample::new(pool).expect("a pool");
                let mut stood = perturbed(&module, &spec, false);
                let mut walked = perturbed(&module, &spec, false);
                let context = StepContext::new(0, Seed::new(5), EPS).with_examples(examples);
                let passes = stood.passes();
                let mut prober = Standing::new(&mut stood, |model, probes| {
                    losses_by_example(model, probes, &batch, objective)
                });
                let rule = Rule::new(1e-3, 0.0);
                let report = run_step(&mut strategy, &context, &mut prober, rule);
                let report = report.expect("a step");
                assert_eq!(report.evaluations.len(), examples * pool);
                assert_eq!(stood.passes() - passes, 1, "{label}");

                let found = batch.iter().map(|one| alone(&module, one, objective));
                let found: Vec<(Loss, usize)> = found.collect();
                let tokens: usize = found.iter().map(|(_, tokens)| tokens).sum();
                assert_eq!(report.tokens, (pool * tokens) as u64, "{label}");
                let terms: u64 = found.iter().map(|(loss, _)| loss.terms).sum();
                let mean_terms = terms as f64 / examples as f64;
                walked.begin(0).expect("at rest");
                let mut largest = 0f64;
                for (place, told) in report.evaluations.iter().enumerate() {
                    walked.move_to(&told.direction).expect("near");
                    let example = place / pool;
                    let (loss, _) = alone(walked.module(), batch[example], objective);
                    let weight = loss.terms as f64 / mean_terms;
                    let error = told.loss - weight * loss.mean;
                    assert!(error.abs() < 3e-5, "{label}: {error}");
                    largest = largest.max((loss.mean - found[example].0.mean).abs());
                }
                assert!(largest > 1e-3, "{label}: directions that matter");
            }
        }
    }
}

/// Where all examples are at one point, the mean of their losses is the loss of the batch, however many terms each has.
#[test]
fn the_mean_of_the_losses_is_that_of_the_batch() {
    let prompts = prompts(5);
    let batch: Vec<&Prompt> = prompts.iter().collect();
    let spec = specs().swap_remove(0);
    for objective in [&Classification as &dyn Objective, &TeacherForcing] {
        let mut model = perturbed(&model(), &spec, false);
        let whole = measure(model.module(), &batch, objective, None).expect("it can be scored");
        let mut prober = Standing::new(&mut model, |model, probes| {
            losses_by_example(model, probes, &batch, objective)
        });
        prober.begin(0).expect("at rest");
        let nowhere = vec![zograd_perturb::Direction::zero(); 5];
        let losses = prober.losses(&nowhere).expect("finite");
        let mean = losses.iter().map(|loss| loss.mean).sum::<f64>() / 5.0;
        assert!((mean - whole.loss(objective).mean).abs() < 1e-6);
    }
}

/// `E[ghat . g] = |g|^2`, over many steps, each with its own subspaces: within four standard errors, which are themselves
/// small enough to tell twice the gradient, or half of it.
#[test]
fn the_mean_of_the_estimates_is_the_gradient() {
    const NEAR: f64 = 1e-3;
    let prompts = prompts(6);
    let batch: Vec<&Prompt> = prompts.iter().collect();
    let found = exact_gradient(model(), &Selection::All, &Classification, &batch, 8);
    let (_, gradient) = found.expect("a gradient");
    let square = gradient.dot(&gradient);
    let module = model();
    let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
    let mut spec = PerturbationSpec::new(FamilySpec::Lozo {
        rank: 2,
        refresh: 1,
    });
    let noise = spec
        .perturbation(NoiseKind::Gaussian, &module, &space, Seed::new(9))
        .expect("in their range");
    for pool in [2, 4] {
        let (module, space) = (module.clone(), space.clone());
        let model = Perturbed::new(module, space, noise.clone(), NEAR);
        let mut model = model.expect("its own space");
        let mut strategy = PerExample::new(pool).expect("a pool");
        let mut along = Vec::new();
        for step in 0..1000 {
            let seed = Seed::new(3).child(step);
            let context = StepContext::new(step, seed, NEAR).with_examples(batch.len());
            let mut prober = Standing::new(&mut model, |model, probes| {
                losses_by_example(model, probes, &batch, &Classification)
            });
            prober.begin(step).expect("at rest");
            let outcome = try_run_step_together(&mut strategy, &context, |directions| {
                let losses = prober.losses(directions)?;
                Ok::<_, TrainError>(losses.iter().map(|loss| loss.mean).collect())
            });
            let estimate = outcome.expect("a step").update.expect("finite").direction;
            let length = estimate.norm_squared().sqrt();
            let unit = estimate * (1.0 / length);
            let mut prober = Walking::new(&mut model, |model| {
                Ok(measure(model, &batch, &Classification, None)?.loss(&Classification))
            });
            let losses = prober.losses(&[unit.clone(), -unit]).expect("finite");
            prober.rest().expect("near");
            let slope = (losses[0].mean - losses[1].mean) / (2.0 * NEAR);
            along.push(slope * length / square);
        }
        let n = along.len() as f64;
        let mean = along.iter().sum::<f64>() / n;
        let squares = along.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let error = (squares / (n - 1.0) / n).sqrt();
        assert!(error < 0.12, "{pool}: {error}");
        assert!(
            (mean - 1.0).abs() < 4.0 * error,
            "{pool}: {mean} +- {error}"
        );
    }
}

fn trained(objective: &dyn Objective, spec: &PerturbationSpec) -> Result<u64, TrainError> {
    let (prompts, scoring) = (prompts(8), Scoring::choice());
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let mut config = TrainConfig::new(4, 1e-3);
    config.batch_size = 5;
    let mut model = perturbed(&model(), spec, true);
    let mut strategy = PerExample::new(3).expect("a pool");
    let training = Training::new(&mut strategy, objective, examples, &config);
    Ok(training.run(&mut model)?.forwards)
}

/// A forward pass is one of a whole batch, whatever goes through it.
#[test]
fn forwards_are_counted_by_batches() {
    for spec in specs() {
        assert_eq!(trained(&Classification, &spec).expect("it trains"), 12);
    }
}

#[test]
fn what_has_no_losses_of_single_examples_is_refused() {
    let spec = specs().swap_remove(0);
    for (objective, said) in [
        (&Calibrated as &dyn Objective, "calibrate"),
        (&AnswerF1, "stand still"),
    ] {
        let refused = trained(objective, &spec).expect_err("refused");
        assert!(matches!(refused, TrainError::PerExample(_)), "{refused}");
        assert!(refused.to_string().contains(said), "{refused}");
    }
}
