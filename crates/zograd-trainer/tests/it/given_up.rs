//! A run that is asked to stop in the middle of a step ends before it, with the weights that it had there.

use crate::tiny::{model, prompts};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use zograd_models::content_hash;
use zograd_perturb::{Grids, NoiseKind, ParameterSpace, Perturbed, Selection};
use zograd_select::{MethodSpec, Methods};
use zograd_tasks::Prompt;
use zograd_trainer::{
    Backpropagation, Classification, Examples, GradientOptimizer, GradientTraining, Objective,
    Scored, Scoring, StopReason, TrainConfig, Training,
};

const EPS: f64 = 1e-2;

/// Raises the flag when so many losses were found.
struct Raises<'a> {
    stop: &'a AtomicBool,
    losses: AtomicUsize,
}

impl<'a> Raises<'a> {
    fn after(losses: usize, stop: &'a AtomicBool) -> Self {
        let losses = AtomicUsize::new(losses);
        Self { stop, losses }
    }
}

impl Objective for Raises<'_> {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        Classification.candidates(prompt)
    }

    fn compares_candidates(&self) -> bool {
        Classification.compares_candidates()
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        if self.losses.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
        Classification.loss(batch)
    }

    fn slope(&self, batch: &[Scored<'_>]) -> Option<Vec<f64>> {
        Classification.slope(batch)
    }
}

fn config(steps: u64) -> TrainConfig {
    let mut config = TrainConfig::new(steps, 1e-3);
    config.batch_size = 6;
    config
}

/// Losses of a step of GV with a pool of 4.
fn losses_of_a_step() -> usize {
    let method = MethodSpec::new("gv").with("pool", 4);
    Methods::built_in()
        .build(&method)
        .expect("valid")
        .forwards()
}

/// Steps made, why it ended, and the weights, of a run that is asked to stop when so many losses were found.
fn probed(steps: u64, losses: usize) -> (u64, StopReason, String) {
    let (stop, scoring, prompts) = (AtomicBool::new(false), Scoring::choice(), prompts());
    let objective = Raises::after(losses, &stop);
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let module = model();
    let space = ParameterSpace::select(&module, &Selection::All).expect("parameters");
    let grids = Grids::of(&module, &space, EPS, 1e-2).expect("finite");
    let model = Perturbed::on_grids(module, space, NoiseKind::Gaussian, EPS, grids);
    let mut model = model.expect("f32");
    let method = MethodSpec::new("gv").with("pool", 4);
    let mut strategy = Methods::built_in().build(&method).expect("valid");
    let summary = Training::new(strategy.as_mut(), &objective, examples, &config(steps))
        .stop(&stop)
        .run(&mut model)
        .expect("trains");
    let weights = content_hash(&model.into_module().expect("at rest"));
    (summary.steps, summary.stop, weights)
}

/// GV asks for the losses of its pool first, and for two more.
#[test]
fn a_step_of_probes_is_given_up_between_its_forwards() {
    let (_, _, one) = probed(1, usize::MAX);
    let (_, _, two) = probed(2, usize::MAX);
    assert_ne!(one, two);
    let step = losses_of_a_step();
    // the first loss of the second step's pool
    assert_eq!(
        probed(3, step + 1),
        (1, StopReason::Interrupted, one.clone())
    );
    // its last loss: nothing is left but the update
    assert_eq!(probed(3, 2 * step), (2, StopReason::Interrupted, two));
    // and that of the first step
    assert_eq!(probed(3, step), (1, StopReason::Interrupted, one));
}

fn followed(steps: u64, losses: usize) -> (u64, StopReason, String) {
    let (stop, scoring, prompts) = (AtomicBool::new(false), Scoring::choice(), prompts());
    let objective = Raises::after(losses, &stop);
    let examples = Examples {
        train: &prompts,
        dev: &[],
        scoring: &scoring,
    };
    let how = Backpropagation {
        optimizer: GradientOptimizer::Adam,
        max_norm: 1.0,
        micro_batch: 2,
        recompute: false,
    };
    let (model, summary) = GradientTraining::new(&how, &objective, examples, &config(steps))
        .stop(&stop)
        .run(model(), &Selection::All)
        .expect("trains");
    (summary.steps, summary.stop, content_hash(&model))
}

/// Three parts of two examples a step.
#[test]
fn a_gradient_is_given_up_between_the_parts_of_its_batch() {
    let (_, _, one) = followed(1, usize::MAX);
    let (_, _, two) = followed(2, usize::MAX);
    assert_ne!(one, two);
    assert_eq!(followed(3, 4), (1, StopReason::Interrupted, one));
    assert_eq!(followed(3, 6), (2, StopReason::Interrupted, two));
}
