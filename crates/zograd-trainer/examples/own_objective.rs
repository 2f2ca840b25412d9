//! An objective of one's own: zeroth-order methods need a number and no derivative.
//!
//!     cargo run --release --example own_objective

mod built_in;

use built_in::{BuiltIn, Cpu};
use std::error::Error;
use std::ops::ControlFlow;
use zograd_models::Model;
use zograd_perturb::{NoiseKind, ParameterSpace, Perturbed, Selection};
use zograd_select::Greedy;
use zograd_tasks::Prompt;
use zograd_trainer::{
    Examples, Objective, Scored, Scoring, StopReason, TrainConfig, TrainError, Training, evaluate,
    measure,
};

/// A hinge: the right candidate shall lead the best wrong one by 1 in mean log-probability.
struct Margin;

impl Objective for Margin {
    fn candidates(&self, prompt: &Prompt) -> Vec<usize> {
        (0..prompt.candidates.len()).collect()
    }

    fn loss(&self, batch: &[Scored<'_>]) -> f64 {
        let hinge = |example: &Scored<'_>| {
            let is_right = |k: usize| example.prompt.correct.contains(&k);
            let best = |right: bool| {
                let scores = example.means().enumerate();
                let these = scores.filter(|(k, _)| is_right(*k) == right);
                these
                    .map(|(_, score)| score)
                    .fold(f64::NEG_INFINITY, f64::max)
            };
            let lead = best(true) - best(false);
            // a NaN must stay one: the step is then skipped
            if lead < 1.0 { 1.0 - lead } else { 0.0 * lead }
        };
        batch.iter().map(hinge).sum::<f64>() / batch.len() as f64
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let BuiltIn { model, train, dev } = BuiltIn::load()?;
    let scoring = Scoring::choice();
    let look = |model: &Model<Cpu>| -> Result<(f64, f64), TrainError> {
        let prompts: Vec<&Prompt> = dev.iter().collect();
        let margin = measure(model, &prompts, &Margin, None)?.loss(&Margin).mean;
        Ok((
            margin,
            evaluate(model, &dev, &scoring, 25, |_| ControlFlow::Continue(()))?.score,
        ))
    };

    let space = ParameterSpace::select(&model, &Selection::All)?;
    let mut model = Perturbed::new(model, space, NoiseKind::Gaussian, 1e-3)?;
    let (margin_before, accuracy_before) = look(model.module())?;
    let examples = Examples {
        train: &train,
        dev: &[],
        scoring: &scoring,
    };
    let config = TrainConfig::new(100, 1e-4);
    let mut greedy = Greedy::new(4)?;
    let summary = Training::new(&mut greedy, &Margin, examples, &config).run(&mut model)?;
    let (margin, accuracy) = look(model.module())?;

    println!(
        "{} steps, {} forward passes",
        summary.steps, summary.forwards
    );
    println!("hinge    {margin_before:.3} -> {margin:.3}");
    println!("accuracy {accuracy_before:.3} -> {accuracy:.3}");
    assert_eq!(summary.stop, StopReason::Finished);
    assert_eq!(summary.forwards, 500);
    assert!(margin < 0.9 * margin_before);
    Ok(())
}
