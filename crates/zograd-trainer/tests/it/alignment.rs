//! Estimates beside the gradient.

use crate::tiny::{Cpu, model, prompts};
use zograd_models::Model;
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Seed, Selection};
use zograd_select::{MethodSpec, Methods, StepContext};
use zograd_tasks::Prompt;
use zograd_trainer::{Classification, Reference, at_origin, exact_gradient};

const DRAWS: u64 = 48;

fn walker(model: Model<Cpu>, eps: f64) -> Perturbed<Cpu, Model<Cpu>> {
    let space = ParameterSpace::select(&model, &Selection::All).expect("parameters");
    Perturbed::new(model, space, NoiseKind::Gaussian, eps).expect("its own")
}

/// The mean cosine of the estimates of a method, made on all prompts, and how many numbers move.
fn mean_cosine(method: &MethodSpec) -> (f64, usize) {
    let prompts = prompts();
    let batch: Vec<&Prompt> = prompts.iter().collect();
    let found = exact_gradient(model(), &Selection::All, &Classification, &batch, 8);
    let (_, gradient) = found.expect("a gradient");
    let reference = Reference {
        gradient: &gradient,
        selection: &Selection::All,
        prompts: &batch,
        objective: &Classification,
        batch_size: 8,
    };
    let (mut at, mut numbers) = (walker(model(), 1e-3), walker(at_origin(model()), 1.0));
    let mut strategy = Methods::built_in().build(method).expect("a method");
    let cosines = (0..DRAWS).map(|draw| {
        let context = StepContext::new(draw, Seed::new(7).child(draw), at.eps());
        let found = reference.alignment(&mut at, &mut numbers, strategy.as_mut(), &context, &batch);
        let found = found.expect("an alignment");
        assert!(found.cosine.abs() < 1.0);
        found.cosine
    });
    let sum: f64 = cosines.collect::<Vec<_>>().iter().sum();
    (sum / DRAWS as f64, gradient.dimension())
}

/// A direction z and its slope: the mean of |cos| is sqrt(2 / (pi d)). Its standard deviation is 0.756 of that; 3.5 standard errors of
/// 48 draws are 0.38 of it.
#[test]
fn one_direction_has_the_cosine_of_theory() {
    let (cosine, dimension) = mean_cosine(&MethodSpec::new("mezo"));
    let theory = (2.0 / (std::f64::consts::PI * dimension as f64)).sqrt();
    let times = cosine / theory;
    assert!((times - 1.0).abs() < 0.38, "{times}");
}

/// More directions a step see more of the gradient: by theory sqrt(pi M / 2) as much as one, for M far below d.
#[test]
fn a_regression_on_a_pool_sees_more() {
    let (one, _) = mean_cosine(&MethodSpec::new("mezo"));
    let (many, _) = mean_cosine(&MethodSpec::new("pool-regression").with("pool", 16));
    assert!(many > 2.0 * one, "{many} {one}");
}

/// The derivative by the gradient is that of the losses.
#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let prompts = prompts();
    let batch: Vec<&Prompt> = prompts.iter().collect();
    let whole = exact_gradient(model(), &Selection::All, &Classification, &batch, 64);
    let parts = exact_gradient(model(), &Selection::All, &Classification, &batch, 3);
    let ((loss, whole), (same, parts)) = (whole.expect("one"), parts.expect("the other"));
    assert!((loss - same).abs() < 1e-6);
    let square = whole.dot(&whole);
    // the parts are added in f32
    assert!((whole.dot(&parts) / square - 1.0).abs() < 1e-5);
}
